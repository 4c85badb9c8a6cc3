//! A segment: the DEFLATE bytes that one run made for a chunk, as the ledger records them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backup::Backup;
use crate::ids::ChunkKey;
use crate::ids::{BackupId, ObjectType, RecordId};
use crate::ports::ledger::{Key, Record};
use crate::ports::storage::ETag;
use crate::work::WORK_KEPT_FOR;

/// Sizes, ids and checksums of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentSummary {
    pub rows: u64,
    pub first_id: RecordId,
    pub last_id: RecordId,
    pub plain_bytes: u64,
    /// DEFLATE bytes, up to and including the closing sync flush.
    pub packed_bytes: u64,
    /// CRC-32 of the CSV bytes.
    pub crc32: u32,
    /// SHA-256 of the CSV bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// A committed segment. The archive holds only segments that have such a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    pub backup_id: BackupId,
    pub object_type: ObjectType,
    pub generation: u32,
    /// The chunk, by its exclusive lower bound.
    pub lower: RecordId,
    /// Counts the chunk's segments, from 0.
    pub sequence: u32,
    /// The lease under which it was written.
    pub attempt: u32,
    pub storage_key: String,
    /// The content that the stored bytes must still have.
    pub etag: ETag,
    pub summary: SegmentSummary,
    /// Properties whose values the CRM did not show, with the number of such rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_values: BTreeMap<String, u64>,
    /// How many values were not valid Unicode and were repaired.
    #[serde(default)]
    pub mended_values: u64,
}

impl Segment {
    /// Sort-key prefix of all segments of one generation of an object; they list in record order.
    pub fn prefix(object: &ObjectType, generation: u32) -> String {
        format!("SEGMENT#{object}#{generation:04}#")
    }

    /// Sort-key prefix of all segments of one chunk.
    pub fn prefix_of_chunk(chunk: &ChunkKey) -> String {
        format!("{}{:020}#", Self::prefix(&chunk.object_type, chunk.generation), chunk.lower.0)
    }
}

impl Record for Segment {
    fn key(&self) -> Key {
        Key::new(
            Backup::partition(&self.backup_id),
            format!("{}{:020}#{:06}", Self::prefix(&self.object_type, self.generation), self.lower.0, self.sequence),
        )
    }
    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.backup_id.created_at() + WORK_KEPT_FOR)
    }
}
