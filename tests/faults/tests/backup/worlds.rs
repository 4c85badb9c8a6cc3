//! Worlds, and what must be true of every one of them when nothing is left to do.

use std::sync::Arc;

use domain::backup::{Backup, BackupState};
use domain::ports::ledger::Ledger;
use domain::storage_keys;
use domain::work::BackupRef;
use faults::{Latent, Pace, Settings, SimulatedObject, World, samples};
use in_memory::MemoryLedger;

/// A world in memory whose ledger takes its time as `seed` says. For tokio's paused clock.
pub(crate) async fn in_memory(objects: Vec<SimulatedObject>, settings: Settings, seed: u64) -> World {
    let ledger = Arc::new(Latent::new(MemoryLedger::new(), seed));
    World::new(ledger, samples::clock(Pace::Simulated), objects, settings).await
}

/// A world on a ledger that is reached over the network.
pub(crate) async fn on_ledger(ledger: Arc<dyn Ledger>, objects: Vec<SimulatedObject>, settings: Settings) -> World {
    World::new(ledger, samples::clock(Pace::Real), objects, settings).await
}

/// The account is free, nothing is queued or open, and nothing is left of the backup but what its state says.
pub(crate) async fn assert_tidy(world: &World, backup: &BackupRef) {
    assert!(world.may_begin_another().await, "the allowance is free");
    assert_eq!(world.queue.queued(), [], "the queue is empty");
    assert_eq!(world.objects.open_uploads(), 0, "no upload is open");
    assert_eq!(world.objects.keys(&storage_keys::working_prefix(backup)), [""; 0], "segments are swept");
}

/// The backup is completed, has the CRM's present records, and left nothing else behind.
pub(crate) async fn assert_complete(world: &World, backup: &Backup) {
    assert_eq!(backup.state, BackupState::Completed, "{:?}", backup.failure);
    let exported = world.exported(&backup.reference()).await;
    let truth = world.crm.truth();
    assert_eq!(exported.files.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (name, expected) in &truth {
        let found = exported.table(name);
        assert_eq!(found.header, expected.header, "{name}");
        assert_eq!(found.ids(), expected.ids(), "{name}");
        assert!(found.rows == expected.rows, "a value of {name} differs");
    }
}
