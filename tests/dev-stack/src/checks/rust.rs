//! Checks of the sources by Cargo.

use std::process::Command;

use dev_stack::binaries::{cargo, nice_cargo};
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes;

use super::report::Outcome;

/// Runs a command that prints its findings itself.
pub(super) fn passes(name: &str, command: &mut Command) -> Result<Outcome> {
    let status = processes::run(name, command)?;
    if status.success() {
        return Ok(Outcome::Passed(String::new()));
    }
    Err(Failure::new(format!("{name} ended with {status}, see above")))
}

/// Everything is formatted as rustfmt.toml says.
pub(super) fn format(places: &Places) -> Result<Outcome> {
    passes("cargo fmt", cargo(places).args(["fmt", "--all", "--check"]))
}

/// No lint finds anything.
pub(super) fn clippy(places: &Places) -> Result<Outcome> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "--deny", "warnings"];
    passes("cargo clippy", nice_cargo(places).args(arguments))
}

/// The examples in the documentation compile and run.
pub(super) fn documentation_tests(places: &Places) -> Result<Outcome> {
    passes("cargo test --doc", nice_cargo(places).args(["test", "--workspace", "--doc", "--locked", "--quiet"]))
}
