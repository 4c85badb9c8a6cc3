//! The progress of a report that takes several runs: `skipped.csv` of a plan, or `errors.csv` of an import.

use serde::{Deserialize, Serialize};

use crate::ports::storage::UploadId;

/// The stored state of an unfinished report. The run that continues it makes the same bytes as a single run would have
/// made.
///
/// The report's bytes are the parts of the upload, then the blob at `rest_key`. They hold the rows of the first `done`
/// sources and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportProgress {
    /// Identifies the blobs that the report is made of, and their order. If it has changed, the report begins again.
    pub sources: String,
    /// The sources whose rows are stored.
    pub done: u64,
    /// The key of the finished report.
    pub key: String,
    /// The upload that makes it. None until a part is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<UploadId>,
    /// The parts of the upload that count, numbered from 1. Parts with higher numbers are written again.
    #[serde(default)]
    pub parts: u16,
    /// Bytes in these parts.
    #[serde(default)]
    pub bytes: u64,
    /// The blob with the bytes that do not fill a part yet. None if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_key: Option<String>,
}
