//! The test programs: built together, so that Cargo builds no dependency twice, and run side by side.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;

use dev_stack::binaries::{Built, build_all, built};
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes;

use super::counts::Counts;
use super::report::Outcome;

/// The package of the suites that every implementation of a port passes.
pub(super) const CONTRACTS: &str = "contracts";
/// The package of the journeys through a deployed stack.
pub(super) const END_TO_END: &str = "end-to-end";

/// The slowest programs, by package and name, the slowest first. They start first, so that short ones fill the end.
const SLOWEST: [(&str, &str); 5] =
    [("faults", "restore"), ("faults", "http"), ("faults", "backup"), ("faults", "worlds"), ("fuzz", "targets")];

/// Environment variables for test programs.
pub(super) type Variables<'a> = &'a [(&'static str, String)];

/// Builds all test programs.
pub(super) fn build(places: &Places) -> Result<Vec<Built>> {
    let mut programs: Vec<Built> = built(&build_all(places)?).filter(|built| built.is_test).collect();
    let rank = |program: &Built| {
        SLOWEST
            .iter()
            .position(|(package, name)| (program.package.as_str(), program.name.as_str()) == (*package, *name))
    };
    programs.sort_by_key(|program| rank(program).unwrap_or(SLOWEST.len()));
    Ok(programs)
}

/// A test program, and which of its tests run.
pub(super) struct Run<'a> {
    pub(super) program: &'a Built,
    /// Arguments of the program: parts of test names and options. All tests run without any.
    pub(super) arguments: Vec<String>,
}

impl<'a> Run<'a> {
    /// All tests of a program.
    pub(super) fn all_of(program: &'a Built) -> Self {
        Self { program, arguments: Vec::new() }
    }
}

/// How programs share the machine.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// Programs that run at the same time. Each has as many threads as the machine has cores, so with two the cores
    /// have work while the last slow test of one program runs.
    pub(super) at_once: usize,
    /// Whether other programs get the processor first.
    pub(super) is_nice: bool,
}

impl Share {
    /// For a group of programs that has the machine to itself.
    pub(super) const WHOLE: Self = Self { at_once: 2, is_nice: false };
    /// For work that fills the processor's idle time.
    pub(super) const IDLE: Self = Self { at_once: 2, is_nice: true };
    /// For programs that must not run beside each other.
    pub(super) const ONE_BY_ONE: Self = Self { at_once: 1, is_nice: false };
}

/// Runs test programs and counts their tests. Prints the output of each program that fails.
pub(super) fn run(runs: Vec<Run<'_>>, variables: Variables<'_>, share: Share) -> Result<Outcome> {
    let left = Mutex::new(VecDeque::from(runs));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let results = Mutex::new((Counts::default(), Vec::new()));
    let work = || -> Result<()> {
        while let Some(run) = next() {
            let name = format!("{} {}", run.program.package, run.program.name);
            let mut command = run.program.command(variables, share.is_nice);
            let output = processes::run_for_output(&name, command.args(&run.arguments), "")?;
            let text = String::from_utf8_lossy(&output.stdout);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.0.add(&text);
            if !output.status.success() {
                eprintln!("{name}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
                results.1.push(name);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..share.at_once).map(|_| scope.spawn(work)).collect();
        let lost = || Failure::new("a test program was lost");
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| lost())?)
    })?;
    let (counts, failed) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (failed.is_empty(), counts) {
        (false, counts) => Err(Failure::new(format!("{} ({})", failed.join(", "), counts.in_words()))),
        (true, Counts { passed: 0, .. }) => Ok(Outcome::Skipped("there are no such tests".to_owned())),
        (true, counts) => Ok(Outcome::Passed(counts.in_words())),
    }
}
