//! The tests that a person names on the command line.

use std::collections::{BTreeMap, BTreeSet};

use dev_stack::binaries::Built;
use dev_stack::failure::{Failure, Result};
use dev_stack::processes;

use super::test_programs::Run;

/// The tests that `names` choose: first a package or a test program, then words of the names of tests. Each part may be
/// missing. A test has to have all words.
///
/// # Errors
/// When there are no such tests. The failure lists all packages and test programs.
pub(super) fn of<'a>(built: &'a [Built], names: &[String]) -> Result<Vec<Run<'a>>> {
    let words: Vec<&str> = names.iter().flat_map(|name| name.split_whitespace()).collect();
    let (programs, words) = programs(built, &words);
    if words.is_empty() {
        return Ok(programs.into_iter().map(Run::all_of).collect());
    }
    let mut runs = Vec::new();
    for program in programs {
        let mut arguments = tests_of(program)?;
        arguments.retain(|test| words.iter().all(|word| test.contains(word)));
        if !arguments.is_empty() {
            arguments.push("--exact".to_owned());
            runs.push(Run { program, arguments });
        }
    }
    if runs.is_empty() {
        return Err(Failure::new(format!("there is no test '{}'; there are {}", names.join(" "), all(built))));
    }
    Ok(runs)
}

/// The programs that the first words name, and the other words. All programs, if the first word names nothing.
fn programs<'a, 'w>(built: &'a [Built], words: &'w [&'w str]) -> (Vec<&'a Built>, &'w [&'w str]) {
    let those = |is_it: &dyn Fn(&Built) -> bool| built.iter().filter(|program| is_it(program)).collect::<Vec<_>>();
    let [first, others @ ..] = words else { return (those(&|_| true), words) };
    let of_package = those(&|program| program.package == *first);
    if of_package.is_empty() {
        let named = those(&|program| is_called(program, first));
        return if named.is_empty() { (those(&|_| true), words) } else { (named, others) };
    }
    if let [second, rest @ ..] = others {
        let named = those(&|program| program.package == *first && is_called(program, second));
        if !named.is_empty() {
            return (named, rest);
        }
    }
    (of_package, others)
}

/// The tests inside a library are called `lib`, as in a planted fault.
fn is_called(program: &Built, name: &str) -> bool {
    if program.is_of_library { name == "lib" } else { program.name == name }
}

/// The names of a program's tests.
fn tests_of(program: &Built) -> Result<Vec<String>> {
    let mut command = program.command(&[], false);
    let output = processes::run_for_output(&program.name, command.args(["--list", "--format", "terse"]), "")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test").map(str::to_owned)).collect())
}

/// All packages with their test programs, as a list in a sentence.
fn all(built: &[Built]) -> String {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for program in built {
        let names = packages.entry(&program.package).or_default();
        if !program.is_of_library {
            names.insert(&program.name);
        }
    }
    let listed = packages.into_iter().map(|(package, names)| match names.len() {
        0 => package.to_owned(),
        _ => format!("{package} ({})", names.into_iter().collect::<Vec<_>>().join(", ")),
    });
    listed.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn built() -> Vec<Built> {
        let built = |package: &str, name: &str| Built {
            package: package.to_owned(),
            name: name.to_owned(),
            is_of_library: package == name,
            is_test: true,
            folder: PathBuf::new(),
            executable: PathBuf::new(),
        };
        vec![
            built("contracts", "ledger"),
            built("contracts", "queue"),
            built("faults", "faults"),
            built("faults", "restore"),
            built("end-to-end", "journeys"),
        ]
    }

    #[test]
    fn the_first_words_name_programs_and_the_others_tests() {
        let built = built();
        let cases: [(&[&str], &[&str], usize); 7] = [
            (&[], &["ledger", "queue", "faults", "restore", "journeys"], 0),
            (&["contracts"], &["ledger", "queue"], 0),
            (&["faults", "restore"], &["restore"], 0),
            (&["faults", "lib", "oracle"], &["faults"], 1),
            (&["faults", "clock"], &["faults", "restore"], 1),
            (&["journeys"], &["journeys"], 0),
            (&["daily", "limit"], &["ledger", "queue", "faults", "restore", "journeys"], 2),
        ];
        for (words, expected, left) in cases {
            let (found, rest) = programs(&built, words);
            let names: Vec<_> = found.iter().map(|program| program.name.as_str()).collect();
            assert_eq!((names.as_slice(), rest.len()), (expected, left), "{words:?}");
        }
        assert_eq!(all(&built), "contracts (ledger, queue), end-to-end (journeys), faults (restore)");
    }
}
