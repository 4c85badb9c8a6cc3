//! The planned records of a slice that are still to be written, one batch at a time.

use std::collections::VecDeque;

use domain::ports::crm_batch::BATCH;
use domain::ports::storage::StorageError;
use domain::restore::Restore;
use domain::restore::plan::PlannedRecord;
use domain::restore::slice::{Position, RestoreSlice};
use domain::storage_keys;
use domain::work::RestoreRef;

use super::PlannedBatch;
use crate::restore::RestoreWork;
use crate::run::StepError;
use crate::stored_json;

pub(super) struct PlannedRecords<'a> {
    work: &'a RestoreWork,
    restore: RestoreRef,
    slice: &'a RestoreSlice,
    /// The position of the segment of `records`.
    at: Position,
    /// The rest of its records. None before it is read.
    records: Option<VecDeque<PlannedRecord>>,
    next_number: u64,
}

impl<'a> PlannedRecords<'a> {
    /// The records that the slice has not written yet.
    pub(super) fn from(work: &'a RestoreWork, restore: &Restore, slice: &'a RestoreSlice) -> Self {
        let at = slice.written_to;
        let next_number = slice.batches_before(at);
        Self { work, restore: restore.reference(), slice, at, records: None, next_number }
    }

    /// The next batch. None at the end.
    ///
    /// # Errors
    /// [`StepError`] if a plan segment cannot be read.
    pub(super) async fn next_batch(&mut self) -> Result<Option<PlannedBatch>, StepError> {
        loop {
            let Some(segment) = self.slice.segments.get(self.at.segment as usize) else { return Ok(None) };
            let left = if let Some(records) = &mut self.records {
                records
            } else {
                let read = self.read(segment.attempt).await?;
                self.records.insert(read)
            };
            if left.is_empty() {
                self.at = Position { segment: self.at.segment + 1, record: 0 };
                self.records = None;
                continue;
            }
            let records: Vec<PlannedRecord> = left.drain(..left.len().min(BATCH)).collect();
            let segment_ends = left.is_empty();
            self.at.record += u32::try_from(records.len()).unwrap_or(u32::MAX);
            let number = self.next_number;
            self.next_number += 1;
            let to = if segment_ends { Position { segment: self.at.segment + 1, record: 0 } } else { self.at };
            return Ok(Some(PlannedBatch { number, to, records }));
        }
    }

    async fn read(&self, attempt: u32) -> Result<VecDeque<PlannedRecord>, StorageError> {
        let key = storage_keys::plan_segment(&self.restore, self.slice.number, self.at.segment, attempt);
        let records: Vec<PlannedRecord> = stored_json::read_lines(&*self.work.reader, &key).await?;
        let changed = records.into_iter().filter(|record| !record.differences.is_empty());
        Ok(changed.skip(self.at.record as usize).collect())
    }
}
