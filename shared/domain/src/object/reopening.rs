//! Opening an object again whose chunks were all done.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::ObjectExport;
use crate::Refused;
use crate::chunk::Chunk;
use crate::lease::CrmTrouble;
use crate::segment::Segment;

/// The totals of segments that are void because their chunks are read again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Voided {
    records: u64,
    plain_bytes: u64,
    packed_bytes: u64,
    segments: u32,
    mended_values: u64,
    hidden_values: BTreeMap<String, u64>,
}

impl Voided {
    /// Adds the totals of `segment`.
    pub fn add(&mut self, segment: &Segment) {
        self.records += segment.summary.rows;
        self.plain_bytes += segment.summary.plain_bytes;
        self.packed_bytes += segment.summary.packed_bytes;
        self.segments += 1;
        self.mended_values += segment.mended_values;
        for (property, rows) in &segment.hidden_values {
            *self.hidden_values.entry(property.clone()).or_default() += rows;
        }
    }
}

impl ObjectExport {
    /// Opens finished chunks again: `gone_on` of them continue above their last id, and the ranges of `read_again` are
    /// read again from the beginning. The segments in `void` no longer count.
    ///
    /// # Errors
    /// [`Refused`] if `generation` is void, or a chunk is open.
    pub fn reopen(
        &self,
        generation: u32,
        gone_on: usize,
        read_again: &[Chunk],
        void: &Voided,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let what = "opening chunks again";
        self.check_generation(what, generation)?;
        if self.open_chunks > 0 {
            return Err(Refused::new(what, "a chunk is open"));
        }
        let mut next = Self {
            open_chunks: u32::try_from(gone_on + read_again.len()).unwrap_or(u32::MAX),
            records: self.records.saturating_sub(void.records),
            plain_bytes: self.plain_bytes.saturating_sub(void.plain_bytes),
            packed_bytes: self.packed_bytes.saturating_sub(void.packed_bytes),
            segments: self.segments.saturating_sub(void.segments),
            mended_values: self.mended_values.saturating_sub(void.mended_values),
            close_attempts: 0,
            close_wait: None,
            close_trouble: CrmTrouble::default(),
            recounted: false,
            requeued_at: None,
            reopened: self.reopened + 1,
            updated_at: now,
            ..self.clone()
        };
        next.unreadable.retain(|id| !read_again.iter().any(|chunk| chunk.covers(*id)));
        next.hidden_values.retain(|property, rows| {
            *rows = rows.saturating_sub(void.hidden_values.get(property).copied().unwrap_or(0));
            *rows > 0
        });
        Ok(next)
    }
}
