//! How far a report is that takes several runs: `skipped.csv` of a plan, or `errors.csv` of an import.

use serde::{Deserialize, Serialize};

use crate::ports::storage::UploadId;

/// What is stored of a report that is not finished. The run that goes on makes the same bytes as one run would have made.
///
/// Bytes of the report are, in this order: the parts of the upload, then the object at `rest_key`. They hold the rows of the
/// first `done` sources, and none of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportProgress {
    /// Says which objects the report is made of, and in which order. If that has changed, the report begins again.
    pub sources: String,
    /// Of how many of them the rows are stored.
    pub done: u64,
    /// The key of the finished report.
    pub key: String,
    /// The upload that makes it; None as long as no part is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<UploadId>,
    /// Parts of the upload that count, numbered from 1. Others with higher numbers are written again.
    #[serde(default)]
    pub parts: u16,
    /// Bytes in these parts.
    #[serde(default)]
    pub bytes: u64,
    /// The object with the bytes that do not fill a part yet; None when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_key: Option<String>,
}
