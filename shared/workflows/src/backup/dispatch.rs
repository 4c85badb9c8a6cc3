//! Starts runs that read a backup's chunks.
//!
//! One run usually uses the CRM's whole rate up, so a message is only sent if no run reads the backup, or if the runs
//! that do cannot use the rate up. The cap is soft: two simultaneous dispatches may each start the last run.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::backup::{Backup, BackupState};
use domain::chunk::{Chunk, ChunkState};
use domain::ids::{BackupId, ObjectType, RecordId};
use domain::object::ObjectExport;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::segment::Segment;
use domain::work::BackupRef;
use jiff::Timestamp;

use crate::listing;
use crate::run::{StepError, delay_until};

/// Runs of export-chunk that may read one backup at the same time.
#[derive(Debug, Clone, Copy)]
pub struct RunCap(pub usize);

/// The valid chunks of a backup: those of the objects' present generations.
///
/// # Errors
/// [`LedgerError`].
pub async fn present_chunks(
    ledger: &dyn Ledger,
    backup: &BackupId,
    objects: &[ObjectExport],
) -> Result<Vec<Versioned<Chunk>>, LedgerError> {
    let chunks = ledger::list(ledger, &Backup::partition(backup), Chunk::PREFIX).await?;
    Ok(of_present_generations(chunks, objects))
}

fn of_present_generations(mut chunks: Vec<Versioned<Chunk>>, objects: &[ObjectExport]) -> Vec<Versioned<Chunk>> {
    let generations: HashMap<&ObjectType, u32> =
        objects.iter().map(|object| (&object.definition.object_type, object.generation)).collect();
    chunks.retain(|chunk| generations.get(&chunk.record.key.object_type) == Some(&chunk.record.key.generation));
    chunks
}

/// All objects of a backup, in order of their names.
///
/// # Errors
/// [`LedgerError`].
pub async fn objects(ledger: &dyn Ledger, backup: &BackupId) -> Result<Vec<ObjectExport>, LedgerError> {
    let partition = Backup::partition(backup);
    let objects: Vec<Versioned<ObjectExport>> = ledger::list(ledger, &partition, ObjectExport::PREFIX).await?;
    Ok(objects.into_iter().map(|object| object.record).collect())
}

/// The valid segments of an object, in record order: those of its present generation, without those of ranges that were
/// read again later.
///
/// # Errors
/// [`LedgerError`].
pub async fn present_segments(ledger: &dyn Ledger, object: &ObjectExport) -> Result<Vec<Segment>, LedgerError> {
    let (partition, name) = (Backup::partition(&object.backup_id), &object.definition.object_type);
    let prefix = Segment::prefix(name, object.generation);
    let segments: Vec<Versioned<Segment>> = ledger::list(ledger, &partition, &prefix).await?;
    let mut segments: Vec<Segment> = segments.into_iter().map(|segment| segment.record).collect();
    if object.reopened > 0 {
        let chunks: Vec<Versioned<Chunk>> =
            ledger::list(ledger, &partition, &Chunk::prefix(name, object.generation)).await?;
        let first: HashMap<RecordId, u32> =
            chunks.iter().map(|chunk| (chunk.record.key.lower, chunk.record.again.first_segment)).collect();
        segments.retain(|segment| first.get(&segment.lower).is_none_or(|first| segment.sequence >= *first));
    }
    Ok(segments)
}

/// While the backup exports, sends messages about waiting chunks until as many runs as `cap` allows read it. Chunks of
/// the largest objects come first, since they take longest. A run takes more chunks by itself.
///
/// # Errors
/// [`StepError`]. Some chunks may have been activated. Repeating it is safe.
pub async fn dispatch(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    cap: RunCap,
) -> Result<(), StepError> {
    let chunks = readable_chunks(ledger, backup).await?;
    let runs = runs(&chunks, clock.now());
    let mut waiting: Vec<_> = chunks.into_iter().filter(|chunk| chunk.record.state == ChunkState::Waiting).collect();
    waiting.sort_by_key(|chunk| Reverse(chunk.record.expected_records.unwrap_or(0)));
    let mut activated = Vec::new();
    for chunk in waiting.into_iter().take(cap.0.saturating_sub(runs)) {
        let Ok(ready) = chunk.record.activate(clock.now()) else { continue };
        match ledger.commit(&[Change::replace(&chunk, &ready)]).await {
            Ok(()) => activated.push(ready.work()),
            // Another run has dispatched it.
            Err(LedgerError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !activated.is_empty() {
        queue.send(&activated, Duration::ZERO).await?;
    }
    Ok(())
}

/// Sees to it that the backup goes on after a run that took several chunks: sends one message about a chunk that no run
/// holds. If a run is left, it takes them by itself.
///
/// # Errors
/// [`StepError`]. Repeating it is safe.
pub async fn hand_over(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
) -> Result<(), StepError> {
    let now = clock.now();
    let chunks = readable_chunks(ledger, backup).await?;
    if chunks.iter().any(|chunk| chunk.record.leasing.holder(now).is_some()) {
        return Ok(());
    }
    let free = chunks.iter().filter(|chunk| chunk.record.state == ChunkState::Ready);
    let next = free.filter_map(|chunk| Some((chunk.record.claimable_from(now)?, chunk))).min_by_key(|(from, _)| *from);
    match next {
        Some((from, chunk)) => Ok(queue.send(&[chunk.record.work()], delay_until(from, now)).await?),
        None => dispatch(ledger, queue, clock, backup, RunCap(1)).await,
    }
}

/// The present chunks of a backup while it exports. An unreadable one does not delay the others.
pub(crate) async fn readable_chunks(
    ledger: &dyn Ledger,
    backup: &BackupRef,
) -> Result<Vec<Versioned<Chunk>>, StepError> {
    let parent = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    if parent.is_none_or(|parent| parent.record.state != BackupState::Exporting) {
        return Ok(Vec::new());
    }
    let partition = Backup::partition(&backup.backup_id);
    let objects = ledger::list_each::<ObjectExport>(ledger, &partition, ObjectExport::PREFIX).await?;
    let objects: Vec<_> = listing::readable(objects).map(|object| object.record).collect();
    let chunks = listing::readable(ledger::list_each::<Chunk>(ledger, &partition, Chunk::PREFIX).await?).collect();
    Ok(of_present_generations(chunks, &objects))
}

/// The runs that read these chunks, and those that a message is on its way to.
fn runs(chunks: &[Versioned<Chunk>], now: Timestamp) -> usize {
    let ready = chunks.iter().filter(|chunk| chunk.record.state == ChunkState::Ready);
    let (held, free): (Vec<_>, Vec<_>) = ready.partition(|chunk| chunk.record.leasing.holder(now).is_some());
    let owners: HashSet<_> = held.iter().filter_map(|chunk| chunk.record.leasing.holder(now)).collect();
    owners.len() + free.len()
}
