//! CSV reports about what a restore leaves, or has left, as it was.

use domain::ports::objects::StorageError;
use domain::restore::outcome::{Fate, ValueOutcome};
use domain::restore::plan::{Gone, PlannedRecord, WhySkipped};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::RestoreSlice;
use domain::storage_keys;
use domain::work::RestoreRef;

use super::RestoreWork;
use super::growing_object::GrowingObject;
use crate::stored_json;

const HEADER: [&str; 5] = ["record_id", "property", "old_value", "backup_value", "reason"];

/// What browsers and spreadsheets take it for.
const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

/// A report that is being written.
pub(super) struct Report<'a> {
    object: GrowingObject<'a>,
    properties: &'a [RestoredProperty],
}

impl<'a> Report<'a> {
    /// A report that will be at `key`.
    pub(super) fn new(work: &'a RestoreWork, key: String, properties: &'a [RestoredProperty]) -> Self {
        let mut object = GrowingObject::new(&*work.writer, &*work.uploads, key, CONTENT_TYPE);
        archive::report::write_line(HEADER, object.buffer());
        Self { object, properties }
    }

    /// Adds what the plan of `slice` leaves as it is.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn add_skipped(
        &mut self,
        work: &RestoreWork,
        restore: &RestoreRef,
        slice: &RestoreSlice,
    ) -> Result<(), StorageError> {
        for (number, segment) in (0_u32..).zip(&slice.segments).filter(|(_, segment)| segment.skips) {
            let key = storage_keys::plan_segment(restore, slice.number, number, segment.attempt);
            let records: Vec<PlannedRecord> = stored_json::read_lines(&*work.reader, &key).await?;
            for record in &records {
                self.record(record);
            }
            self.object.flush().await?;
        }
        Ok(())
    }

    /// Adds the values of `slice` that were not written.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn add_failures(
        &mut self,
        work: &RestoreWork,
        restore: &RestoreRef,
        slice: &RestoreSlice,
    ) -> Result<(), StorageError> {
        for (number, file) in (0_u32..).zip(&slice.outcomes).filter(|(_, file)| file.failures) {
            let key = storage_keys::outcome(restore, slice.number, number, file.attempt);
            let outcomes: Vec<ValueOutcome> = stored_json::read_lines(&*work.reader, &key).await?;
            for outcome in &outcomes {
                if let Fate::Failed { code, message, .. } = &outcome.fate {
                    let reason = format!("{code}: {message}");
                    self.line(&outcome.id.to_string(), outcome.property, &outcome.before, &outcome.target, &reason);
                }
            }
            self.object.flush().await?;
        }
        Ok(())
    }

    /// Makes the report. Returns its key.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn finish(self) -> Result<String, StorageError> {
        self.object.finish().await
    }

    fn record(&mut self, record: &PlannedRecord) {
        let id = record.id.to_string();
        match record.gone {
            Some(Gone::Deleted) => {
                let reason = "RECORD_GONE: The record was deleted. Bring it back in the CRM (recycling bin, up to 90 \
                              days after the deletion), then restore its values.";
                archive::report::write_line([id.as_str(), "", "", "", reason], self.object.buffer());
            }
            Some(Gone::Merged { into }) => {
                let reason = format!("RECORD_MERGED: The record was merged into {into}, which is left as it is.");
                archive::report::write_line([id.as_str(), "", "", "", &reason], self.object.buffer());
            }
            None => {}
        }
        for skipped in &record.skipped {
            let reason = match skipped.why {
                WhySkipped::CannotBeSet => {
                    "NOT_AN_OPTION: The property's options have changed; the value is none of them any more."
                }
                WhySkipped::EditedSince => "EDITED_SINCE: Somebody has changed the value since the restore.",
            };
            let difference = &skipped.difference;
            self.line(&id, difference.property, &difference.before, &difference.target, reason);
        }
    }

    fn line(&mut self, id: &str, property: u16, before: &str, target: &str, reason: &str) {
        let name = self.properties.get(usize::from(property)).map_or("", |property| property.name.as_str());
        archive::report::write_line([id, name, before, target, reason], self.object.buffer());
    }
}
