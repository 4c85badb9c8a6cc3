//! Checks by other programs, which are installed under `target/` at fixed versions.

use std::path::PathBuf;
use std::process::Command;

use dev_stack::binaries::nice_cargo;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes;
use dev_stack::python::Environment;

use super::report::Outcome;
use super::rust::passes;

/// A program from a registry of crates.
struct Tool {
    package: &'static str,
    program: &'static str,
    version: &'static str,
}

const CARGO_DENY: Tool = Tool { package: "cargo-deny", program: "cargo-deny", version: "0.20.2" };

/// Licences, banned crates and sources are as deny.toml says.
pub(super) fn cargo_deny(places: &Places) -> Result<Outcome> {
    let mut check = Command::new(CARGO_DENY.installed(places)?);
    check.current_dir(places.root()).args(["--log-level", "error", "--locked", "check", "bans", "licenses", "sources"]);
    passes("cargo deny", &mut check)?;
    Ok(Outcome::Passed("licences, bans, sources; advisories need a database from the network".to_owned()))
}

/// Words are spelt as in English, or as _typos.toml lists them.
pub(super) fn spelling(places: &Places) -> Result<Outcome> {
    let mut check = environment(places)?.command("typos");
    // What Git ignores is not ours.
    passes("typos", check.current_dir(places.root()).args(["--format", "brief"]))
}

/// cfn-lint finds nothing in the template.
pub(super) fn template(places: &Places) -> Result<Outcome> {
    let mut lint = environment(places)?.command("cfn-lint");
    passes("cfn-lint", lint.current_dir(places.root()).arg("infra/template.yaml"))
}

/// The Python environment of cfn-lint, typos and the emulator.
pub(super) fn environment(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("venv"), "requirements.txt")
}

impl Tool {
    /// Where it is, once it is installed.
    fn installed(&self, places: &Places) -> Result<PathBuf> {
        let Self { package, program, version } = self;
        let tools = places.tools();
        let path = tools.join("bin").join(program);
        let answer = Command::new(&path).arg("--version").output();
        if answer.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(version)) {
            return Ok(path);
        }
        let mut install = nice_cargo(places);
        // Built like a test rather than a product: it runs for a second, and optimising it takes minutes.
        install.args(["install", "--locked", "--debug", "--force", "--version", version, "--root"]).arg(&tools);
        install.args(["--quiet", package]).env("CARGO_TARGET_DIR", tools.join("build"));
        if processes::run("cargo install", &mut install)?.success() {
            return Ok(path);
        }
        Err(Failure::new(format!("{package} {version} cannot be installed, see above")))
    }
}
