//! What a backup costs on the ledger.

use std::sync::Arc;

use domain::backup::BackupState;
use faults::crm::Cursors;
use faults::{Pace, Settings, World, samples};
use in_memory::{CountingLedger, MemoryLedger};

/// Records, over pages of a hundred.
const RECORDS: u64 = 120_000;

/// M-6: the look of every two seconds does not grow with the chunks. They are listed only if a lane has no work, at most
/// every 15 seconds.
#[tokio::test(start_paused = true)]
async fn a_run_seldom_lists_all_chunks() {
    let ledger = Arc::new(CountingLedger::new(Arc::new(MemoryLedger::new())));
    let mut objects = samples::one_of_everything();
    objects[0] = samples::many_contacts(RECORDS, Cursors::Ids);
    let settings = Settings { workers: 8, ..Settings::default() };
    let world = World::new(ledger.clone(), samples::clock(Pace::Simulated), objects, settings).await;

    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;

    assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
    let calls = ledger.calls();
    println!("{RECORDS} records: {calls:?}");
    assert!(calls.listed < 5_000, "{calls:?}");
}
