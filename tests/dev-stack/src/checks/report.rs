//! What the checks have found, each with its time, and the summary at the end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dev_stack::failure::{Failure, Result};

/// How a check ended.
pub(crate) enum Outcome {
    /// Nothing is wrong. A few words on what was checked, or an empty text.
    Passed(String),
    /// This machine lacks something, or there is nothing to check. Names what is missing.
    Skipped(String),
}

/// A check that has ended.
struct Entry {
    name: String,
    outcome: Result<Outcome>,
    took: Duration,
}

/// Runs checks, also side by side, and keeps their outcomes.
pub(crate) struct Report {
    pub(super) require_all: bool,
    began: Instant,
    entries: Mutex<Vec<Entry>>,
}

impl Report {
    /// An empty report. With `require_all`, a check that this machine cannot run is a failure.
    pub(super) fn new(require_all: bool) -> Self {
        Self { require_all, began: Instant::now(), entries: Mutex::default() }
    }

    /// Runs a check and notes its outcome.
    pub(super) fn check(&self, name: &str, check: impl FnOnce() -> Result<Outcome>) {
        eprintln!("── {name}");
        let began = Instant::now();
        let mut outcome = check();
        if let (true, Ok(Outcome::Skipped(lack))) = (self.require_all, &outcome) {
            outcome = Err(Failure::new(format!("skipped, and all checks are required: {lack}")));
        }
        let took = began.elapsed();
        eprintln!("── {name}: {} after {:.1} s", in_words(&outcome), took.as_secs_f64());
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(Entry { name: name.to_owned(), outcome, took });
    }

    /// Prints the summary: the checks in the order in which they ended.
    ///
    /// # Errors
    /// When a check has failed.
    pub(super) fn close(self) -> Result<()> {
        let entries = self.entries.into_inner().unwrap_or_else(PoisonError::into_inner);
        println!();
        for Entry { name, outcome, took } in &entries {
            println!("{:>7.1} s  {name}: {}", took.as_secs_f64(), in_words(outcome));
        }
        let count = |which: fn(&Result<Outcome>) -> bool| entries.iter().filter(|entry| which(&entry.outcome)).count();
        let failed = count(std::result::Result::is_err);
        let skipped = count(|outcome| matches!(outcome, Ok(Outcome::Skipped(_))));
        println!("{:>7.1} s  in all", self.began.elapsed().as_secs_f64());
        println!();
        println!("{} passed, {failed} failed, {skipped} skipped", entries.len() - failed - skipped);
        if failed == 0 { Ok(()) } else { Err(Failure::new(format!("{failed} of the checks failed"))) }
    }
}

fn in_words(outcome: &Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome::Passed(detail)) if detail.is_empty() => "passed".to_owned(),
        Ok(Outcome::Passed(detail)) => format!("passed ({detail})"),
        Ok(Outcome::Skipped(lack)) => format!("skipped: {lack}"),
        Err(failure) => format!("FAILED: {failure}"),
    }
}
