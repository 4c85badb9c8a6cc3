//! The files of a slice in object storage, and positions in them.

use serde::{Deserialize, Serialize};

use crate::ports::crm_batch::BATCH;

/// A file with a part of a slice's plan: one line of JSON for each record that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSegment {
    /// The lease of the run that wrote it. Part of its key.
    pub attempt: u32,
    /// Records with values to write.
    pub changed: u32,
    /// Whether it has records or differences that are left unchanged.
    pub skips: bool,
}

impl PlanSegment {
    /// The number of its batches.
    pub(super) fn batches(self) -> u64 {
        u64::from(self.changed).div_ceil(BATCH as u64)
    }
}

/// How far a slice is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    pub segment: u32,
    /// Counts the segment's records with values to write.
    pub record: u32,
}

/// A file with the outcomes of some batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeFile {
    /// The lease of the run that wrote it. Part of its key.
    pub attempt: u32,
    /// Whether it has a value that was not written.
    pub failures: bool,
}
