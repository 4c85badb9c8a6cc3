//! The sources of the values to restore, one batch of records at a time: one file of an archive, read straight out of
//! the zip, or the outcomes of another restore.

use std::collections::{HashMap, HashSet, VecDeque};

use archive::manifest::Part;
use archive::reader::SliceReader;
use archive::rows::{ArchivedRow, RowReader};
use domain::ids::RecordId;
use domain::ports::crm_batch::BATCH;
use domain::ports::ledger::{self, Ledger};
use domain::ports::storage::{BlobReader, CopySource, ETag, StorageError};
use domain::restore::outcome::{Fate, ValueOutcome};
use domain::restore::plan::{Wanted, WantedValue};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::{OutcomeFile, RestoreSlice};
use domain::storage_keys;
use domain::work::RestoreRef;
use domain::{Failure, FailureKind};

use super::definition::{Definition, Values};
use crate::run::StepError;
use crate::stored_json;

/// Packed bytes read at once. The rows that they inflate to are in memory, so the number is small: rows of a thousand
/// mostly unset properties have sixty bytes packed, and four hundred times that once they are read.
const PIECE: u64 = 128 * 1024;

/// Ids of rows that are remembered, so that a record on two pages of a list is compared once. Such pages are close to
/// each other.
const REMEMBERED: usize = 20_000;

/// Rows or outcomes that were read, and the records among them.
pub(super) struct Batch {
    /// The number of rows, including repeated ones.
    pub(super) rows: u64,
    /// The records, each once.
    pub(super) records: Vec<Wanted>,
}

/// The records of a slice that are still to be compared.
pub(super) enum Source<'a> {
    Archive(Box<ArchiveSource<'a>>),
    Outcomes(OutcomeSource<'a>),
}

impl<'a> Source<'a> {
    /// Opens the rest of `slice`.
    ///
    /// # Errors
    /// [`StepError`] if the ledger failed.
    pub(super) async fn open(
        ledger: &dyn Ledger,
        reader: &'a dyn BlobReader,
        definition: &'a Definition,
        slice: &RestoreSlice,
    ) -> Result<Self, StepError> {
        match &definition.values {
            Values::Archive { storage_key, etag, columns, column_of, parts } => {
                let restorable = (0_u16..).zip(&definition.properties).filter(|(_, property)| property.is_restorable());
                let places: Vec<u16> = restorable.map(|(place, _)| place).collect();
                let wanted: Vec<usize> =
                    places.iter().filter_map(|&place| column_of.get(usize::from(place)).copied()).collect();
                let archive = (storage_key.as_str(), etag);
                let rows = (slice.first_row + slice.rows_planned, slice.rows.saturating_sub(slice.rows_planned));
                let source = ArchiveSource::new(reader, archive, parts, (*columns, &wanted), places, rows);
                Ok(Self::Archive(Box::new(source)))
            }
            Values::Outcomes { restore, include_edited } => {
                let key = RestoreSlice::key_of(&restore.restore_id, slice.number);
                let undone = ledger::load::<RestoreSlice>(ledger, &key).await?.map(|loaded| loaded.record);
                Ok(Self::Outcomes(OutcomeSource {
                    reader,
                    restore: restore.clone(),
                    slice: slice.number,
                    files: undone.map(|undone| undone.outcomes).unwrap_or_default(),
                    next_file: 0,
                    include_edited: *include_edited,
                    properties: &definition.properties,
                    records: VecDeque::new(),
                    skip: slice.rows_planned,
                }))
            }
        }
    }

    /// The next records, up to a batch of them. None at the end.
    ///
    /// # Errors
    /// [`StepError`]; [`StepError::Fatal`] if the source is invalid.
    pub(super) async fn next_batch(&mut self) -> Result<Option<Batch>, StepError> {
        match self {
            Self::Archive(source) => source.next_batch().await,
            Self::Outcomes(source) => source.next_batch().await,
        }
    }
}

/// Rows of one file of an archive.
pub(super) struct ArchiveSource<'a> {
    reader: &'a dyn BlobReader,
    storage_key: &'a str,
    etag: &'a ETag,
    parts: std::slice::Iter<'a, Part>,
    part: Option<PartReader>,
    csv: RowReader,
    /// The property of each wanted column.
    places: Vec<u16>,
    rows: VecDeque<ArchivedRow>,
    /// Rows still to return, including those in `rows`.
    left: u64,
    recent: Recent,
}

/// The latest ids, to recognize repeated ones.
#[derive(Default)]
struct Recent {
    known: HashSet<RecordId>,
    order: VecDeque<RecordId>,
}

impl Recent {
    /// Whether `id` is not among the latest ones.
    fn is_new(&mut self, id: RecordId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

struct PartReader {
    inflate: SliceReader,
    next: u64,
    end: u64,
}

impl<'a> ArchiveSource<'a> {
    fn new(
        reader: &'a dyn BlobReader,
        (storage_key, etag): (&'a str, &'a ETag),
        parts: &'a [Part],
        (columns, wanted): (usize, &[usize]),
        places: Vec<u16>,
        (first, rows): (u64, u64),
    ) -> Self {
        let mut before = 0;
        let mut first_part = 0;
        for part in parts {
            if before + part.rows > first {
                break;
            }
            before += part.rows;
            first_part += 1;
        }
        Self {
            reader,
            storage_key,
            etag,
            parts: parts[first_part..].iter(),
            part: None,
            csv: RowReader::new(columns, wanted, first - before.min(first)),
            places,
            rows: VecDeque::new(),
            left: rows,
            recent: Recent::default(),
        }
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, StepError> {
        let wanted = self.left.min(BATCH as u64);
        if wanted == 0 {
            return Ok(None);
        }
        while (self.rows.len() as u64) < wanted {
            self.read_piece().await?;
        }
        self.left -= wanted;
        let batch = self.rows.drain(..usize::try_from(wanted).unwrap_or(BATCH));
        let (places, recent) = (&self.places, &mut self.recent);
        let record = |row: ArchivedRow| {
            let values = places.iter().zip(row.values);
            let value = |(&property, target): (&u16, String)| WantedValue { property, target, only_over: None };
            Wanted { id: row.id, values: values.map(value).collect() }
        };
        let records = batch.filter(|row| recent.is_new(row.id)).map(record).collect();
        Ok(Some(Batch { rows: wanted, records }))
    }

    async fn read_piece(&mut self) -> Result<(), StepError> {
        if self.part.is_none() {
            let part = self.parts.next().ok_or_else(broken)?;
            let place = part.place.ok_or_else(broken)?;
            let end = place.archive_offset + place.packed_length;
            self.part = Some(PartReader { inflate: SliceReader::new(part), next: place.archive_offset, end });
        }
        let Some(part) = &mut self.part else { return Err(broken()) };
        let range = part.next..part.end.min(part.next + PIECE);
        let source = CopySource { key: self.storage_key.to_owned(), etag: self.etag.clone(), range: range.clone() };
        let packed = match self.reader.read_source(&source).await {
            Err(StorageError::Absent(_) | StorageError::Changed(_)) => return Err(archive_gone()),
            Err(refused @ StorageError::Refused(_)) => {
                // The manifest names bytes behind the end of the archive.
                let present = self.reader.head(self.storage_key).await?;
                let is_shorter = present.is_some_and(|info| info.size < range.end);
                return Err(if is_shorter { broken() } else { refused.into() });
            }
            answer => answer?,
        };
        let mut plain = Vec::new();
        part.inflate.read(&packed, &mut plain).map_err(|_| broken())?;
        part.next = range.end;
        let part_ends = part.next >= part.end;
        let mut rows = Vec::new();
        self.csv.read(&plain, &mut rows).map_err(|_| broken())?;
        if part_ends && let Some(part) = self.part.take() {
            part.inflate.finish().map_err(|_| broken())?;
            self.csv.check_row_ended().map_err(|_| broken())?;
        }
        self.rows.extend(rows);
        Ok(())
    }
}

/// Values that another restore has overwritten.
pub(super) struct OutcomeSource<'a> {
    reader: &'a dyn BlobReader,
    restore: RestoreRef,
    slice: u32,
    files: Vec<OutcomeFile>,
    next_file: u32,
    include_edited: bool,
    properties: &'a [RestoredProperty],
    records: VecDeque<Wanted>,
    skip: u64,
}

impl OutcomeSource<'_> {
    async fn next_batch(&mut self) -> Result<Option<Batch>, StepError> {
        while self.records.len() < BATCH {
            let Some(file) = self.files.get(self.next_file as usize) else { break };
            let key = storage_keys::outcome(&self.restore, self.slice, self.next_file, file.attempt);
            let outcomes: Vec<ValueOutcome> = match stored_json::read_lines(self.reader, &key).await {
                Err(StorageError::Absent(_)) => return Err(outcomes_gone()),
                lines => lines?,
            };
            self.next_file += 1;
            // Places within this file only, so that a run that continues merges the same lines.
            let mut places = HashMap::new();
            for outcome in outcomes {
                self.add(outcome, &mut places);
            }
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.records.len());
            self.records.drain(..skipped);
            self.skip -= skipped as u64;
        }
        let records: Vec<Wanted> = self.records.drain(..self.records.len().min(BATCH)).collect();
        Ok((!records.is_empty()).then_some(Batch { rows: records.len() as u64, records }))
    }

    /// Adds an outcome to its record. A value that was written twice goes back to its value before the first write.
    fn add(&mut self, outcome: ValueOutcome, places: &mut HashMap<RecordId, usize>) {
        let Some(after) = outcome.after().map(str::to_owned) else { return };
        let mut ours = vec![after];
        // A run may have died between clearing the value and setting it.
        let property = self.properties.get(usize::from(outcome.property));
        if property.is_some_and(RestoredProperty::is_cleared_on_the_way) && outcome.fate == Fate::Unclear {
            ours.push(String::new());
        }
        let value = WantedValue {
            property: outcome.property,
            target: outcome.before,
            only_over: (!self.include_edited).then_some(ours),
        };
        let place = *places.entry(outcome.id).or_insert(self.records.len());
        match self.records.get_mut(place) {
            Some(record) => add_value(record, value),
            None => self.records.push_back(Wanted { id: outcome.id, values: vec![value] }),
        }
    }
}

fn add_value(record: &mut Wanted, value: WantedValue) {
    match record.values.iter_mut().find(|earlier| earlier.property == value.property) {
        Some(earlier) => {
            if let (Some(over), Some(more)) = (&mut earlier.only_over, value.only_over) {
                over.extend(more);
            }
        }
        None => record.values.push(value),
    }
}

pub(super) fn ids(batch: &[Wanted]) -> Vec<RecordId> {
    batch.iter().map(|wanted| wanted.id).collect()
}

fn broken() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::ArchiveBroken,
        "The backup's archive does not match its manifest, so nothing is restored from it. Pick another backup.",
    ))
}

fn archive_gone() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::ArchiveExpired,
        "The backup's archive has expired or was deleted. Pick a later backup and plan again.",
    ))
}

fn outcomes_gone() -> StepError {
    StepError::Fatal(Failure::new(
        FailureKind::UndoExpired,
        "The values that the restore overwrote have expired, so it can no longer be undone. Restore from an older \
         backup instead.",
    ))
}

#[cfg(test)]
mod tests {
    use domain::ids::{AccountId, RestoreId};
    use in_memory::MemoryStorage;
    use jiff::Timestamp;

    use super::*;

    /// A9: a record on two pages of an opaque list was compared twice, and "251 of the 250 records" were undone.
    #[test]
    fn a_repeated_row_is_not_a_record_of_its_own() {
        let mut recent = Recent::default();
        let ids = [1, 2, 3, 2, 4, 1];
        let new: Vec<u64> = ids.into_iter().filter(|id| recent.is_new(RecordId(*id))).collect();
        assert_eq!(new, [1, 2, 3, 4]);
        assert!((10..10 + REMEMBERED as u64).all(|id| recent.is_new(RecordId(id))));
        assert_eq!(recent.known.len(), REMEMBERED, "only so many are remembered");
        assert!(recent.is_new(RecordId(1)));
    }

    /// A9: a value that was written twice is one value to undo, and goes back to its value before the first write.
    #[test]
    fn a_value_that_was_written_twice_is_undone_once() {
        let storage = MemoryStorage::new();
        let account_id = AccountId::parse("42").expect("digits");
        let restore = RestoreRef { account_id, restore_id: RestoreId::new(Timestamp::UNIX_EPOCH, [7; 10]) };
        let mut source = OutcomeSource {
            reader: &storage,
            restore,
            slice: 0,
            files: Vec::new(),
            next_file: 0,
            include_edited: false,
            properties: &[],
            records: VecDeque::new(),
            skip: 0,
        };
        let outcome = |id, before: &str, target: &str| ValueOutcome {
            id: RecordId(id),
            property: 0,
            before: before.to_owned(),
            target: target.to_owned(),
            fate: Fate::Written { after: None },
        };
        let mut places = HashMap::new();
        for outcome in [outcome(1, "a", "b"), outcome(2, "x", "y"), outcome(1, "b", "c")] {
            source.add(outcome, &mut places);
        }
        assert_eq!(source.records.iter().map(|record| record.id.0).collect::<Vec<_>>(), [1, 2]);
        let value = &source.records[0].values[..];
        let [WantedValue { target, only_over: Some(over), .. }] = value else { panic!("one value: {}", value.len()) };
        assert_eq!((target.as_str(), &over[..]), ("a", &["b".to_owned(), "c".to_owned()][..]));
    }
}
