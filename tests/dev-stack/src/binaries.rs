//! Building the functions and the sandbox CRM.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;

use crate::failure::{Failure, OrFailure, Result};
use crate::places::{Places, check_space};
use crate::processes;

/// The sandbox CRM's crate and binary.
pub const SANDBOX: &str = "sandbox-crm";

/// A test program. It is built as well, so that Cargo chooses the same features of dependencies as it does for all
/// tests.
const ANY_TEST: &str = "logs";

/// The benchmarks' crate and binary.
pub const BENCH: &str = "bench";

/// The argument of `nice` for work beside the journeys, which go first.
const NICENESS: &str = "10";

/// Paths of executables by the names of their programs.
pub type Executables = BTreeMap<String, PathBuf>;

/// How executables are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// As for tests: quick to build, and with the same features of dependencies, so that none is built twice.
    #[default]
    Dev,
    /// As for AWS: small and fast. Together with the benchmarks, so that no dependency is built twice.
    Release,
}

/// A Cargo command in the checkout, as if typed into a fresh terminal: what `cargo run` puts into the environment for
/// this tool would make build scripts run again.
pub fn cargo(places: &Places) -> Command {
    prepared(Command::new(program()), places)
}

/// The same at a low priority, for work beside tests that wait for services.
pub fn nice_cargo(places: &Places) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", NICENESS]).arg(program());
    prepared(command, places)
}

fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// A command in the checkout, without what `cargo run` puts into the environment for this tool.
pub(crate) fn prepared(mut command: Command, places: &Places) -> Command {
    command.current_dir(places.root());
    let of_this_crate = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| of_this_crate.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// The functions of this checkout, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn functions(places: &Places) -> Result<Vec<String>> {
    let folder = places.root().join("functions");
    let entries = fs::read_dir(&folder).or_failure(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().join("Cargo.toml").exists()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Builds all functions, the sandbox CRM and what `profile` adds. Returns their executables.
///
/// # Errors
/// When they do not build. Cargo has printed why.
pub fn build(places: &Places, profile: Profile) -> Result<Executables> {
    let mut command = cargo(places);
    command.args(["build", "--bins", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
    match profile {
        Profile::Dev => command.args(["--workspace", "--test", ANY_TEST]),
        Profile::Release => {
            let mut packages = functions(places)?;
            packages.extend([SANDBOX, BENCH].map(str::to_owned));
            command.arg("--release").args(packages.iter().flat_map(|name| ["--package", name]))
        }
    };
    let messages = processes::run_for_stdout("cargo build", &mut command)?;
    if messages.is_none() {
        check_space(places.target())?;
    }
    let messages = messages.ok_or_else(|| Failure::new("the functions do not build, see above"))?;
    Ok(executables(&messages))
}

/// Builds the functions of the checkout at `other`, in its own `target/`. Returns their executables.
///
/// Two checkouts must not share a folder that Cargo builds in, because Cargo cannot distinguish their crates.
///
/// # Errors
/// When they do not build. Cargo has printed why.
pub fn build_other(other: &Path) -> Result<Executables> {
    let places = Places::new(other.to_owned(), other.join("target"));
    let mut command = cargo(&places);
    command.env("CARGO_TARGET_DIR", places.target());
    command.args(["build", "--bins", "--workspace", "--test", ANY_TEST]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let messages = processes::run_for_stdout("cargo build", &mut command)?;
    let messages = messages.ok_or_else(|| Failure::new(format!("{} does not build, see above", other.display())))?;
    Ok(executables(&messages))
}

/// Builds all executables and all test programs, and returns Cargo's messages about them, one JSON document a line.
///
/// # Errors
/// When something does not build. Cargo has printed why.
pub fn build_all(places: &Places) -> Result<String> {
    let mut command = cargo(places);
    command.args(["build", "--workspace", "--locked", "--lib", "--bins", "--tests"]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let messages = processes::run_for_stdout("cargo build", &mut command)?;
    messages.ok_or_else(|| Failure::new("the functions and tests do not build, see above"))
}

/// An executable that Cargo has built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The name of its crate, which is also the name of the crate's folder.
    pub package: String,
    /// The name of the library, program or test program.
    pub name: String,
    /// Whether it contains the tests inside a library.
    pub is_of_library: bool,
    pub is_test: bool,
    pub folder: PathBuf,
    pub executable: PathBuf,
}

impl Built {
    /// Runs it as `cargo test` does, with more environment variables. If it `is_nice`, other programs get the processor
    /// first.
    pub fn command(&self, variables: &[(&'static str, String)], is_nice: bool) -> Command {
        let mut command = Command::new(if is_nice { OsStr::new("nice") } else { self.executable.as_os_str() });
        if is_nice {
            command.args(["-n", NICENESS]).arg(&self.executable);
        }
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The executables that Cargo's messages name.
pub fn built(messages: &str) -> impl Iterator<Item = Built> {
    messages.lines().filter_map(executable)
}

fn executable(message: &str) -> Option<Built> {
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    #[derive(Deserialize)]
    struct BuiltFor {
        test: bool,
    }
    #[derive(Deserialize)]
    struct Artifact {
        manifest_path: PathBuf,
        target: Target,
        profile: BuiltFor,
        executable: PathBuf,
    }
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let folder = artifact.manifest_path.parent()?.to_owned();
    Some(Built {
        package: folder.file_name()?.to_str()?.to_owned(),
        name: artifact.target.name,
        is_of_library: artifact.target.kind.iter().any(|kind| kind == "lib"),
        is_test: artifact.profile.test,
        folder,
        executable: artifact.executable,
    })
}

/// The programs that Cargo's messages name, without test programs.
pub(crate) fn executables(messages: &str) -> Executables {
    built(messages).filter(|built| !built.is_test).map(|built| (built.name, built.executable)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_the_messages_of_cargo() {
        let message = |test| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/x/shared/domain/Cargo.toml",
                "target": { "name": "domain", "kind": ["lib"] }, "profile": { "test": test },
                "executable": "/x/target/domain-1",
            })
            .to_string()
        };
        let messages = [message(true), message(false), r#"{"reason":"build-finished","success":true}"#.to_owned()];
        let found: Vec<_> = built(&messages.join("\n")).collect();
        let of = |built: &Built| (built.package.clone(), built.name.clone(), built.is_of_library, built.is_test);
        let domain = |is_test| ("domain".to_owned(), "domain".to_owned(), true, is_test);
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), [domain(true), domain(false)]);
        assert_eq!(found[0].folder, Path::new("/x/shared/domain"));
    }
}
