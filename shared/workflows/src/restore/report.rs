//! CSV reports about what a restore leaves, or has left, as it was.

use domain::ports::objects::StorageError;
use domain::restore::outcome::{Fate, ValueOutcome};
use domain::restore::plan::{Gone, PlannedRecord, WhySkipped};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::RestoreSlice;
use domain::storage_keys;
use domain::work::RestoreRef;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::RestoreWork;
use crate::growing_object::{GrowingObject, ObjectPorts};
use crate::stored_json;

const HEADER: [&str; 5] = ["record_id", "property", "old_value", "backup_value", "reason"];

/// Objects that are read at the same time. Each is a few MiB.
const READS_AHEAD: usize = 8;

/// What browsers and spreadsheets take it for.
const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

const UNCLEAR: &str = "UNCLEAR: The restore ended while the value may have been written; look at it in the CRM. An undo takes \
                       it back if it was.";

/// An object that is reported on.
pub(super) enum Source {
    /// A plan segment: what it leaves as it is.
    Plan(String),
    /// An outcome object: what was not written.
    Outcome(String),
}

/// Everything that the plans of `slices` leave as it is.
pub(super) fn skipped(restore: &RestoreRef, slices: &[RestoreSlice]) -> Vec<Source> {
    slices.iter().flat_map(|slice| skipped_of(restore, slice)).collect()
}

/// Everything that was not written, or is left as it is, slice by slice.
pub(super) fn not_restored(restore: &RestoreRef, slices: &[RestoreSlice]) -> Vec<Source> {
    let failures = |slice: &RestoreSlice| {
        let number = slice.number;
        let failing = (0_u32..).zip(slice.outcomes.clone()).filter(|(_, file)| file.failures);
        let restore = restore.clone();
        failing.map(move |(place, file)| Source::Outcome(storage_keys::outcome(&restore, number, place, file.attempt)))
    };
    slices.iter().flat_map(|slice| skipped_of(restore, slice).chain(failures(slice))).collect()
}

fn skipped_of(restore: &RestoreRef, slice: &RestoreSlice) -> impl Iterator<Item = Source> {
    let (restore, number) = (restore.clone(), slice.number);
    let skipping = (0_u32..).zip(slice.segments.clone()).filter(|(_, segment)| segment.skips);
    skipping
        .map(move |(place, segment)| Source::Plan(storage_keys::plan_segment(&restore, number, place, segment.attempt)))
}

/// What was read of a [`Source`].
enum Read {
    Plan(Vec<PlannedRecord>),
    Outcome(Vec<ValueOutcome>),
}

/// A report that is being written.
struct Report<'a> {
    object: GrowingObject<'a>,
    properties: &'a [RestoredProperty],
}

impl RestoreWork {
    /// Writes a report about `sources` to `key`, which it returns; None when there is nothing to report, or when it cannot
    /// be made before `ends`: everything else matters more.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn report(
        &self,
        key: String,
        properties: &[RestoredProperty],
        sources: Vec<Source>,
        ends: Timestamp,
    ) -> Result<Option<String>, StorageError> {
        if sources.is_empty() {
            return Ok(None);
        }
        let ports = ObjectPorts { reader: &*self.reader, writer: &*self.writer, uploads: &*self.uploads };
        let object = GrowingObject::new(ports, key, CONTENT_TYPE);
        let mut report = Report { object, properties };
        archive::report::write_line(HEADER, report.object.buffer());
        let added = report.add_all(self, sources, ends).await;
        match added {
            Ok(true) => report.object.finish().await.map(Some),
            Ok(false) => {
                tracing::error!("restore.report-given-up");
                report.object.abandon().await;
                Ok(None)
            }
            Err(error) => {
                report.object.abandon().await;
                Err(error)
            }
        }
    }

    async fn read_source(&self, source: Source) -> Result<Read, StorageError> {
        Ok(match source {
            Source::Plan(key) => Read::Plan(stored_json::read_lines(&*self.reader, &key).await?),
            Source::Outcome(key) => Read::Outcome(stored_json::read_lines(&*self.reader, &key).await?),
        })
    }
}

impl Report<'_> {
    /// Returns whether there was time for all.
    async fn add_all(
        &mut self,
        work: &RestoreWork,
        sources: Vec<Source>,
        ends: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut reads = stream::iter(sources).map(|source| work.read_source(source)).buffered(READS_AHEAD);
        while let Some(read) = reads.next().await {
            match read? {
                Read::Plan(records) => records.iter().for_each(|record| self.record(record)),
                Read::Outcome(outcomes) => outcomes.iter().for_each(|outcome| self.outcome(outcome)),
            }
            self.object.flush().await?;
            if work.now() >= ends {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn outcome(&mut self, outcome: &ValueOutcome) {
        let reason = match &outcome.fate {
            Fate::Failed { code, message, .. } => format!("{code}: {message}"),
            Fate::Unclear => UNCLEAR.to_owned(),
            Fate::Written { .. } => return,
        };
        self.line(&outcome.id.to_string(), outcome.property, &outcome.before, &outcome.target, &reason);
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
        if record.unreadable {
            let reason = "UNREADABLE: The CRM has the record and could not give it. Plan again later.";
            archive::report::write_line([id.as_str(), "", "", "", reason], self.object.buffer());
        }
        for &place in &record.not_shown {
            let reason = "NOT_SHOWN: The CRM did not show the present value, so it is left as it is. Check that the \
                          token may read the property.";
            self.line(&id, place, "", "", reason);
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
