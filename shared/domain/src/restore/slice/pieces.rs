//! The pieces of a slice in object storage, and places among them.

use serde::{Deserialize, Serialize};

use crate::ports::crm_batch::BATCH;

/// A piece of a slice's plan in object storage: one line of JSON for each record that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSegment {
    /// The lease under which it was written; part of its key.
    pub attempt: u32,
    /// Records in it of which values are to be written.
    pub changed: u32,
    /// Whether it tells of anything that is left as it is, or gone.
    pub skips: bool,
}

impl PlanSegment {
    /// Batches that it takes to write.
    pub(super) fn batches(self) -> u64 {
        u64::from(self.changed).div_ceil(BATCH as u64)
    }
}

/// How far a slice is written: everything before it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    pub segment: u32,
    /// The record in it, counting those of which values are to be written.
    pub record: u32,
}

/// An object in storage that tells what became of the values of some batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeFile {
    /// The lease under which it was written; part of its key.
    pub attempt: u32,
    /// Whether any value in it was not written.
    pub failures: bool,
}
