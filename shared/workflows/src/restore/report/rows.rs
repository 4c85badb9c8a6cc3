//! The rows of reports, and the objects in storage that contain them.

use std::collections::HashSet;

use bytes::Bytes;
use domain::ids::RecordId;
use domain::ports::storage::{BlobReader, StorageError};
use domain::restore::outcome::{Fate, ValueOutcome};
use domain::restore::plan::{Gone, PlannedRecord, WhySkipped};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::{RestoreSlice, Untried};
use domain::storage_keys;
use domain::work::RestoreRef;

use crate::stored_json;

/// Goes up when rows, or their order, change. Half-made reports then begin again.
const VERSION: u32 = 1;

const HEADER: [&str; 5] = ["record_id", "property", "old_value", "backup_value", "reason"];

const UNCLEAR: &str = "UNCLEAR: The restore ended while it was writing this value. Check in the CRM whether it was \
                       written. If it was, an undo reverts it.";

const NOT_TRIED: &str = "NOT_TRIED: The restore ended before it could write this value, so it did not change it. To \
                         restore it, start a new restore.";

/// The source of a report's rows.
pub(in crate::restore) enum RowSource {
    /// A plan segment: the values that it leaves unchanged.
    Plan(String),
    /// An outcome object: the values that were not written.
    Outcome(String),
    /// A plan segment: its values that were not tried.
    Untried {
        key: String,
        untried: Untried,
        /// The outcome object that says which of them are unclear, if any are.
        unclear_key: Option<String>,
    },
}

/// All values that the plans of `slices` leave unchanged.
pub(in crate::restore) fn skipped(restore: &RestoreRef, slices: &[RestoreSlice]) -> Vec<RowSource> {
    slices.iter().flat_map(|slice| skipped_of(restore, slice)).collect()
}

/// All values that were not written, slice by slice: those that the plan leaves unchanged, those that were refused or
/// are unclear, and those that were not tried. All slices are settled.
pub(in crate::restore) fn not_restored(restore: &RestoreRef, slices: &[RestoreSlice]) -> Vec<RowSource> {
    let mut sources = Vec::new();
    for slice in slices {
        let outcome = |place: u32, attempt: u32| storage_keys::outcome(restore, slice.number, place, attempt);
        let failing = (0_u32..).zip(&slice.outcomes).filter(|(_, file)| file.failures);
        let unclear_key = slice.settled_file().map(|(place, file)| outcome(place, file.attempt));
        sources.extend(skipped_of(restore, slice));
        sources.extend(failing.map(|(place, file)| RowSource::Outcome(outcome(place, file.attempt))));
        sources.extend(slice.untried().into_iter().map(|untried| {
            let key = storage_keys::plan_segment(restore, slice.number, untried.segment, untried.attempt);
            RowSource::Untried { key, untried, unclear_key: unclear_key.clone() }
        }));
    }
    sources
}

fn skipped_of(restore: &RestoreRef, slice: &RestoreSlice) -> impl Iterator<Item = RowSource> {
    let skipping = (0_u32..).zip(&slice.segments).filter(|(_, segment)| segment.skips);
    skipping.map(|(place, segment)| {
        RowSource::Plan(storage_keys::plan_segment(restore, slice.number, place, segment.attempt))
    })
}

/// A name for these sources in this order. Another list has another name.
pub(super) fn name_of(sources: &[RowSource]) -> String {
    // FNV-1a, which is the same in every build of the program.
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for source in sources {
        let (kind, key) = match source {
            RowSource::Plan(key) => ("p", key),
            RowSource::Outcome(key) => ("o", key),
            RowSource::Untried { key, .. } => ("u", key),
        };
        for byte in kind.bytes().chain(key.bytes()).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    format!("{VERSION}-{}-{hash:016x}", sources.len())
}

/// A source that was read. Its lines are parsed one at a time, so that several sources fit into memory.
pub(super) struct Read<'a> {
    source: &'a RowSource,
    bytes: Bytes,
    unclear: HashSet<(RecordId, u16)>,
}

impl RowSource {
    /// Reads it.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) async fn read(&self, reader: &dyn BlobReader) -> Result<Read<'_>, StorageError> {
        let (Self::Plan(key) | Self::Outcome(key) | Self::Untried { key, .. }) = self;
        let bytes = reader.read(key, None).await?;
        let mut unclear = HashSet::new();
        if let Self::Untried { unclear_key: Some(key), .. } = self {
            for outcome in stored_json::lines::<ValueOutcome>(&reader.read(key, None).await?, key) {
                let outcome = outcome?;
                unclear.extend((outcome.fate == Fate::Unclear).then_some((outcome.id, outcome.property)));
            }
        }
        Ok(Read { source: self, bytes, unclear })
    }
}

/// Writes rows, with the names of properties.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) properties: &'a [RestoredProperty],
}

impl Rows<'_> {
    pub(super) fn header(out: &mut Vec<u8>) {
        archive::report::write_line(HEADER, out);
    }

    /// Appends all rows of a source.
    ///
    /// # Errors
    /// [`StorageError::Refused`] if the source is not what was expected.
    pub(super) fn of(self, read: &Read<'_>, out: &mut Vec<u8>) -> Result<(), StorageError> {
        match read.source {
            RowSource::Plan(key) => {
                for record in stored_json::lines(&read.bytes, key) {
                    self.left_as_it_is(&record?, out);
                }
            }
            RowSource::Outcome(key) => {
                for outcome in stored_json::lines(&read.bytes, key) {
                    self.outcome(&outcome?, out);
                }
            }
            RowSource::Untried { key, untried, .. } => {
                let mut untried = untried.clone();
                for record in stored_json::lines::<PlannedRecord>(&read.bytes, key) {
                    let record = record?;
                    for value in untried.of(&record, &read.unclear) {
                        let id = record.id.to_string();
                        self.line(&id, value.property, &value.before, &value.target, NOT_TRIED, out);
                    }
                }
            }
        }
        Ok(())
    }

    fn outcome(self, outcome: &ValueOutcome, out: &mut Vec<u8>) {
        let reason = match &outcome.fate {
            Fate::Failed { code, message, .. } => format!("{code}: {message}"),
            Fate::Unclear => UNCLEAR.to_owned(),
            Fate::Written { .. } => return,
        };
        self.line(&outcome.id.to_string(), outcome.property, &outcome.before, &outcome.target, &reason, out);
    }

    fn left_as_it_is(self, record: &PlannedRecord, out: &mut Vec<u8>) {
        let id = record.id.to_string();
        match record.gone {
            Some(Gone::Deleted) => {
                let reason = "RECORD_GONE: The record was deleted. Bring it back in the CRM (recycling bin, up to 90 \
                              days after the deletion), then restore its values.";
                archive::report::write_line([id.as_str(), "", "", "", reason], out);
            }
            Some(Gone::Merged { into }) => {
                let reason =
                    format!("RECORD_MERGED: The record was merged into {into}, which the restore does not change.");
                archive::report::write_line([id.as_str(), "", "", "", &reason], out);
            }
            None => {}
        }
        if record.unreadable {
            let reason = "UNREADABLE: The CRM has the record but could not return it. Plan again later.";
            archive::report::write_line([id.as_str(), "", "", "", reason], out);
        }
        for &place in &record.not_shown {
            let reason = "NOT_SHOWN: The CRM did not show the present value, so the restore does not change it. Check \
                          that the token may read the property.";
            self.line(&id, place, "", "", reason, out);
        }
        for skipped in &record.skipped {
            let reason = match skipped.why {
                WhySkipped::CannotBeSet => {
                    "NOT_AN_OPTION: The value is no longer an option of the property. Add the option in the CRM, then \
                     plan again."
                }
                WhySkipped::EditedSince => "EDITED_SINCE: The value was changed after the restore.",
            };
            let difference = &skipped.difference;
            self.line(&id, difference.property, &difference.before, &difference.target, reason, out);
        }
    }

    fn line(self, id: &str, property: u16, before: &str, target: &str, reason: &str, out: &mut Vec<u8>) {
        let name = self.properties.get(usize::from(property)).map_or("", |property| property.name.as_str());
        archive::report::write_line([id, name, before, target, reason], out);
    }
}
