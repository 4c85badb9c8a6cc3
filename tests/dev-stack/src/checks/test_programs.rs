//! The test programs: built once, all together, so that no dependency is built twice, then run group by group.

use std::path::PathBuf;
use std::process::Command;

use dev_stack::binaries::build_all;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes;
use serde::Deserialize;

use super::Outcome;

/// The package of the suites that every implementation of a port passes.
const CONTRACTS: &str = "contracts";
/// The package of the journeys through a deployed stack.
const END_TO_END: &str = "end-to-end";

/// Environment variables for test programs.
type Variables<'a> = &'a [(&'static str, String)];

/// A test program.
pub(super) struct TestProgram {
    package: String,
    name: String,
    folder: PathBuf,
    executable: PathBuf,
}

/// Builds all test programs.
pub(super) fn build(places: &Places) -> Result<Vec<TestProgram>> {
    Ok(build_all(places)?.lines().filter_map(test_program).collect())
}

fn test_program(message: &str) -> Option<TestProgram> {
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    #[derive(Deserialize)]
    struct Artifact {
        manifest_path: PathBuf,
        target: Target,
        profile: Profile,
        executable: PathBuf,
    }
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let folder = artifact.manifest_path.parent()?.to_owned();
    // Every crate lies in a folder of its own name.
    let package = folder.file_name()?.to_str()?.to_owned();
    artifact.profile.test.then_some(TestProgram {
        package,
        name: artifact.target.name,
        folder,
        executable: artifact.executable,
    })
}

/// Runs the suites that every implementation of a port passes.
pub(super) fn contracts(built: &[TestProgram], variables: Variables<'_>) -> Result<Outcome> {
    run(built, |package| package == CONTRACTS, variables)
}

/// Runs the journeys through the stack that `variables` name.
pub(super) fn journeys(built: &[TestProgram], variables: Variables<'_>) -> Result<Outcome> {
    run(built, |package| package == END_TO_END, variables)
}

/// Runs all the rest.
pub(super) fn others(built: &[TestProgram], variables: Variables<'_>) -> Result<Outcome> {
    run(built, |package| package != CONTRACTS && package != END_TO_END, variables)
}

/// Runs the test programs of the packages that `of` picks. Shows the output of those that fail.
fn run(built: &[TestProgram], of: impl Fn(&str) -> bool, variables: Variables<'_>) -> Result<Outcome> {
    let mut counts = Counts::default();
    let mut failed = Vec::new();
    for program in built.iter().filter(|program| of(&program.package)) {
        let mut command = Command::new(&program.executable);
        command.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let name = format!("{} {}", program.package, program.name);
        let output = processes::run_for_output(&name, &mut command, "")?;
        let text = String::from_utf8_lossy(&output.stdout);
        counts.add(&text);
        if !output.status.success() {
            eprintln!("{name}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
            failed.push(name);
        }
    }
    match (failed.is_empty(), counts) {
        (false, counts) => Err(Failure::new(format!("{} ({})", failed.join(", "), counts.told()))),
        (true, Counts { passed: 0, .. }) => Ok(Outcome::Skipped("there are no such tests".to_owned())),
        (true, counts) => Ok(Outcome::Passed(counts.told())),
    }
}

/// Single tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds those of a test program's closing line, `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, output: &str) {
        let Some(line) = output.lines().rev().find(|line| line.starts_with("test result:")) else { return };
        let count = |what: &str| {
            let part = line.split(['.', ';']).map(str::trim).find(|part| part.ends_with(what));
            part.and_then(|part| part.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
    }

    fn told(self) -> String {
        let Self { passed, failed, ignored } = self;
        let mut told = format!("{passed} tests passed");
        for (count, what) in [(failed, "failed"), (ignored, "ignored")] {
            if count > 0 {
                told.extend([", ", &count.to_string(), " ", what]);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_a_test_program_is_counted() {
        let mut counts = Counts::default();
        counts.add(
            "running 4 tests\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; finished in 0.01s\n",
        );
        counts.add("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured\n");
        assert_eq!(counts, Counts { passed: 7, failed: 1, ignored: 1 });
        assert_eq!(counts.told(), "7 tests passed, 1 failed, 1 ignored");
    }

    #[test]
    fn a_test_program_is_told_from_other_artifacts() {
        let message = |test| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/x/shared/domain/Cargo.toml",
                "target": { "name": "domain" }, "profile": { "test": test }, "executable": "/x/target/domain-1",
            })
        };
        let program = test_program(&message(true).to_string()).expect("a test program");
        assert_eq!((program.package.as_str(), program.name.as_str()), ("domain", "domain"));
        assert!(test_program(&message(false).to_string()).is_none());
        assert!(test_program(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
