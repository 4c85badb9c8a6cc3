//! Plans a slice: reads the present values of its records, a hundred per call, and stores the differences.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use domain::ids::RecordId;
use domain::ports::crm::Crm;
use domain::ports::crm_batch::BatchRead;
use domain::ports::ledger::{self, Change, Key};
use domain::restore::plan::{Gone, PlanCounts, PlannedRecord};
use domain::restore::slice::{Compared, PlanSegment, RestoreSlice};
use domain::restore::{Restore, RestoreEvent, RestoreState};
use domain::rows::RowBuffer;
use domain::storage_keys;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::definition::Definition;
use super::room::{Room, Taken};
use super::sources::{self, Batch, Source};
use super::{Ending, RestoreUsage, RestoreWork, after, pipeline};
use crate::contention;
use crate::run::{Run, StepError};
use crate::stored_json;

/// Records to write in one plan segment: whole batches, so that segments need no extra calls.
pub(super) const SEGMENT_RECORDS: u32 = 4_000;
/// The approximate bytes of one plan segment. A run that applies it reads it into memory.
pub(super) const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
/// Rows after which a comparison is committed even if it found few differences.
const COMMIT_ROWS: u64 = 50_000;

/// Records to compare in one call, and room for their values.
struct RoomyBatch {
    batch: Batch,
    room: Taken,
}

/// Records that were compared in one call.
struct ComparedBatch {
    /// None at the end of the source.
    rows: Option<u64>,
    records: Vec<PlannedRecord>,
    counts: PlanCounts,
    /// Given back once the records are in a group.
    _room: Option<Taken>,
}

/// Compared records that are not committed yet.
struct ComparedGroup {
    rows: u64,
    changed: u32,
    skips: bool,
    lines: Vec<u8>,
    counts: PlanCounts,
}

/// One run's comparison of a slice.
struct SliceComparison<'a> {
    work: &'a RestoreWork,
    restore: &'a Restore,
    definition: &'a Definition,
    key: &'a Key,
    lease: u32,
    crm: &'a dyn Crm,
    looked_at: Mutex<Timestamp>,
    room: Room,
}

/// How often a run checks whether the plan is still needed.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);

impl RestoreWork {
    /// Compares the rest of the slice at `key`.
    pub(super) async fn compare(
        &self,
        restore: &Restore,
        key: &Key,
        lease: u32,
        run: &Run,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, StepError> {
        let definition = Definition::of(&*self.reader, restore).await?;
        let slice = ledger::load::<RestoreSlice>(self.ledger(), key).await?.ok_or(StepError::GONE)?.record;
        let source = Source::open(self.ledger(), &*self.reader, &definition, &slice).await?;
        let session = self.sessions.open(&restore.account_id, restore.api_version, run).await?;
        let comparison = SliceComparison {
            work: self,
            restore,
            definition: &definition,
            key,
            lease,
            crm: &*session.crm,
            looked_at: Mutex::new(self.now()),
            room: Room::new(),
        };
        let done = comparison.through(source, run, usage).await;
        usage.gate = session.gate.usage();
        done
    }
}

impl SliceComparison<'_> {
    async fn through(&self, source: Source<'_>, run: &Run, usage: &mut RestoreUsage) -> Result<Ending, StepError> {
        // The end of the source is an item of its own, to distinguish it from the end of the run.
        let batches = stream::unfold(Some(source), async |source| {
            let mut source = source?;
            if self.work.now() >= run.ends {
                return None;
            }
            match source.next_batch().await {
                // Waits before the next batch is read, so that memory contains no more batches than there is room for.
                Ok(Some(batch)) => {
                    let room = self.room.take(bytes_of(&batch)).await;
                    Some((Ok(Some(RoomyBatch { batch, room })), Some(source)))
                }
                Ok(None) => Some((Ok(None), None)),
                Err(error) => Some((Err(error), None)),
            }
        });
        pipeline::run(batches, |batch| self.compare(batch), |results| self.commit_all(results, usage)).await
    }

    /// Compares one batch with one call.
    async fn compare(&self, batch: Option<RoomyBatch>) -> Result<ComparedBatch, StepError> {
        let mut counts = PlanCounts::of(self.definition.properties.len());
        let Some(RoomyBatch { batch: Batch { rows, records: wanted }, room }) = batch else {
            return Ok(ComparedBatch { rows: None, records: Vec::new(), counts, _room: None });
        };
        if wanted.is_empty() {
            return Ok(ComparedBatch { rows: Some(rows), records: Vec::new(), counts, _room: None });
        }
        self.check_wanted().await?;
        let present = Present::read(self.crm, self.restore, self.definition, &sources::ids(&wanted)).await?;
        let mut records = Vec::with_capacity(wanted.len());
        for wanted in &wanted {
            let (record, places) = match present.find(wanted.id) {
                Presence::Row(row) => {
                    let record =
                        PlannedRecord::compare(&self.definition.properties, wanted, |place| present.value(row, place));
                    (record, present.places(row))
                }
                Presence::Unreadable => (PlannedRecord::unreadable(wanted.id), Vec::new()),
                Presence::Gone(gone) => (PlannedRecord::gone(wanted.id, gone), Vec::new()),
            };
            counts.count(&record, places);
            records.push(record);
        }
        Ok(ComparedBatch { rows: Some(rows), records, counts, _room: Some(room) })
    }

    /// Ends the run if the restore was cancelled or has failed.
    async fn check_wanted(&self) -> Result<(), StepError> {
        let now = self.work.now();
        {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(*looked_at) < LOOK_EVERY {
                return Ok(());
            }
            *looked_at = now;
        }
        let restore = self.work.load(&self.restore.reference()).await?.record;
        if restore.state == RestoreState::Planning { Ok(()) } else { Err(StepError::UNWANTED) }
    }

    /// Commits the compared records in order.
    async fn commit_all(
        &self,
        mut results: mpsc::Receiver<Result<ComparedBatch, StepError>>,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, StepError> {
        let mut group = self.empty();
        let mut interrupted = None;
        let mut end = false;
        while let Some(result) = results.recv().await {
            match result {
                Ok(ComparedBatch { rows: None, .. }) => end = true,
                Ok(batch) => group.add(&batch)?,
                Err(error) => {
                    interrupted = Some(error);
                    break;
                }
            }
            if group.is_full() && !end {
                let rows = group.rows;
                self.commit(std::mem::replace(&mut group, self.empty()), false).await?;
                usage.records += rows;
            }
        }
        if group.rows > 0 || end {
            let rows = group.rows;
            self.commit(group, end).await?;
            usage.records += rows;
        }
        match interrupted {
            Some(error) => Err(error),
            None if end => Ok(Ending::Finished),
            None => Ok(Ending::RunOver),
        }
    }

    fn empty(&self) -> ComparedGroup {
        let counts = PlanCounts::of(self.definition.properties.len());
        ComparedGroup { rows: 0, changed: 0, skips: false, lines: Vec::new(), counts }
    }

    /// Writes the plan segment, then commits it with the slice's progress, and at its end with the restore's.
    async fn commit(&self, group: ComparedGroup, end: bool) -> Result<(), StepError> {
        let reference = self.restore.reference();
        let loaded = self.slice().await?;
        let number = u32::try_from(loaded.record.segments.len()).unwrap_or(u32::MAX);
        let segment = (!group.lines.is_empty()).then_some(PlanSegment {
            attempt: self.lease,
            changed: group.changed,
            skips: group.skips,
        });
        if segment.is_some() {
            let key = storage_keys::plan_segment(&reference, loaded.record.number, number, self.lease);
            self.work.put_lines(&key, group.lines).await?;
        }
        let from_row = loaded.record.rows_planned;
        let step = Compared { from_row, rows: group.rows, segment, counts: group.counts, end };
        contention::retry(|| async {
            let loaded = self.slice().await?;
            let next = loaded.record.compared(self.lease, &step)?;
            let mut changes = vec![Change::replace(&loaded, &next)];
            if end {
                let parent = self.work.load(&reference).await?;
                let counted = after(&parent.record, RestoreEvent::SliceFinished, self.work.now())?;
                changes.push(Change::replace(&parent, &counted));
            }
            Ok::<_, StepError>(contention::settle(self.work.ledger().commit(&changes).await, ())?)
        })
        .await
    }

    async fn slice(&self) -> Result<ledger::Versioned<RestoreSlice>, StepError> {
        ledger::load::<RestoreSlice>(self.work.ledger(), self.key).await?.ok_or(StepError::GONE)
    }
}

/// The bytes of a batch's wanted values. The CRM's present values are about as long.
fn bytes_of(batch: &Batch) -> usize {
    let values = batch.records.iter().flat_map(|record| &record.values);
    values.map(|value| 2 * value.target.len()).sum()
}

impl ComparedGroup {
    fn add(&mut self, batch: &ComparedBatch) -> Result<(), StepError> {
        self.rows += batch.rows.unwrap_or(0);
        self.counts.add(&batch.counts);
        for record in batch.records.iter().filter(|record| !record.is_unchanged()) {
            stored_json::add_line(record, &mut self.lines)?;
            self.changed += u32::from(!record.differences.is_empty());
            self.skips |= record.leaves_anything();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.changed >= SEGMENT_RECORDS || self.lines.len() >= SEGMENT_BYTES || self.rows >= COMMIT_ROWS
    }
}

impl RestoreWork {
    /// Writes lines to a key that contains this run's lease.
    pub(super) async fn put_lines(&self, key: &str, lines: Vec<u8>) -> Result<(), StepError> {
        stored_json::write_bytes(&*self.writer, key, lines).await?;
        Ok(())
    }
}

/// The CRM's answer about a record.
#[derive(Clone, Copy)]
pub(super) enum Presence {
    /// It is in this row.
    Row(usize),
    /// It exists but could not be read.
    Unreadable,
    /// It no longer exists.
    Gone(Gone),
}

/// The CRM's present values of some records. A value that it does not return is unknown, and never taken for empty.
pub(super) struct Present {
    rows: RowBuffer,
    row_of: HashMap<RecordId, usize>,
    /// The column of each property, by the property's place.
    column_of: Vec<Option<usize>>,
    merged_into: HashMap<RecordId, RecordId>,
    unreadable: HashSet<RecordId>,
    /// A record that was not requested, if there is one.
    stranger: Option<RecordId>,
    missing: usize,
}

impl Present {
    /// Reads the restorable properties of `ids` with one call.
    pub(super) async fn read(
        crm: &dyn Crm,
        restore: &Restore,
        definition: &Definition,
        ids: &[RecordId],
    ) -> Result<Self, StepError> {
        let mut properties = Vec::new();
        let mut column_of = Vec::with_capacity(definition.properties.len());
        for property in &definition.properties {
            column_of.push(property.is_restorable().then_some(properties.len()));
            if property.is_restorable() {
                properties.push(property.name.as_str());
            }
        }
        let merged = properties.len();
        properties.extend(crm.model().merged_ids());
        let mut rows = RowBuffer::new(properties.len());
        let request = BatchRead { object: &restore.object_type, properties: &properties, ids };
        let unreadable: HashSet<RecordId> = crm.read_batch(&request, &mut rows).await?.into_iter().collect();
        let row_of: HashMap<RecordId, usize> = rows.ids().iter().enumerate().map(|(row, id)| (*id, row)).collect();
        let mut merged_into = HashMap::new();
        for (row, survivor) in rows.ids().iter().enumerate() {
            let listed = if merged < rows.columns() { rows.value(row, merged) } else { "" };
            let former = listed.split(';').filter_map(|id| RecordId::parse(id.trim()).ok());
            merged_into.extend(former.map(|former| (former, *survivor)));
        }
        let stranger = rows.ids().iter().copied().find(|id| !ids.contains(id));
        let missing = ids.iter().filter(|id| !row_of.contains_key(id) && !unreadable.contains(id)).count();
        Ok(Self { rows, row_of, column_of, merged_into, unreadable, stranger, missing })
    }

    /// The CRM's answer about a record.
    pub(super) fn find(&self, id: RecordId) -> Presence {
        match self.row_of.get(&id) {
            Some(row) => Presence::Row(*row),
            None if self.unreadable.contains(&id) => Presence::Unreadable,
            None => Presence::Gone(self.whereabouts(id)),
        }
    }

    /// The value of a property by its place: empty for null, None if the CRM has not returned it.
    pub(super) fn value(&self, row: usize, place: u16) -> Option<&str> {
        let column = self.column_of.get(usize::from(place)).copied().flatten()?;
        self.rows.is_shown(row, column).then(|| self.rows.value(row, column))
    }

    /// The places of the properties that the CRM returned with a value.
    fn places(&self, row: usize) -> Vec<u16> {
        let places = (0_u16..).zip(&self.column_of).map(|(place, _)| place);
        places.filter(|&place| self.value(row, place).is_some_and(|value| !value.is_empty())).collect()
    }

    /// The fate of a record that no longer exists. The CRM returns a merged record under another id, with its former
    /// ids in a property. If no property names it, and it is the only missing record, a returned record that was not
    /// requested is taken for the merged one.
    fn whereabouts(&self, id: RecordId) -> Gone {
        let into = self.merged_into.get(&id).copied().or(self.stranger.filter(|_| self.missing == 1));
        into.map_or(Gone::Deleted, |into| Gone::Merged { into })
    }
}
