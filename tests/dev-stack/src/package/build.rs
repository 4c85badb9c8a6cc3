//! Building the functions for AWS: the same bytes from the same sources, on any machine.
//!
//! cargo-zigbuild links them with zig, which contains the C library of every processor. So a machine of either kind
//! builds for both, and a function runs with the C library that AWS has, which may be older than the machine's.
//! cargo-lambda, which `sam build` calls, links in the same way. It is not used here, because it adds flags and settings
//! of its own, which change with its version.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::architecture::Architecture;
use crate::binaries::{self, Executables, Profile, executables, prepared};
use crate::failure::{Failure, OrFailure, Result};
use crate::places::{Places, check_space};
use crate::processes;
use crate::python::Environment;

use super::Wishes;

/// The version of the C library of `provided.al2023`.
pub(super) const GLIBC: &str = "2.34";

/// What is installed for building, with fixed versions.
const REQUIREMENTS: &str = "package.txt";

/// Variables that begin like this change what is built.
const FOREIGN: [&str; 8] =
    ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "CARGO_ENCODED_", "RUSTFLAGS", "RUSTC", "CFLAGS", "CC"];

/// What builds functions.
pub(super) struct Tools {
    environment: Environment,
    /// Where the compiler is installed.
    sysroot: PathBuf,
    compiler: Compiler,
}

/// What `rustc -vV` says.
struct Compiler {
    release: String,
    commit: String,
}

impl Tools {
    /// Finds or installs them.
    pub(super) fn prepare(places: &Places, architecture: Architecture) -> Result<Self> {
        let rustc = |arguments: &[&str]| {
            let mut command = Command::new("rustc");
            let output = processes::run_for_stdout("rustc", command.args(arguments).current_dir(places.root()))?;
            output.ok_or_else(|| Failure::new("rustc does not answer, see above"))
        };
        let triple = architecture.triple();
        let library = rustc(&["--print", "target-libdir", "--target", triple])?;
        if !Path::new(library.trim()).exists() {
            return Err(Failure::new(format!(
                "this toolchain cannot build for {}; run `rustup target add {triple}`",
                architecture.name()
            )));
        }
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let compiler = Compiler::described_by(&rustc(&["-vV"])?);
        let environment = Environment::prepare(places, places.dev().join("package-venv"), REQUIREMENTS)?;
        Ok(Self { environment, sysroot, compiler })
    }

    /// Their versions, for the people who want to make the same package.
    pub(super) fn described(&self, profile: Profile) -> Result<String> {
        let list = self.environment.script(REQUIREMENTS);
        let list = fs::read_to_string(&list).or_failure(|| format!("cannot read {}", list.display()))?;
        let pinned = list.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(", ");
        let quick = if profile == Profile::Dev { ", QUICKLY AND FOR TESTS ONLY" } else { "" };
        Ok(format!("rustc {}, {pinned}{quick}", self.compiler.release))
    }
}

impl Compiler {
    fn described_by(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or("unknown").to_owned()
        };
        Self { release: value("release"), commit: value("commit-hash") }
    }
}

/// Builds the functions. Returns their executables.
pub(super) fn functions(places: &Places, tools: &Tools, wishes: &Wishes<'_>) -> Result<Executables> {
    let mut command = prepared(tools.environment.command("cargo-zigbuild"), places);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| FOREIGN.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    let caches = places.dev().join("zig");
    command
        .env("CARGO_TARGET_DIR", places.target())
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&remapped(places, tools, wishes.architecture)?)?)
        .env("PATH", tools.environment.first_on_path())
        .env("CARGO_ZIGBUILD_CACHE_DIR", caches.join("linkers"))
        .env("ZIG_GLOBAL_CACHE_DIR", caches.join("global"))
        .env("ZIG_LOCAL_CACHE_DIR", caches.join("local"));
    command.args(["zigbuild", "--locked", "--bins", "--message-format=json-render-diagnostics"]);
    command.args(["--target", &format!("{}.{GLIBC}", wishes.architecture.triple())]);
    match wishes.profile {
        Profile::Release => command.arg("--release"),
        // Names of lines are of no use in a test of packages, and take most of the room.
        Profile::Dev => command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_STRIP", "true"),
    };
    command.args(binaries::functions(places)?.iter().flat_map(|name| ["--package", name]));
    let messages = processes::run_for_stdout("cargo zigbuild", command.stderr(Stdio::inherit()))?;
    if messages.is_none() {
        check_space(places.target())?;
    }
    let messages = messages.ok_or_else(|| Failure::new("the functions do not build, see above"))?;
    Ok(executables(&messages))
}

/// Folders of this machine that the compiler would write into functions, and what it writes in their place. Where a folder
/// is in another one, the later one counts.
fn remapped(places: &Places, tools: &Tools, architecture: Architecture) -> Result<Vec<(PathBuf, String)>> {
    let mut folders = vec![
        (places.root().to_owned(), "/crm-backup".to_owned()),
        (places.target().to_owned(), "/target".to_owned()),
        (tools.sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{}", tools.compiler.commit)),
    ];
    folders.extend(registries(places, architecture)?.into_iter().map(|folder| (folder, "/crates".to_owned())));
    Ok(folders)
}

/// The folders with the sources of crates of others. Their names depend on the registry that the machine uses.
fn registries(places: &Places, architecture: Architecture) -> Result<BTreeSet<PathBuf>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        manifest_path: PathBuf,
        source: Option<String>,
    }
    let mut command = binaries::cargo(places);
    command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", architecture.triple()]);
    let text = processes::run_for_stdout("cargo metadata", &mut command)?;
    let text = text.ok_or_else(|| Failure::new("Cargo cannot list the crates, see above"))?;
    let metadata: Metadata = serde_json::from_str(&text).or_failure(|| "cannot read what Cargo lists".to_owned())?;
    let others = metadata.packages.into_iter().filter(|package| package.source.is_some());
    Ok(others.filter_map(|package| Some(package.manifest_path.parent()?.parent()?.to_owned())).collect())
}

/// The compiler's arguments, as Cargo takes them in a variable.
fn flags(remapped: &[(PathBuf, String)]) -> Result<OsString> {
    let mut flags = Vec::new();
    for (folder, name) in remapped {
        let shown = folder.to_str();
        let folder = shown.ok_or_else(|| Failure::new(format!("the path {} is no text", folder.display())))?;
        flags.push(format!("--remap-path-prefix={folder}={name}"));
    }
    Ok(OsString::from(flags.join("\x1f")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_describes_itself() {
        let compiler = Compiler::described_by(
            "rustc 1.95.0 (abc 2026-04-14)\nbinary: rustc\ncommit-hash: abc1\nrelease: 1.95.0\n",
        );
        assert_eq!((compiler.release.as_str(), compiler.commit.as_str()), ("1.95.0", "abc1"));
    }

    #[test]
    fn a_path_with_a_space_is_one_argument() {
        let remapped = [(PathBuf::from("/my files"), "/a".to_owned()), (PathBuf::from("/b"), "/c".to_owned())];
        let flags = flags(&remapped).expect("arguments");
        assert_eq!(flags, "--remap-path-prefix=/my files=/a\x1f--remap-path-prefix=/b=/c");
    }
}
