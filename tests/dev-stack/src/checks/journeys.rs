//! The journeys through a deployed stack.

use std::env;

use dev_stack::binaries::Built;
use dev_stack::failure::{OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::python::Environment;
use dev_stack::stack::{IMPATIENT, Running, STACK_FILE, Wishes};

use super::browser;
use super::on_path::on_path;
use super::report::{Outcome, Report};
use super::test_programs::{self, END_TO_END, Run, Share};

/// Threads of a program of journeys. They wait most of the time, so these are more than the machine has cores. Five
/// journeys go through the stack at the same time, however many threads there are.
const THREADS: &str = "8";

/// Programs that kill functions of the stack, so no other journey may run beside them.
const KILLERS: [&str; 2] = ["killed_functions", "killed_restores"];

/// Brings a stack up and runs journeys on it: those of `runs`, then those in a browser that have all words of `browser`
/// in their names. They leave out what this machine lacks, and the report names it.
pub(super) fn run(places: &Places, report: &Report, runs: Vec<Run<'_>>, browser: Option<&[&str]>) {
    if !runs.is_empty() {
        report.check("7-Zip as a reader of archives", || Ok(present(&["7z", "7zz", "7za"], "7-Zip")));
        report.check("Info-ZIP as a reader of archives", || Ok(present(&["unzip"], "unzip")));
    }
    let mut stack = None;
    report.check("stack for the journeys", || {
        let wishes = Wishes { name: "test", parameters: &IMPATIENT, issuer: true, ..Wishes::default() };
        let running = Running::bring_up(places, wishes)?;
        let api = running.stack().api_url.clone();
        let variables = if runs.is_empty() { Vec::new() } else { variables(places, report, &running)? };
        stack = Some((variables, running));
        Ok(Outcome::Passed(api))
    });
    // The failure is in the report.
    let Some((variables, running)) = stack else { return };
    let (killing, others): (Vec<_>, Vec<_>) = runs.into_iter().map(with_threads).partition(|run| kills(run.program));
    if !others.is_empty() {
        report.check("journeys", || test_programs::run(others, &variables, Share { at_once: 3, ..Share::WHOLE }));
    }
    if let Some(words) = browser {
        report.check("journeys in a browser", || browser::run(places, running.state_file(), words));
    }
    if !killing.is_empty() {
        report.check("journeys through dying functions", || test_programs::run(killing, &variables, Share::ONE_BY_ONE));
    }
}

/// Whether a program holds journeys.
pub(super) fn are_in(program: &Built) -> bool {
    program.package == END_TO_END
}

fn kills(program: &Built) -> bool {
    KILLERS.contains(&program.name.as_str())
}

fn with_threads(mut run: Run<'_>) -> Run<'_> {
    run.arguments.push(format!("--test-threads={THREADS}"));
    run
}

fn variables(places: &Places, report: &Report, running: &Running) -> Result<Vec<(&'static str, String)>> {
    let readers = readers(places)?;
    let aws = shell_lines(places)?;
    let mut variables = vec![
        (STACK_FILE, running.state_file().display().to_string()),
        ("PATH", readers.in_front_of(aws.first_on_path().as_ref())),
    ];
    if report.require_all {
        variables.push(("REQUIRE_ALL", "1".to_owned()));
    }
    Ok(variables)
}

/// The Pythons with pandas and `DuckDB`, as on a PATH: the lowest versions of docs/admin.md and newer ones.
pub(super) fn readers_pythons(places: &Places) -> Result<String> {
    let pythons = [lowest_readers(places)?, readers(places)?].map(|python| python.program("python"));
    let joined = env::join_paths(pythons).or_failure(|| "the checkout's path has a colon in it".to_owned())?;
    Ok(joined.to_string_lossy().into_owned())
}

fn readers(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("readers-venv"), "readers.txt")
}

fn lowest_readers(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("lowest-readers-venv"), "lowest-readers.txt")
}

/// The Python environment of the shell lines.
pub(super) fn shell_lines(places: &Places) -> Result<Environment> {
    Environment::prepare(places, places.dev().join("shell-lines-venv"), "shell-lines.txt")
}

fn present(names: &[&str], what: &str) -> Outcome {
    match on_path(names) {
        Some(name) => Outcome::Passed(name),
        None => Outcome::Skipped(format!("there is no {what}")),
    }
}
