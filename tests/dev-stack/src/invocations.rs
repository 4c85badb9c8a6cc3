//! How often a stack's functions were invoked, and for how long.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::failure::Result;
use crate::python;
use crate::stack::Stack;

/// The invocations of one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invocations {
    pub invocations: u64,
    /// Their time, each rounded up to a millisecond. The time in which processes start is not part of it.
    pub billed_millis: u64,
    /// The memory that the template gives the function.
    pub memory_megabytes: u64,
}

/// The invocations of all functions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllInvocations {
    /// By the function's name.
    pub functions: BTreeMap<String, Invocations>,
    /// How many there were at most at one time.
    pub most_at_once: u64,
}

impl Stack {
    /// The invocations since `since` (milliseconds since 1970) that have ended.
    ///
    /// # Errors
    /// When the emulator does not show its logs.
    pub fn invocations(&self, since: i64) -> Result<AllInvocations> {
        let script = self.users.script.with_file_name("invocations.py");
        let request = json!({ "endpoint": self.emulator_url, "stack": self.name, "since": since });
        python::ask(&self.users.python, &script, &request)
    }
}
