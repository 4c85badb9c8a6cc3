//! A fault, as its file describes it:
//!
//! ```text
//! A sentence about what is wrong.
//! tests: faults restore edits:: undo::
//! file: shared/workflows/src/restore/ask.rs
//! old:
//! text that stands in the file once, whole lines
//! new:
//! what stands there instead
//! ```
//!
//! `tests:` names a package, a test program of it (`lib` for the tests inside of the crate) and words, of which a
//! test's name must hold one; without words all tests run. There may be several lines of tests, of which one must
//! notice the fault, and several places, each with its `file:`, `old:` and `new:`. The file's name is the fault's.

use std::fmt;
use std::fs;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;

/// Where the faults are.
const FOLDER: &str = "tests/dev-stack/planted";
/// What their files end with.
const ENDING: &str = ".fault";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) name: String,
    pub(super) sentence: String,
    pub(super) tests: Vec<Tests>,
    pub(super) changes: Vec<Change>,
}

/// Tests of one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tests {
    pub(super) package: String,
    pub(super) program: String,
    pub(super) words: Vec<String>,
}

/// A place that is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub(super) file: String,
    old: String,
    new: String,
}

impl Tests {
    /// Whether they run on more than memory.
    pub(super) fn need_services(&self) -> bool {
        self.package == "contracts"
    }
}

impl fmt::Display for Tests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.package, self.program, self.words.join(" "))
    }
}

impl Change {
    /// The text of the file with the fault in it.
    pub(super) fn planted_in(&self, text: &str) -> Result<String> {
        match text.matches(&self.old).count() {
            1 => Ok(text.replacen(&self.old, &self.new, 1)),
            found => Err(Failure::new(format!("the old text stands {found} times in {}", self.file))),
        }
    }
}

/// Reads all faults, in order of their names.
pub(super) fn read_all(places: &Places) -> Result<Vec<Fault>> {
    let folder = places.root().join(FOLDER);
    let unreadable = || format!("cannot read {}", folder.display());
    let mut faults = Vec::new();
    for entry in fs::read_dir(&folder).or_failure(unreadable)? {
        let path = entry.or_failure(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(ENDING)) else { continue };
        let text = fs::read_to_string(&path).or_failure(|| format!("cannot read {}", path.display()))?;
        faults.push(parse(name, &text).or_failure(|| format!("the planted fault {name}"))?);
    }
    faults.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(faults)
}

/// Which text the next lines belong to.
enum Part {
    Head,
    Old,
    New,
}

fn parse(name: &str, text: &str) -> Result<Fault> {
    let mut lines = text.lines();
    let sentence = lines.next().unwrap_or_default().to_owned();
    let (mut tests, mut changes) = (Vec::new(), Vec::<Change>::new());
    let mut part = Part::Head;
    for line in lines {
        if let Some(file) = line.strip_prefix("file: ") {
            changes.push(Change { file: file.to_owned(), ..Change::default() });
            part = Part::Head;
            continue;
        }
        match (&part, line, changes.last_mut()) {
            (Part::Head, "old:", _) => part = Part::Old,
            (Part::Old, "new:", _) => part = Part::New,
            (Part::Head, _, None) => tests.push(tests_of(line)?),
            (Part::Old, _, Some(change)) => change.old.extend([line, "\n"]),
            (Part::New, _, Some(change)) => change.new.extend([line, "\n"]),
            _ => return Err(Failure::new(format!("the line '{line}' belongs to no section"))),
        }
    }
    let is_whole = |change: &Change| !change.old.is_empty() && change.old != change.new;
    if tests.is_empty() || changes.is_empty() || !changes.iter().all(is_whole) {
        return Err(Failure::new("it names no tests, or changes nothing"));
    }
    Ok(Fault { name: name.to_owned(), sentence, tests, changes })
}

fn tests_of(line: &str) -> Result<Tests> {
    let mut words = line.strip_prefix("tests: ").unwrap_or_default().split_whitespace().map(str::to_owned);
    match (words.next(), words.next()) {
        (Some(package), Some(program)) => Ok(Tests { package, program, words: words.collect() }),
        _ => Err(Failure::new(format!("the line '{line}' names no package and test program"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "A sum is wrong.\ntests: a lib sums::\ntests: b all\nfile: a.rs\nold:\nx + 1\nnew:\nx + 2\nfile: b.rs\n\
                        old:\ny\nz\nnew:\n";

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        let fault = parse("S1", TEXT).expect("a fault");
        assert_eq!((fault.name.as_str(), fault.sentence.as_str()), ("S1", "A sum is wrong."));
        let tests: Vec<_> = fault.tests.iter().map(ToString::to_string).collect();
        assert_eq!(tests, ["a lib sums::", "b all "]);
        assert_eq!(fault.changes[0].planted_in("w\nx + 1\n").expect("it fits"), "w\nx + 2\n");
        assert_eq!(fault.changes[1].planted_in("w\ny\nz\nv\n").expect("it fits"), "w\nv\n");
    }

    #[test]
    fn a_text_that_is_not_there_or_there_twice_is_no_place_for_a_fault() {
        let fault = parse("S1", TEXT).expect("a fault");
        for text in ["x\n", "x + 1\nx + 1\n"] {
            assert!(fault.changes[0].planted_in(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_that_changes_nothing_or_names_no_tests_is_refused() {
        for text in [
            "",
            "A.\ntests: a lib\n",
            "A.\nfile: a.rs\nold:\nx\nnew:\ny\n",
            "A.\ntests: a lib\nfile: a.rs\nold:\nx\nnew:\nx\n",
            "A.\ntests: a lib\nfile: a.rs\nx\n",
            "A.\ntests: a\nfile: a.rs\nold:\nx\nnew:\ny\n",
        ] {
            assert!(parse("S1", text).is_err(), "{text}");
        }
    }
}
