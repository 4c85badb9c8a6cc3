//! Arranges a plan so that records that exchange unique values are written in one batch. Only within a batch can such
//! values be cleared before they are set.

use domain::ports::crm_batch::BATCH;
use domain::ports::ledger::{Change, Versioned};
use domain::restore::plan::PlannedRecord;
use domain::restore::property::RestoredProperty;
use domain::restore::slice::{PlanSegment, RestoreSlice};
use domain::restore::{Restore, unique};
use domain::storage_keys;

use super::RestoreWork;
use super::compare::{SEGMENT_BYTES, SEGMENT_RECORDS};
use super::definition::Definition;
use crate::run::StepError;
use crate::stored_json;

/// A slice with a longer plan stays unchanged, since its whole plan is read into memory.
const LONGEST_PLAN: usize = 32 * 1024 * 1024;

/// A plan segment that is being written.
#[derive(Default)]
struct GrowingSegment {
    lines: Vec<u8>,
    changed: u32,
    skips: bool,
}

impl RestoreWork {
    pub(super) async fn arranged(
        &self,
        restore: &Restore,
        definition: &Definition,
        slices: Vec<Versioned<RestoreSlice>>,
        lease: u32,
    ) -> Result<Vec<RestoreSlice>, StepError> {
        let has_unique = definition.properties.iter().any(RestoredProperty::is_unique);
        let mut arranged = Vec::with_capacity(slices.len());
        for slice in slices {
            let changes = has_unique && slice.record.has_changes();
            arranged.push(if changes { self.arrange(restore, definition, slice, lease).await? } else { slice.record });
        }
        Ok(arranged)
    }

    async fn arrange(
        &self,
        restore: &Restore,
        definition: &Definition,
        slice: Versioned<RestoreSlice>,
        lease: u32,
    ) -> Result<RestoreSlice, StepError> {
        let Some(records) = self.planned_records(restore, &slice.record).await? else { return Ok(slice.record) };
        let property = |place: u16| definition.properties.get(usize::from(place));
        let order = unique::arranged(&records, |place| property(place).is_some_and(RestoredProperty::is_unique));
        if order.is_sorted() {
            return Ok(slice.record);
        }
        // No run compares the slice any more, so no run uses a number above its leases.
        let attempt = slice.record.leasing.last_number + lease;
        let mut segments = Vec::new();
        let mut segment = GrowingSegment::default();
        for record in order.into_iter().filter_map(|place| records.get(place)) {
            segment.add(record)?;
            if segment.is_full() {
                segments.push(std::mem::take(&mut segment));
            }
        }
        segments.push(segment);
        segments.retain(|segment| !segment.lines.is_empty());
        let mut named = Vec::with_capacity(segments.len());
        for (number, segment) in (0_u32..).zip(segments) {
            let key = storage_keys::plan_segment(&restore.reference(), slice.record.number, number, attempt);
            self.put_lines(&key, segment.lines).await?;
            named.push(PlanSegment { attempt, changed: segment.changed, skips: segment.skips });
        }
        let next = slice.record.rearranged(named)?;
        self.ledger().commit(&[Change::replace(&slice, &next)]).await?;
        Ok(next)
    }

    /// All records of a slice's plan. None if there are too many.
    async fn planned_records(
        &self,
        restore: &Restore,
        slice: &RestoreSlice,
    ) -> Result<Option<Vec<PlannedRecord>>, StepError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (number, segment) in (0_u32..).zip(&slice.segments) {
            let key = storage_keys::plan_segment(&restore.reference(), slice.number, number, segment.attempt);
            for record in stored_json::read_lines::<PlannedRecord>(&*self.reader, &key).await? {
                bytes += bytes_of(&record);
                records.push(record);
            }
            if bytes > LONGEST_PLAN {
                return Ok(None);
            }
        }
        Ok(Some(records))
    }
}

/// The approximate bytes of a record.
fn bytes_of(record: &PlannedRecord) -> usize {
    let values = record.differences.iter().chain(record.skipped.iter().map(|skipped| &skipped.difference));
    let values = values.map(|value| value.before.len() + value.target.len() + size_of_val(value));
    values.sum::<usize>() + size_of_val(record)
}

impl GrowingSegment {
    fn add(&mut self, record: &PlannedRecord) -> Result<(), StepError> {
        stored_json::add_line(record, &mut self.lines)?;
        self.changed += u32::from(!record.differences.is_empty());
        self.skips |= record.leaves_anything();
        Ok(())
    }

    /// Segments end with a batch, so that no batch is cut.
    fn is_full(&self) -> bool {
        let full = self.changed >= SEGMENT_RECORDS || self.lines.len() >= SEGMENT_BYTES;
        full && (self.changed as usize).is_multiple_of(BATCH)
    }
}
