//! The journeys through a deployed stack.

use std::env;

use dev_stack::failure::{OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::python::Environment;
use dev_stack::stack::{IMPATIENT, Running, STACK_FILE, Wishes};

use super::test_programs::{self, TestProgram};
use super::tools::on_path;
use super::{Outcome, Report};

/// Brings a stack up and runs the end-to-end tests on it. They leave out what this machine lacks; it is named here.
pub(super) fn run(places: &Places, report: &mut Report, built: &[TestProgram]) {
    let require_all = report.require_all;
    report.check("7-Zip as a reader of archives", || Ok(present(&["7z", "7zz", "7za"], "7-Zip")));
    report.check("Info-ZIP as a reader of archives", || Ok(present(&["unzip"], "unzip")));
    report.check("end-to-end tests", || {
        let readers = readers(places, "readers")?;
        let aws = Environment::prepare(places, places.dev().join("shell-lines-venv"), "shell-lines.txt")?;
        let wishes = Wishes { name: "test", parameters: &IMPATIENT, issuer: true, ..Wishes::default() };
        let running = Running::bring_up(places, wishes)?;
        let mut variables = vec![
            (STACK_FILE, running.state_file().display().to_string()),
            ("PATH", readers.in_front_of(aws.first_on_path().as_ref())),
        ];
        if require_all {
            variables.push(("REQUIRE_ALL", "1".to_owned()));
        }
        test_programs::journeys(built, &variables)
    });
}

/// The Pythons that have pandas and `DuckDB`, the lowest versions of docs/admin.md and newer ones, as on a PATH.
pub(super) fn readers_pythons(places: &Places) -> Result<String> {
    let pythons =
        [readers(places, "lowest-readers")?, readers(places, "readers")?].map(|python| python.program("python"));
    let joined = env::join_paths(pythons).or_failure(|| "the checkout's path has a colon in it".to_owned())?;
    Ok(joined.to_string_lossy().into_owned())
}

fn readers(places: &Places, name: &str) -> Result<Environment> {
    Environment::prepare(places, places.dev().join(format!("{name}-venv")), &format!("{name}.txt"))
}

fn present(names: &[&str], what: &str) -> Outcome {
    match on_path(names) {
        Some(name) => Outcome::Passed(name),
        None => Outcome::Skipped(format!("there is no {what}")),
    }
}
