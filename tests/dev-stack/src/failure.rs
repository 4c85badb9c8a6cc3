//! Failures are one sentence for the person at the terminal: what could not be done, and why.

use std::fmt;

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

/// The result of a step of the dev stack, or why the step failed.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure with this sentence, which has no full stop.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl Failure {
    /// The sentence with its full stop, and what to do about a disk or a right that is missing.
    pub fn with_advice(&self) -> String {
        let sentence = self.0.trim_end_matches('.');
        let advice = if sentence.contains("No space left on device") {
            " Free some space on that disk and try again."
        } else if ["Permission denied", "Operation not permitted"].iter().any(|sign| sentence.contains(sign)) {
            " It may belong to another user: do this as that user."
        } else {
            ""
        };
        format!("{sentence}.{advice}")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Adds to an error what could not be done.
pub trait OrFailure<T> {
    /// Turns an error into the sentence `{what}: {error}`.
    ///
    /// # Errors
    /// [`Failure`] where there was an error.
    fn or_failure(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> OrFailure<T> for std::result::Result<T, E> {
    fn or_failure(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", what())))
    }
}
