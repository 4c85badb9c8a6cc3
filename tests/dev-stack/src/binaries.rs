//! Building the functions and the sandbox CRM.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;

use crate::failure::{Failure, OrFailure, Result};
use crate::places::{Places, check_space};
use crate::processes;

/// The sandbox CRM's crate and binary.
pub const SANDBOX: &str = "sandbox-crm";

/// A test program. Where one is among what is built, Cargo takes the tests' dependencies into account when it chooses
/// features, as it does for all tests.
const ANY_TEST: &str = "logs";

/// The benchmarks' crate and binary.
pub const BENCH: &str = "bench";

/// Executables by name.
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
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
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

/// Builds all functions, the sandbox CRM and what else `profile` says, and says where their executables are.
///
/// # Errors
/// When they do not build; Cargo has said why.
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

/// Builds the functions of the checkout at `other`, in its own `target/`, and says where their executables are.
///
/// Two checkouts must not share a folder that Cargo builds in: it tells their crates apart by nothing.
///
/// # Errors
/// When they do not build; Cargo has said why.
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
/// When something does not build; Cargo has said why.
pub fn build_all(places: &Places) -> Result<String> {
    let mut command = cargo(places);
    command.args(["build", "--workspace", "--locked", "--lib", "--bins", "--tests"]);
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let messages = processes::run_for_stdout("cargo build", &mut command)?;
    messages.ok_or_else(|| Failure::new("the functions and tests do not build, see above"))
}

/// The executables that Cargo's messages name, test programs left out.
fn executables(messages: &str) -> Executables {
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    #[derive(Deserialize)]
    struct BuiltFor {
        test: bool,
    }
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        profile: BuiltFor,
        executable: PathBuf,
    }
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts
        .filter(|artifact| !artifact.profile.test)
        .map(|artifact| (artifact.target.name, artifact.executable))
        .collect()
}
