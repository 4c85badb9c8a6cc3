//! `cargo dev test` and `cargo dev check`: the checks of the project, each timed, with a summary at the end. After a
//! failure the other checks still run. The summary names what this machine lacks.

mod browser;
mod changes;
mod chosen;
mod counts;
mod journeys;
mod npm;
mod on_path;
mod report;
mod rust;
mod services;
mod test_programs;
mod tools;

use std::thread;

use dev_stack::binaries::Built;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::python::Environment;

use self::report::{Outcome, Report};
use self::test_programs::{CONTRACTS, Run, Share};

pub(crate) use self::services::Services;

/// How long each parser of bytes from outside gets changed inputs.
const FUZZ_SECONDS: &str = "30";

/// The number from which those inputs follow. It is the same each time, so a check fails only for what has changed.
/// Runs by hand take other numbers.
const FUZZ_SEED: &str = "12";

/// The package of the fault tests, which take most of the time.
const FAULTS: &str = "faults";

/// Starts the services beside memory that this machine can run.
pub(crate) fn services(places: &Places) -> Services {
    Services::start(places, &Report::new(false))
}

/// Runs all checks.
///
/// The journeys wait most of the time. What needs only the processor runs beside them and leaves it to them.
///
/// # Errors
/// When one of them has failed; the summary names it.
pub(crate) fn all(places: &Places, require_all: bool) -> Result<()> {
    let report = Report::new(require_all);
    report.check("format", || rust::format(places));
    let mut built = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| report.check("packages for the checks", || packages(places)));
        report.check("build of the tests", || {
            built = test_programs::build(places)?;
            Ok(Outcome::Passed(format!("{} test programs", built.len())))
        });
    });
    let services = Services::start(places, &report);
    let (contracts, journeys, others) = by_need(built.iter().map(Run::all_of));
    thread::scope(|scope| {
        scope.spawn(|| {
            report.check("unit, property and fault tests", || {
                let variables = variables(places, &services, |_| true)?;
                test_programs::run(others, &variables, Share::IDLE)
            });
            report.check("documentation tests", || rust::documentation_tests(places));
            report.check("clippy", || rust::clippy(places));
            report.check("template (cfn-lint)", || tools::template(places));
            report.check("template (sam validate)", || tools::sam_validate(places));
            report.check("template (checkov)", || tools::checkov(places));
            report.check("spelling", || tools::spelling(places));
            report.check("scripts", || tools::scripts(places));
            report.check("cargo-deny", || tools::cargo_deny(places));
        });
        let run = || test_programs::run(contracts, services.environment(), Share::WHOLE);
        report.check("contract tests", run);
        journeys::run(places, &report, journeys, Some(&[]));
    });
    report.close()
}

/// Runs the tests that `names` choose, with the services that they need.
///
/// # Errors
/// When there are no such tests or one has failed.
pub(crate) fn named(places: &Places, require_all: bool, names: &[String]) -> Result<()> {
    let report = Report::new(require_all);
    if let Some(words) = browser::words(names) {
        journeys::run(places, &report, Vec::new(), Some(&words));
        return report.close();
    }
    let built = test_programs::build(places)?;
    let (contracts, journeys, others) = by_need(chosen::of(&built, names)?.into_iter());
    let need_services = !contracts.is_empty() || others.iter().any(|run| run.program.package == FAULTS);
    let services = if need_services { Services::start(places, &report) } else { Services::default() };
    if !others.is_empty() {
        report.check("unit, property and fault tests", || {
            let packages: Vec<String> = others.iter().map(|run| run.program.package.clone()).collect();
            let variables = variables(places, &services, |package| packages.iter().any(|one| one == package))?;
            test_programs::run(others, &variables, Share::WHOLE)
        });
    }
    if !contracts.is_empty() {
        let run = || test_programs::run(contracts, services.environment(), Share::WHOLE);
        report.check("contract tests", run);
    }
    drop(services);
    if !journeys.is_empty() {
        journeys::run(places, &report, journeys, None);
    }
    report.close()
}

/// Which crates `cargo dev check` tests.
pub(crate) enum Scope<'a> {
    All,
    /// Crates with changes since a revision, and those that depend on them.
    Since(&'a str),
}

/// Runs the checks that need no service and little time.
///
/// # Errors
/// When one of them has failed; the summary names it.
pub(crate) fn quick(places: &Places, scope: &Scope<'_>) -> Result<()> {
    let crates = match scope {
        Scope::All => changes::all_crates(places)?,
        Scope::Since(revision) => changes::crates_to_test(places, revision)?,
    };
    let report = Report::new(false);
    report.check("format", || rust::format(places));
    report.check("spelling", || tools::spelling(places));
    report.check("clippy", || rust::clippy(places));
    let mut built = Vec::new();
    report.check("build of the tests", || {
        built = test_programs::build(places)?;
        Ok(Outcome::Passed(format!("{} test programs", built.len())))
    });
    let of = |is_of: &dyn Fn(&Built) -> bool| built.iter().filter(|program| is_of(program)).map(Run::all_of).collect();
    report.check("structure", || test_programs::run(of(&|program| program.package == "structure"), &[], Share::WHOLE));
    report.check("unit tests", || {
        let is_quick = |program: &Built| program.package != FAULTS || program.is_of_library;
        let runs: Vec<Run<'_>> = of(&|program| crates.contains(&program.package) && is_quick(program));
        let (_, _, runs) = by_need(runs.into_iter());
        if runs.is_empty() {
            return Ok(Outcome::Skipped("no crate has changed".to_owned()));
        }
        test_programs::run(runs, &[], Share::WHOLE)
    });
    report.close()
}

/// Contract tests, journeys, and all other tests.
fn by_need<'a>(runs: impl Iterator<Item = Run<'a>>) -> (Vec<Run<'a>>, Vec<Run<'a>>, Vec<Run<'a>>) {
    let (journeys, rest): (Vec<_>, Vec<_>) = runs.partition(|run| journeys::are_in(run.program));
    let (contracts, others) = rest.into_iter().partition(|run| run.program.package == CONTRACTS);
    (contracts, journeys, others)
}

/// The environment variables of the unit, property and fault tests of the packages that `is_run` picks.
fn variables(
    places: &Places,
    services: &Services,
    is_run: impl Fn(&str) -> bool,
) -> Result<Vec<(&'static str, String)>> {
    let mut variables = services.environment().to_vec();
    if is_run("sandbox-crm") {
        let client = crm_client(places)?;
        variables.push(("SANDBOX_OFFICIAL_CLIENT_PYTHON", client.program("python").display().to_string()));
    }
    if is_run("archive") {
        variables.push(("READERS_PYTHONS", journeys::readers_pythons(places)?));
    }
    variables.push(("FUZZ_SECONDS", FUZZ_SECONDS.to_owned()));
    variables.push(("FUZZ_SEED", FUZZ_SEED.to_owned()));
    Ok(variables)
}

fn crm_client(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("crm-client-venv"), "crm-client.txt")
}

/// Fetches what later checks need, while Cargo builds. A lack is a matter of the check that needs it.
fn packages(places: &Places) -> Result<Outcome> {
    let fetched = [
        tools::environment(places).map(drop),
        tools::sam(places).map(drop),
        tools::checkov_environment(places).map(drop),
        services::localstack_environment(places).map(drop),
        services::fetch_dynamodb_local(places).map(drop),
        crm_client(places).map(drop),
        journeys::readers_pythons(places).map(drop),
        journeys::shell_lines(places).map(drop),
        browser::fetch(places).map(drop),
    ];
    let failed: Vec<String> =
        fetched.into_iter().filter_map(|one| one.err().map(|failure| failure.to_string())).collect();
    if failed.is_empty() { Ok(Outcome::Passed(String::new())) } else { Err(Failure::new(failed.join("; "))) }
}
