//! Planned values of a slice that no run has tried to write, after the restore has ended.

use std::collections::HashSet;

use super::{OutcomeFile, RestoreSlice};
use crate::ids::RecordId;
use crate::ports::crm_batch::BATCH;
use crate::restore::difference::Difference;
use crate::restore::plan::PlannedRecord;

/// A plan segment with values that were not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untried {
    /// Its place among the slice's segments.
    pub segment: u32,
    /// The lease of the run that wrote it. Part of its key.
    pub attempt: u32,
    /// Committed records with values to write.
    committed: u32,
    /// The batch of its first record.
    first_batch: u64,
    /// Batches beyond the committed ones that are reported as a whole.
    reported: Vec<u64>,
    /// Records with values to write that were passed so far.
    seen: u32,
}

impl RestoreSlice {
    /// The plan segments with values that were not tried, in order. Only valid for a slice that is settled, or that no
    /// run has ever written.
    pub fn untried(&self) -> Vec<Untried> {
        let mut first_batch = 0;
        let mut untried = Vec::new();
        for (place, segment) in (0_u32..).zip(&self.segments) {
            let committed = if place == self.written_to.segment { self.written_to.record } else { 0 };
            if place >= self.written_to.segment && segment.changed > committed {
                let (attempt, reported) = (segment.attempt, self.told_beyond.clone());
                untried.push(Untried { segment: place, attempt, committed, first_batch, reported, seen: 0 });
            }
            first_batch += segment.batches();
        }
        untried
    }

    /// The outcome file that was written when the slice was settled, with its place. None if there was nothing to
    /// report. Its lease number is above those of all runs on the slice.
    pub fn settled_file(&self) -> Option<(u32, OutcomeFile)> {
        let files = (0_u32..).zip(self.outcomes.iter().copied());
        files.last().filter(|(_, file)| file.attempt > self.leasing.last_number)
    }
}

impl Untried {
    /// The values of the segment's next record that were not tried. `unclear` are values that may have been written.
    /// Must be called for every record of the segment, in order.
    pub fn of<'a>(
        &mut self,
        record: &'a PlannedRecord,
        unclear: &HashSet<(RecordId, u16)>,
    ) -> impl Iterator<Item = &'a Difference> {
        let is_reported = !record.differences.is_empty() && self.passes_reported();
        let values: &[Difference] = if is_reported { &[] } else { &record.differences };
        values.iter().filter(move |value| !unclear.contains(&(record.id, value.property)))
    }

    /// Passes a record with values to write. Returns whether they are all reported.
    fn passes_reported(&mut self) -> bool {
        let place = self.seen;
        self.seen += 1;
        let batch = self.first_batch + u64::from(place) / BATCH as u64;
        place < self.committed || self.reported.contains(&batch)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{AccountId, RestoreId};
    use crate::restore::slice::{PlanSegment, Position};
    use crate::work::RestoreRef;

    /// Values of a plan by their record, property and batch.
    type Values = Vec<(RecordId, u16, u64)>;

    fn slice(segments: &[Vec<PlannedRecord>], written_to: Position, told_beyond: Vec<u64>) -> RestoreSlice {
        let account_id = AccountId::parse("42").expect("digits");
        let restore = RestoreRef { account_id, restore_id: RestoreId::new(Timestamp::UNIX_EPOCH, [7; 10]) };
        let segment = |records: &Vec<PlannedRecord>| PlanSegment {
            attempt: 1,
            changed: u32::try_from(records.iter().filter(|record| !record.differences.is_empty()).count())
                .expect("few"),
            skips: true,
        };
        let segments = segments.iter().map(segment).collect();
        let waiting = RestoreSlice::waiting(&restore, 0, 0, 1_000, Timestamp::UNIX_EPOCH);
        RestoreSlice { segments, written_to, told_beyond, ..waiting }
    }

    /// Segments of these numbers of records, some of which have nothing to write.
    fn segments(sizes: &[u64]) -> Vec<Vec<PlannedRecord>> {
        let value = |property| Difference { property, before: "a".to_owned(), target: "b".to_owned() };
        let mut ids = 1..;
        let mut record = || {
            let id = RecordId(ids.next().expect("there is no end"));
            let differences = (0..u16::try_from(id.0 % 3).expect("small")).map(value).collect();
            PlannedRecord { differences, ..PlannedRecord::unreadable(id) }
        };
        sizes.iter().map(|size| (0..*size).map(|_| record()).collect()).collect()
    }

    /// All values of a plan, in order.
    fn planned(segments: &[Vec<PlannedRecord>]) -> Values {
        let (mut values, mut first) = (Vec::new(), 0);
        for segment in segments {
            let mut place = 0_u64;
            for record in segment.iter().filter(|record| !record.differences.is_empty()) {
                let batch = first + place / BATCH as u64;
                values.extend(record.differences.iter().map(|value| (record.id, value.property, batch)));
                place += 1;
            }
            first += place.div_ceil(BATCH as u64);
        }
        values
    }

    fn position(segments: &[Vec<PlannedRecord>], mut batches: u64) -> Position {
        for (place, segment) in (0_u32..).zip(segments) {
            let changed = segment.iter().filter(|record| !record.differences.is_empty()).count() as u64;
            let here = changed.div_ceil(BATCH as u64);
            if batches < here {
                return Position { segment: place, record: u32::try_from(batches * BATCH as u64).expect("few") };
            }
            batches -= here;
        }
        Position { segment: u32::try_from(segments.len()).expect("few"), record: 0 }
    }

    proptest! {
        /// R6: every planned value is exactly one of these: committed, reported with its batch, unclear, or not tried.
        #[test]
        fn untried_values_are_the_planned_ones_that_are_not_reported(
            sizes in prop::collection::vec(0_u64..400, 0..5),
            committed in 0_u64..12,
            whole in prop::collection::btree_set(0_u64..14, 0..4),
            seed in any::<u64>(),
        ) {
            let segments = segments(&sizes);
            let values = planned(&segments);
            let told_beyond: Vec<u64> = whole.into_iter().filter(|batch| *batch >= committed).collect();
            let rest: Values = values.iter().copied()
                .filter(|(_, _, batch)| *batch >= committed && !told_beyond.contains(batch))
                .collect();
            let unclear: HashSet<(RecordId, u16)> = rest.iter()
                .filter(|(id, _, _)| (id.0 ^ seed).is_multiple_of(7))
                .map(|(id, property, _)| (*id, *property))
                .collect();
            let slice = slice(&segments, position(&segments, committed), told_beyond);
            let mut found = Vec::new();
            for mut untried in slice.untried() {
                for record in &segments[untried.segment as usize] {
                    found.extend(untried.of(record, &unclear).map(|value| (record.id, value.property)));
                }
            }
            let expected: Vec<_> = rest.iter().map(|(id, property, _)| (*id, *property))
                .filter(|value| !unclear.contains(value))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
