//! Gives an account's worker places to waiting chunks.
//!
//! The cap is soft: two simultaneous dispatches may each fill the last place. Its purpose is that one large account
//! neither takes all workers nor starts more of them than the CRM's rate can feed.

use std::cmp::Reverse;
use std::collections::HashMap;
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

use crate::listing;
use crate::run::StepError;

/// Workers that one account's backup may have at the same time. About `rate × latency` of them saturate the CRM: 19
/// calls a second at 300 ms need 6.
#[derive(Debug, Clone, Copy)]
pub struct WorkerCap(pub usize);

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

/// While the backup exports, activates and queues as many waiting chunks as there are free places. Chunks of the
/// largest objects come first, since they take longest.
///
/// # Errors
/// [`StepError`]. Some chunks may have been activated. Repeating it is safe.
pub async fn dispatch(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    cap: WorkerCap,
) -> Result<(), StepError> {
    let parent = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    if parent.is_none_or(|parent| parent.record.state != BackupState::Exporting) {
        return Ok(());
    }
    // An unreadable chunk does not delay the others.
    let partition = Backup::partition(&backup.backup_id);
    let objects = ledger::list_each::<ObjectExport>(ledger, &partition, ObjectExport::PREFIX).await?;
    let objects: Vec<_> = listing::readable(objects).map(|object| object.record).collect();
    let chunks = listing::readable(ledger::list_each::<Chunk>(ledger, &partition, Chunk::PREFIX).await?).collect();
    let chunks = of_present_generations(chunks, &objects);
    let active = chunks.iter().filter(|chunk| chunk.record.state == ChunkState::Ready).count();
    let mut waiting: Vec<_> = chunks.into_iter().filter(|chunk| chunk.record.state == ChunkState::Waiting).collect();
    waiting.sort_by_key(|chunk| Reverse(chunk.record.expected_records.unwrap_or(0)));
    let mut activated = Vec::new();
    for chunk in waiting.into_iter().take(cap.0.saturating_sub(active)) {
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
