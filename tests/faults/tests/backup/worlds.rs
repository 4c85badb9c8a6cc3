//! Worlds, and what must be true of every one of them when nothing is left to do.

use std::sync::Arc;

use domain::backup::{Backup, BackupState};
use domain::chunk::{Chunk, ChunkState};
use domain::ports::ledger::{self, Ledger};
use domain::storage_keys;
use domain::work::BackupRef;
use faults::{Exported, Pace, Settings, SimulatedObject, World, samples};
use in_memory::MemoryLedger;
use workflows::backup::dispatch;

/// A world in memory, for tokio's paused clock.
pub(crate) async fn in_memory(objects: Vec<SimulatedObject>, settings: Settings) -> World {
    World::new(Arc::new(MemoryLedger::new()), samples::clock(Pace::Simulated), objects, settings).await
}

/// A world on a ledger that is reached over the network.
pub(crate) async fn on_ledger(ledger: Arc<dyn Ledger>, objects: Vec<SimulatedObject>, settings: Settings) -> World {
    World::new(ledger, samples::clock(Pace::Real), objects, settings).await
}

/// The account is free and knows of the backup's end, nothing is queued or open, and nothing is left of the backup but
/// what its state says.
pub(crate) async fn assert_tidy(world: &World, backup: &BackupRef) {
    world.assert_backup_told(backup).await;
    assert!(world.may_begin_another().await, "the allowance is free");
    assert_eq!(world.queue.queued(), [], "the queue is empty");
    assert_eq!(world.blobs.open_uploads(), 0, "no upload is open");
    assert_eq!(world.blobs.keys(&storage_keys::working_prefix(backup)), [""; 0], "segments are swept");
}

/// The backup is completed, has the CRM's present records, and left nothing else behind.
pub(crate) async fn assert_complete(world: &World, backup: &Backup) {
    assert_eq!(backup.state, BackupState::Completed, "{:?}", backup.failure);
    assert_true(world, &world.exported_for_anyone(&backup.reference()).await);
}

/// The archive has the CRM's present records.
pub(crate) fn assert_true(world: &World, exported: &Exported) {
    let truth = world.crm.truth();
    assert_eq!(exported.files.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (name, expected) in &truth {
        let found = exported.table(name);
        assert_eq!(found.header, expected.header, "{name}");
        assert_eq!(found.ids(), expected.ids(), "{name}");
        assert!(found.rows == expected.rows, "a value of {name} differs");
    }
}

/// What the ledger counts is what it holds: chunks, segments, records.
pub(crate) async fn assert_consistent(world: &World, backup: &BackupRef) {
    let partition = format!("BACKUP#{}", backup.backup_id);
    for object in world.objects_of(backup).await {
        let name = &object.definition.object_type;
        let prefix = Chunk::prefix(name, object.generation);
        let chunks = ledger::list::<Chunk>(&*world.ledger, &partition, &prefix).await.expect("the ledger answers");
        let segments = dispatch::present_segments(&*world.ledger, &object).await.expect("the ledger answers");

        assert_eq!(object.open_chunks, 0, "{name}");
        assert!(chunks.iter().all(|chunk| chunk.record.state == ChunkState::Done), "{name}");
        assert_eq!(object.segments as usize, segments.len(), "{name}");
        let of_chunk = |chunk: &Chunk| chunk.next_sequence - chunk.again.first_segment;
        assert_eq!(chunks.iter().map(|chunk| of_chunk(&chunk.record)).sum::<u32>(), object.segments, "{name}");
        assert_eq!(segments.iter().map(|segment| segment.summary.rows).sum::<u64>(), object.records, "{name}");
        assert_eq!(
            segments.iter().map(|segment| segment.summary.plain_bytes).sum::<u64>(),
            object.plain_bytes,
            "{name}"
        );
        assert_eq!(chunks.iter().map(|chunk| chunk.record.records).sum::<u64>(), object.records, "{name}");
    }
}

/// Storage holds one archive of the backup and its manifest.
pub(crate) fn assert_one_archive(world: &World, backup: &Backup) {
    let archive = backup.archive.as_ref().expect("an archive");
    let keys = world.blobs.keys(&storage_keys::archive_prefix(&backup.reference()));
    assert_eq!(keys, [archive.manifest_key.clone(), archive.storage_key.clone()]);
}
