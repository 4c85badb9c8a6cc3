//! One batch: read again, pre-image, update, compare.

use std::collections::HashMap;

use domain::ids::RecordId;
use domain::restore::difference::{Difference, ValuePair, differences};
use domain::restore::outcome::{Fate, OutcomeCounts, PreImage, ValueOutcome, reasons};
use domain::restore::plan::{Gone, PlannedRecord};
use domain::storage_keys;

use super::write::{DROPPED, Fates, Update, Writer};
use super::{Application, PlannedBatch, WrittenBatch};
use crate::restore::compare::Present;
use crate::run::StepError;
use crate::stored_json;

/// What earlier runs were about to overwrite when they died.
type Earlier = HashMap<(RecordId, u16), String>;

/// The values of one record that this run looks at.
#[derive(Default)]
struct RecordWork {
    /// What this run writes.
    to_write: Vec<Difference>,
    /// What is decided without a write.
    decided: Vec<ValueOutcome>,
}

impl Application<'_> {
    /// Writes a batch.
    pub(super) async fn write_batch(&self, batch: PlannedBatch) -> Result<WrittenBatch, StepError> {
        self.may_write().await?;
        let earlier = self.earlier(batch.number).await?;
        let ids: Vec<RecordId> = batch.records.iter().map(|record| record.id).collect();
        let present = Present::read(self.crm, self.restore, self.definition, &ids).await?;
        let mut counts = OutcomeCounts::default();
        let mut works = Vec::with_capacity(batch.records.len());
        for planned in &batch.records {
            counts.records_done += 1;
            works.push(self.look_at(planned, &present, &earlier, &mut counts));
        }
        self.put_pre_image(batch.number, &batch.records, &works, &earlier).await?;
        let updates = batch.records.iter().zip(&works).filter(|(_, work)| !work.to_write.is_empty());
        let updates = updates.map(|(record, work)| Update { id: record.id, values: work.to_write.clone() }).collect();
        let written = Writer::new(self, &mut counts).write(updates).await?;
        let outcomes = told(&batch.records, works, written, &earlier, &mut counts);
        Ok(WrittenBatch { to: batch.to, outcomes, counts })
    }

    /// What of a planned record is still to be written, by its present values.
    fn look_at(
        &self,
        planned: &PlannedRecord,
        present: &Present,
        earlier: &Earlier,
        counts: &mut OutcomeCounts,
    ) -> RecordWork {
        let Some(row) = present.row_of(planned.id) else {
            let (code, message) = gone(present.whereabouts(planned.id));
            let decided = planned.differences.iter().map(|difference| failed(planned.id, difference, code, &message));
            return RecordWork { to_write: Vec::new(), decided: decided.collect() };
        };
        let mut work = RecordWork::default();
        let pairs = planned.differences.iter().filter_map(|difference| {
            let property = self.definition.properties.get(usize::from(difference.property))?;
            let current = present.value(row, difference.property);
            let began = earlier.get(&(planned.id, difference.property));
            if !property.comparison.same(current, &difference.before) && began.is_none() {
                counts.drifted_values += 1;
            }
            Some(ValuePair {
                property: difference.property,
                comparison: property.comparison,
                current,
                target: &difference.target,
            })
        });
        let still = differences(pairs);
        for difference in &planned.differences {
            let place = difference.property;
            let current = still.iter().find(|still| still.property == place);
            match (current, earlier.get(&(planned.id, place))) {
                (Some(current), _) if self.is_dropped(place) => {
                    work.decided.push(failed(planned.id, current, reasons::PROPERTY_DROPPED, DROPPED));
                }
                (Some(current), _) => work.to_write.push(current.clone()),
                // A run before this one wrote it and died.
                (None, Some(before)) => {
                    let now = present.value(row, place);
                    let after = (now != difference.target).then(|| now.to_owned());
                    work.decided.push(ValueOutcome {
                        id: planned.id,
                        property: place,
                        before: before.clone(),
                        target: difference.target.clone(),
                        fate: Fate::Written { after },
                    });
                }
                (None, None) => counts.already_right += 1,
            }
        }
        work
    }

    /// What earlier runs have put down about a batch that they may have begun, the latest of each value.
    async fn earlier(&self, batch: u64) -> Result<Earlier, StepError> {
        let mut earlier = Earlier::new();
        for attempt in self.slice.tries_at(batch) {
            let key = storage_keys::pre_image(&self.restore.reference(), self.slice.number, batch, attempt);
            let lines: Vec<PreImage> = stored_json::read_lines_if_any(&*self.work.reader, &key).await?;
            earlier.extend(lines.into_iter().map(|line| ((line.id, line.property), line.before)));
        }
        Ok(earlier)
    }

    /// Puts down what this run is about to overwrite, and what the runs before it have put down about values that need no
    /// write any more: should this run die too, the next one finds all of it.
    async fn put_pre_image(
        &self,
        batch: u64,
        records: &[PlannedRecord],
        works: &[RecordWork],
        earlier: &Earlier,
    ) -> Result<(), StepError> {
        let mut lines = Vec::new();
        for (record, work) in records.iter().zip(works) {
            for difference in &work.to_write {
                let line = PreImage {
                    id: record.id,
                    property: difference.property,
                    before: difference.before.clone(),
                    target: difference.target.clone(),
                };
                stored_json::add_line(&line, &mut lines)?;
            }
            let begun = work.decided.iter().filter(|outcome| earlier.contains_key(&(outcome.id, outcome.property)));
            for outcome in begun.filter(|outcome| !outcome.has_failed()) {
                let line = PreImage {
                    id: outcome.id,
                    property: outcome.property,
                    before: outcome.before.clone(),
                    target: outcome.target.clone(),
                };
                stored_json::add_line(&line, &mut lines)?;
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let key = storage_keys::pre_image(&self.restore.reference(), self.slice.number, batch, self.lease);
        self.work.put_lines(&key, lines).await
    }
}

fn gone(gone: Gone) -> (&'static str, String) {
    match gone {
        Gone::Deleted => (reasons::RECORD_GONE, "The record was deleted since the plan was made.".to_owned()),
        Gone::Merged { into } => {
            (reasons::RECORD_MERGED, format!("The record was merged into {into} since the plan was made."))
        }
    }
}

fn failed(id: RecordId, difference: &Difference, code: &str, message: &str) -> ValueOutcome {
    ValueOutcome {
        id,
        property: difference.property,
        before: difference.before.clone(),
        target: difference.target.clone(),
        fate: Fate::Failed { code: code.to_owned(), message: message.to_owned(), now: None },
    }
}

/// What became of each record, counted.
fn told(
    records: &[PlannedRecord],
    works: Vec<RecordWork>,
    mut written: Fates,
    earlier: &Earlier,
    counts: &mut OutcomeCounts,
) -> Vec<ValueOutcome> {
    let mut outcomes = Vec::new();
    for (record, work) in records.iter().zip(works) {
        let mut of_record = work.decided;
        for difference in work.to_write {
            let Some(fate) = written.remove(&(record.id, difference.property)) else { continue };
            of_record.push(outcome(record.id, difference, fate, earlier));
        }
        counts.count(&of_record);
        outcomes.extend(of_record);
    }
    outcomes
}

/// The outcome of a value that was sent. Where the value that was overwritten is the very one that the CRM made of our own
/// write, an earlier run had written it before: what that run overwrote is what an undo goes back to.
fn outcome(id: RecordId, difference: Difference, fate: Fate, earlier: &Earlier) -> ValueOutcome {
    let Difference { property, before, target } = difference;
    let Some(first) = earlier.get(&(id, property)).filter(|first| **first != before) else {
        return ValueOutcome { id, property, before, target, fate };
    };
    match fate {
        Fate::Written { after } if before == *after.as_ref().unwrap_or(&target) => {
            ValueOutcome { id, property, before: first.clone(), target, fate: Fate::Written { after } }
        }
        // The CRM keeps the value in another form than the one that was sent, and did so already.
        Fate::Failed { code, message, now: None } if code == reasons::WRITE_IGNORED => {
            let fate = Fate::Failed { code, message, now: Some(before) };
            ValueOutcome { id, property, before: first.clone(), target, fate }
        }
        fate => ValueOutcome { id, property, before, target, fate },
    }
}
