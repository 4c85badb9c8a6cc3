//! `cargo dev test`: every check of the project, one after the other, each timed, with a summary at the end. A failure
//! does not keep the others from running; what this machine lacks for a check is named.

mod dynamodb_local;
mod journeys;
mod rust;
mod services;
mod test_programs;
mod tools;

use std::time::{Duration, Instant};

use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::python::Environment;

pub(crate) use services::Services;

/// How long each parser of bytes from outside is fed with changed inputs.
const FUZZ_SECONDS: &str = "10";

/// Where those inputs begin: the same every time, so that a check fails for what has changed and for nothing else. Runs by
/// hand take other numbers.
const FUZZ_SEED: &str = "12";

/// How a check ended.
pub(crate) enum Outcome {
    /// All is well; a few words on what was looked at, or none.
    Passed(String),
    /// This machine lacks something, or there is nothing to look at: what.
    Skipped(String),
}

/// A check that has ended.
struct Entry {
    name: String,
    outcome: Result<Outcome>,
    took: Duration,
}

/// Runs checks and remembers how they ended.
struct Report {
    require_all: bool,
    entries: Vec<Entry>,
}

impl Report {
    /// Runs a check. Where everything is required, a skip is a failure.
    fn check(&mut self, name: &str, check: impl FnOnce() -> Result<Outcome>) {
        eprintln!("── {name}");
        let began = Instant::now();
        let mut outcome = check();
        if let (true, Ok(Outcome::Skipped(lack))) = (self.require_all, &outcome) {
            outcome = Err(Failure::new(format!("skipped, and all checks are required: {lack}")));
        }
        let took = began.elapsed();
        eprintln!("   {} after {:.1} s", told(&outcome), took.as_secs_f64());
        self.entries.push(Entry { name: name.to_owned(), outcome, took });
    }

    fn count(&self, which: impl Fn(&Result<Outcome>) -> bool) -> usize {
        self.entries.iter().filter(|entry| which(&entry.outcome)).count()
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// When a check has failed.
    fn close(self) -> Result<()> {
        println!();
        for Entry { name, outcome, took } in &self.entries {
            println!("{:>7.1} s  {name}: {}", took.as_secs_f64(), told(outcome));
        }
        let total: Duration = self.entries.iter().map(|entry| entry.took).sum();
        let failed = self.count(std::result::Result::is_err);
        let skipped = self.count(|outcome| matches!(outcome, Ok(Outcome::Skipped(_))));
        println!("{:>7.1} s  in all", total.as_secs_f64());
        println!();
        println!("{} passed, {failed} failed, {skipped} skipped", self.entries.len() - failed - skipped);
        if failed == 0 { Ok(()) } else { Err(Failure::new(format!("{failed} of the checks failed"))) }
    }
}

fn told(outcome: &Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome::Passed(detail)) if detail.is_empty() => "passed".to_owned(),
        Ok(Outcome::Passed(detail)) => format!("passed ({detail})"),
        Ok(Outcome::Skipped(lack)) => format!("skipped: {lack}"),
        Err(failure) => format!("FAILED: {failure}"),
    }
}

/// Starts what tests run on beside memory, as far as this machine has it.
pub(crate) fn services(places: &Places) -> Services {
    Services::start(places, &mut Report { require_all: false, entries: Vec::new() })
}

/// Runs all checks.
///
/// # Errors
/// When one of them has failed; the summary says which.
pub(crate) fn run(places: &Places, require_all: bool) -> Result<()> {
    let mut report = Report { require_all, entries: Vec::new() };
    report.check("format", || rust::format(places));
    report.check("clippy", || rust::clippy(places));
    report.check("cargo-deny", || tools::cargo_deny(places));
    report.check("template", || tools::template(places));
    let mut built = Vec::new();
    report.check("build of the tests", || {
        built = test_programs::build(places)?;
        Ok(Outcome::Passed(format!("{} test programs", built.len())))
    });
    report.check("documentation tests", || rust::documentation_tests(places));
    let services = Services::start(places, &mut report);
    report.check("contract tests", || test_programs::contracts(&built, services.environment()));
    report.check("unit, property and fault tests", || {
        let client = Environment::prepare(places, places.dev().join("crm-client-venv"), "crm-client.txt")?;
        let mut variables = services.environment().to_vec();
        variables.push(("SANDBOX_OFFICIAL_CLIENT_PYTHON", client.program("python").display().to_string()));
        variables.push(("READERS_PYTHONS", journeys::readers_pythons(places)?));
        variables.push(("FUZZ_SECONDS", FUZZ_SECONDS.to_owned()));
        variables.push(("FUZZ_SEED", FUZZ_SEED.to_owned()));
        test_programs::others(&built, &variables)
    });
    drop(services);
    journeys::run(places, &mut report, &built);
    report.close()
}
