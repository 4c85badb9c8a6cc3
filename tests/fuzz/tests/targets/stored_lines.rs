//! Lines of plans, outcomes and pre-images, and the records beside them: each that is read is written back unchanged,
//! in one line.

use std::collections::BTreeSet;
use std::mem::discriminant;

use domain::property::Columns;
use domain::restore::Restore;
use domain::restore::outcome::{PreImage, ValueOutcome};
use domain::restore::plan::PlannedRecord;
use domain::restore::property::RestoredProperty;
use fuzz::{Form, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

const WORDS: &[&str] = &[
    "id",
    "property",
    "before",
    "target",
    "fate",
    "written",
    "after",
    "unclear",
    "failed",
    "code",
    "message",
    "now",
    "differences",
    "skipped",
    "notShown",
    "gone",
    "deleted",
    "merged",
    "into",
    "unreadable",
    "why",
    "cannot-be-set",
    "edited-since",
    "p",
    "b",
    "t",
];

#[test]
fn fuzz_stored_lines() {
    Target::new("stored_lines", Form::JsonLines, WORDS).fuzz(|input| {
        let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(8);
        lines.map(check).collect::<BTreeSet<_>>()
    });
}

fn check(line: &[u8]) -> [u8; 6] {
    [
        comes_back::<PlannedRecord>(line),
        comes_back::<ValueOutcome>(line),
        comes_back::<PreImage>(line),
        comes_back::<RestoredProperty>(line),
        comes_back::<Columns>(line),
        comes_back::<Restore>(line),
    ]
}

/// 0 if it is not JSON, 1 if it is of another type, 2 if it is a `T`.
fn comes_back<T: Serialize + DeserializeOwned + PartialEq>(line: &[u8]) -> u8 {
    let read = match serde_json::from_slice::<T>(line) {
        Ok(read) => read,
        Err(error) => return u8::from(discriminant(&error.classify()) == discriminant(&Category::Data)),
    };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    assert!(!written.contains(&b'\n'), "a line is two");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert!(again == read, "what was written is read as something else");
    2
}
