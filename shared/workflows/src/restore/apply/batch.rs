//! Writes one batch: reads it again, stores the pre-image, updates, compares.

use domain::ids::RecordId;
use domain::restore::RestoreSource;
use domain::restore::begun::{BegunValue, BegunValues};
use domain::restore::difference::{Difference, ValuePair, differences};
use domain::restore::outcome::{Fate, OutcomeCounts, PreImage, ValueOutcome, reasons};
use domain::restore::plan::{Gone, PlannedRecord};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::RestoreSlice;
use domain::storage_keys;
use jiff::Timestamp;

use super::write::{DROPPED, Fates, PendingUpdate, ToWrite, Writer};
use super::{Application, PlannedBatch, WrittenBatch};
use crate::held_lease::HeldLease;
use crate::restore::compare::{Presence, Present};
use crate::run::StepError;
use crate::stored_json;

const NOT_SHOWN: (&str, &str) = (reasons::NOT_SHOWN, "The CRM did not show the present value, so it was not changed.");

const EDITED: &str = "The value was changed after the undo was planned.";

const UNREADABLE: (&str, &str) =
    (reasons::UNREADABLE, "The CRM has the record but could not return it, so it was not changed.");

/// The values of one record that this run works on.
#[derive(Default)]
struct RecordWork {
    to_write: Vec<Difference>,
    /// Values among them that an earlier run has cleared. Their `before` is the value before the clearing.
    cleared: Vec<Difference>,
    /// Outcomes decided without a write.
    decided: Vec<ValueOutcome>,
}

impl Application<'_> {
    pub(super) async fn write_batch(
        &self,
        held: &HeldLease<'_, RestoreSlice>,
        batch: PlannedBatch,
    ) -> Result<WrittenBatch, StepError> {
        let _place = self.places.acquire().await;
        let _room = self.room_for(&batch).await;
        self.may_begin(held).await?;
        let attempts = self.slice.tries_at(batch.number);
        let earlier = self.work.begun_of_batch(self.restore, self.slice, batch.number, attempts).await?.values;
        let ids: Vec<RecordId> = batch.records.iter().map(|record| record.id).collect();
        let (present, seen_at) = self.seen(&ids).await?;
        let mut counts = OutcomeCounts::default();
        let mut works = Vec::with_capacity(batch.records.len());
        for planned in &batch.records {
            counts.records_done += 1;
            works.push(self.look_at(planned, &present, &earlier, &mut counts));
        }
        self.put_pre_image(batch.number, &batch.records, &works).await?;
        let to_write = ToWrite {
            values: updates(&batch.records, &works, seen_at, |work| &work.to_write),
            cleared: updates(&batch.records, &works, seen_at, |work| &work.cleared),
        };
        let written =
            Writer::new(self, batch.number, &mut counts).write(to_write).await.inspect_err(|error| self.note(error))?;
        let outcomes = self.outcomes_of(&batch.records, works, written, &earlier, &mut counts);
        Ok(WrittenBatch { number: batch.number, to: batch.to, outcomes, counts })
    }

    /// The values of a planned record that must still be written, given its present values.
    fn look_at(
        &self,
        planned: &PlannedRecord,
        present: &Present,
        earlier: &BegunValues,
        counts: &mut OutcomeCounts,
    ) -> RecordWork {
        let row = match present.find(planned.id) {
            Presence::Row(row) => row,
            Presence::Unreadable => {
                let unknown = |difference| self.unknown(planned.id, difference, earlier, UNREADABLE);
                let decided = planned.differences.iter().map(unknown).collect();
                return RecordWork { decided, ..RecordWork::default() };
            }
            Presence::Gone(to) => {
                let (code, message) = gone(to);
                let decided =
                    planned.differences.iter().map(|difference| failed(planned.id, difference, code, &message));
                return RecordWork { decided: decided.collect(), ..RecordWork::default() };
            }
        };
        let mut work = RecordWork::default();
        let pairs = planned.differences.iter().filter_map(|difference| {
            let property = self.property(difference.property)?;
            let current = present.value(row, difference.property)?;
            // The value that the first run found, before any of this restore's own writes.
            let first = earlier.get(&(planned.id, difference.property)).map_or(current, |begun| begun.first());
            if !property.comparison.same(first, &difference.before) {
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
            let Some(shown) = present.value(row, place) else {
                work.decided.push(self.unknown(planned.id, difference, earlier, NOT_SHOWN));
                continue;
            };
            match (still.iter().find(|still| still.property == place), earlier.contains_key(&(planned.id, place))) {
                (Some(current), _) => self.still_differs(planned.id, difference, current, earlier, &mut work),
                // An earlier run wrote it and died.
                (None, true) => {
                    let after = (shown != difference.target).then(|| shown.to_owned());
                    // The value may have been edited since the plan was made. Only pre-images contain the overwritten
                    // value.
                    let present = Difference { before: shown.to_owned(), ..difference.clone() };
                    work.decided.push(self.outcome(planned.id, present, Fate::Written { after }, earlier));
                }
                (None, false) => counts.already_right += 1,
            }
        }
        work
    }

    /// A planned value does not have its target yet.
    fn still_differs(
        &self,
        id: RecordId,
        planned: &Difference,
        current: &Difference,
        earlier: &BegunValues,
        work: &mut RecordWork,
    ) {
        let begun = earlier.get(&(id, planned.property));
        let cleared = begun.zip(self.property(planned.property));
        if let Some(before) = cleared.and_then(|(begun, known)| begun.before_clearing(known, &current.before)) {
            work.cleared.push(Difference { before: before.to_owned(), ..current.clone() });
        } else if self.is_edited(planned, current, begun) {
            work.decided.push(failed(id, current, reasons::EDITED_SINCE, EDITED));
        } else if self.is_dropped(planned.property) {
            // An earlier run may have written it, and the CRM keeps it in a form of its own.
            let fate = failure(reasons::PROPERTY_DROPPED, DROPPED);
            work.decided.push(self.outcome(id, current.clone(), fate, earlier));
        } else {
            work.to_write.push(current.clone());
        }
    }

    /// Whether a value was edited after the plan of an undo that leaves edits alone. A change made by an earlier run is
    /// not an edit.
    fn is_edited(&self, planned: &Difference, current: &Difference, begun: Option<&BegunValue>) -> bool {
        if !matches!(self.restore.source, RestoreSource::Undo { include_edited: false, .. }) {
            return false;
        }
        let Some(known) = self.property(planned.property) else { return false };
        let is_own = begun.is_some_and(|begun| begun.is_own(known, &current.before));
        !is_own && !known.comparison.same(&planned.before, &current.before)
    }

    /// The outcome of a value that the CRM does not return now. It is not overwritten blindly. An earlier run that
    /// stored its pre-image may have died while overwriting it.
    fn unknown(
        &self,
        id: RecordId,
        difference: &Difference,
        earlier: &BegunValues,
        (code, message): (&str, &str),
    ) -> ValueOutcome {
        let Some(begun) = earlier.get(&(id, difference.property)) else {
            return failed(id, difference, code, message);
        };
        let Difference { property, target, .. } = difference.clone();
        let before = begun.overwritten(self.property(property), None, None).to_owned();
        ValueOutcome { id, property, before, target, fate: Fate::Unclear }
    }

    /// Stores the values that this run is about to overwrite.
    async fn put_pre_image(
        &self,
        batch: u64,
        records: &[PlannedRecord],
        works: &[RecordWork],
    ) -> Result<(), StepError> {
        let mut lines = Vec::new();
        for (record, work) in records.iter().zip(works) {
            for difference in work.to_write.iter().chain(&work.cleared) {
                let Difference { property, before, target } = difference.clone();
                let clearings_noted = self.property(property).is_some_and(RestoredProperty::is_cleared_on_the_way);
                let line = PreImage { id: record.id, property, before, target, clearings_noted };
                stored_json::add_line(&line, &mut lines)?;
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.begins(batch);
        let key = storage_keys::pre_image(&self.restore.reference(), self.slice.number, batch, self.lease);
        self.work.put_lines(&key, lines).await
    }

    /// The outcome of each record, with counts.
    fn outcomes_of(
        &self,
        records: &[PlannedRecord],
        works: Vec<RecordWork>,
        mut written: Fates,
        earlier: &BegunValues,
        counts: &mut OutcomeCounts,
    ) -> Vec<ValueOutcome> {
        let mut outcomes = Vec::new();
        for (record, work) in records.iter().zip(works) {
            let mut of_record = work.decided;
            for difference in work.to_write.into_iter().chain(work.cleared) {
                let Some(fate) = written.remove(&(record.id, difference.property)) else { continue };
                of_record.push(self.outcome(record.id, difference, fate, earlier));
            }
            counts.count(&of_record);
            outcomes.extend(of_record);
        }
        outcomes
    }

    /// The outcome of a value. If an earlier run may have written it, the value that this run found can be that run's
    /// own: the target, the CRM's form of it, or the empty value on the way to it. An undo goes back to the value
    /// before those.
    fn outcome(&self, id: RecordId, difference: Difference, fate: Fate, earlier: &BegunValues) -> ValueOutcome {
        let Difference { property, before, target } = difference;
        let Some(begun) = earlier.get(&(id, property)) else {
            return ValueOutcome { id, property, before, target, fate };
        };
        // If the CRM stores a value in another form than the one sent, and an earlier run has already sent it, then the
        // write looks as if the CRM had ignored it.
        let kept = match &fate {
            Fate::Written { after } => Some(after.clone().unwrap_or_else(|| target.clone())),
            Fate::Failed { code, now, .. } if code == reasons::WRITE_IGNORED => now.clone().or(Some(before.clone())),
            Fate::Failed { .. } | Fate::Unclear => None,
        };
        let known = self.property(property);
        let first = begun.overwritten(known, Some(&before), kept.as_deref()).to_owned();
        let (first, fate) = match fate {
            // It differs from its value before this restore.
            Fate::Failed { code, message, now: None } if first != before => {
                (first, Fate::Failed { code, message, now: Some(before) })
            }
            // A user edited it after an earlier run may have written it, and no run has overwritten the edit.
            Fate::Failed { code, message, now: None } if let Some(earlier) = begun.before_edit(known, &before) => {
                (earlier.to_owned(), Fate::Failed { code, message, now: Some(target.clone()) })
            }
            fate => (first, fate),
        };
        ValueOutcome { id, property, before: first, target, fate }
    }
}

/// The values of each record that `pick` selects.
fn updates(
    records: &[PlannedRecord],
    works: &[RecordWork],
    seen_at: Timestamp,
    pick: impl Fn(&RecordWork) -> &Vec<Difference>,
) -> Vec<PendingUpdate> {
    let of = |(record, work): (&PlannedRecord, &RecordWork)| PendingUpdate {
        id: record.id,
        values: pick(work).clone(),
        seen_at,
    };
    let picked = records.iter().zip(works).map(of);
    picked.filter(|update| !update.values.is_empty()).collect()
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
        fate: failure(code, message),
    }
}

fn failure(code: &str, message: &str) -> Fate {
    Fate::Failed { code: code.to_owned(), message: message.to_owned(), now: None }
}
