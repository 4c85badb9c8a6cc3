//! Builds the tests of the copy and runs them until one fails.

use std::fmt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dev_stack::binaries::{self, Built, cargo};
use dev_stack::failure::{Failure, Result};
use dev_stack::processes::{self, Group};

use super::copy::Copy;
use super::fault::{Fault, Tests};

/// How long tests may take to notice a fault, once they are built.
const PATIENCE: Duration = Duration::from_mins(5);

/// The packages that are built together, whichever of them is tried: Cargo chooses the features of dependencies by
/// them, and builds anew what has others.
const PACKAGES: [&str; 6] = ["domain", "workflows", "archive", "hubspot", "in-memory", "faults"];

/// Whether tests have noticed a fault.
pub(super) enum Verdict {
    Noticed {
        by: String,
    },
    NotNoticed,
    /// The tests still run after [`PATIENCE`].
    NoEnd,
    /// The sources with the fault do not build.
    DoesNotBuild,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noticed { by } => write!(f, "noticed by {by}"),
            Self::NotNoticed => f.write_str("NOT noticed"),
            Self::NoEnd => write!(f, "NOT noticed within {} s", PATIENCE.as_secs()),
            Self::DoesNotBuild => f.write_str("DOES NOT BUILD"),
        }
    }
}

/// What is needed to try faults.
pub(super) struct Trials<'a> {
    pub(super) copy: &'a Copy,
    /// Variables with the addresses of services.
    pub(super) variables: &'a [(&'static str, String)],
}

impl Trials<'_> {
    /// Whether the tests of `fault` notice it while it is in the copy.
    pub(super) fn of(&self, fault: &Fault) -> Result<Verdict> {
        let mut verdict = Verdict::NotNoticed;
        for tests in &fault.tests {
            verdict = self.of_tests(tests)?;
            if matches!(verdict, Verdict::Noticed { .. } | Verdict::DoesNotBuild) {
                break;
            }
        }
        Ok(verdict)
    }

    /// Whether these tests fail in the copy as it is.
    pub(super) fn of_tests(&self, tests: &Tests) -> Result<Verdict> {
        match built(self.copy, tests)? {
            Some(program) => self.run(tests, &program),
            None => Ok(Verdict::DoesNotBuild),
        }
    }

    /// Runs the program until a test fails, all have passed or [`PATIENCE`] is over.
    fn run(&self, tests: &Tests, program: &Built) -> Result<Verdict> {
        let mut command = program.command(self.variables, false);
        command.args(&tests.words);
        let log = self.copy.places().target().join("tests.log");
        let began = Instant::now();
        let mut group = Group::start(&tests.package, &mut command, &log)?;
        loop {
            let is_running = group.check_running().is_ok();
            if let Some(by) = failed_test(&group.output()) {
                return Ok(Verdict::Noticed { by: format!("{} {} {by}", tests.package, tests.program) });
            }
            if !is_running {
                return ended(&group.output(), tests);
            }
            if began.elapsed() > PATIENCE {
                return Ok(Verdict::NoEnd);
            }
            sleep(Duration::from_millis(100));
        }
    }
}

/// Builds the program of `tests`; None where it does not build.
fn built(copy: &Copy, tests: &Tests) -> Result<Option<Built>> {
    let mut command = cargo(copy.places());
    command.env("CARGO_TARGET_DIR", copy.places().target());
    command.args(["test", "--no-run", "--quiet", "--locked", "--message-format=json-render-diagnostics"]);
    let other = (!PACKAGES.contains(&tests.package.as_str())).then_some(tests.package.as_str());
    command.args(PACKAGES.into_iter().chain(other).flat_map(|package| ["--package", package]));
    match tests.program.as_str() {
        "lib" => command.arg("--lib"),
        program => command.args(["--test", program]),
    };
    let Some(messages) = processes::run_for_stdout("cargo test", command.stderr(Stdio::inherit()))? else {
        return Ok(None);
    };
    let program = binaries::built(&messages).find(|program| is_of(program, tests));
    program.map(Some).ok_or_else(|| Failure::new(format!("there is no test program '{tests}'")))
}

/// Whether this is the program of `tests`.
fn is_of(program: &Built, tests: &Tests) -> bool {
    let is_named = match tests.program.as_str() {
        "lib" => program.is_of_library,
        name => program.name == name && !program.is_of_library,
    };
    program.is_test && program.package == tests.package && is_named
}

/// The first test that has failed.
fn failed_test(output: &str) -> Option<String> {
    // A line that a test writes itself may stand before its result.
    let failed = output.lines().find(|line| line.ends_with("... FAILED"));
    let name = |line: &str| line.rsplit("test ").next().and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let failed = failed.and_then(name)?;
    Some(format!("{failed}{}", failed_world(output).map_or_else(String::new, |world| format!(", world {world}"))))
}

/// The number of the world that failed, if a test goes through many worlds and prints them.
fn failed_world(output: &str) -> Option<u64> {
    let mut numbers =
        output.lines().filter_map(|line| line.strip_prefix("world ")?.split_once(" fails")?.0.parse().ok());
    numbers.next_back()
}

/// The verdict on a program that has ended without a failed test.
fn ended(output: &str, tests: &Tests) -> Result<Verdict> {
    let Some(result) = output.lines().rev().find(|line| line.starts_with("test result: ok")) else {
        return Ok(Verdict::Noticed { by: format!("{tests}, which ended before its tests did") });
    };
    if result.contains(" 0 passed") {
        return Err(Failure::new(format!("there are no tests '{tests}'")));
    }
    Ok(Verdict::NotNoticed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests() -> Tests {
        Tests { package: "faults".to_owned(), program: "restore".to_owned(), words: Vec::new() }
    }

    #[test]
    fn the_first_failed_test_is_found_also_behind_what_a_test_writes() {
        let output = "running 3 tests\ntest a::b ... ok\n2 calls: test a::c ... FAILED\ntest a::d ... FAILED\n";
        assert_eq!(failed_test(output).as_deref(), Some("a::c"));
        assert_eq!(failed_test("test a::b ... ok\n"), None);
        let world = "world 46 fails: panicked at somewhere\ntest worlds ... FAILED\n";
        assert_eq!(failed_test(world).as_deref(), Some("worlds, world 46"));
    }

    #[test]
    fn a_program_that_ends_without_a_result_has_noticed_and_one_without_tests_is_an_error() {
        assert!(matches!(ended("test result: ok. 3 passed; 0 failed", &tests()), Ok(Verdict::NotNoticed)));
        assert!(matches!(ended("thread main has overflowed its stack", &tests()), Ok(Verdict::Noticed { .. })));
        assert!(ended("test result: ok. 0 passed; 0 failed", &tests()).is_err());
    }
}
