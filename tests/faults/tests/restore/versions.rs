//! Functions of two versions at the same time, as while a deployment is under way.

use std::sync::Arc;

use domain::ports::clock::Clock;
use domain::ports::ledger::Key;
use domain::restore::RestoreState;
use faults::Pace;
use faults::versions::{LaterRecords, TwoVersions};
use in_memory::MemoryLedger;
use jiff::SignedDuration;

use crate::scenario::{Scenario, Setup};

/// How many members of the next version a restore and its undo write back at least.
const MANY: u64 = 60;

#[tokio::test(start_paused = true)]
async fn two_versions_work_on_one_restore_and_lose_nothing_of_each_other() {
    for seed in 0..8 {
        let ledger = Arc::new(TwoVersions::new(Arc::new(MemoryLedger::new()), seed));
        let setup = Setup { workers: 2, records: 600, run_seconds: 3, ..Setup::default() };
        let scenario = Scenario::on(ledger.clone(), Pace::Simulated, setup).await;

        scenario.there_and_back().await;

        assert!(ledger.kept() > MANY, "{} members in seed {seed}", ledger.kept());
    }
}

/// Records that only a later version can read are waited for; no attempt is used up, and every value is restored.
#[tokio::test(start_paused = true)]
async fn records_of_a_later_version_delay_a_restore_and_do_not_fail_it() {
    let kinds: [fn(&Key) -> bool; 5] = [
        |key| key.sort == "ACCOUNT",
        |key| key.sort == "RESTORE-LOCK",
        |key| key.sort.starts_with("RESTORE#"),
        |key| key.sort.starts_with("SLICE#"),
        |key| key.sort == "SLICE#00000",
    ];
    for (place, which) in kinds.into_iter().enumerate() {
        let ledger = Arc::new(LaterRecords::new(Arc::new(MemoryLedger::new()), which));
        let setup = Setup { records: 9_000, run_seconds: 1, ..Setup::default() };
        let scenario = Scenario::on(ledger.clone(), Pace::Simulated, setup).await;
        let restore = scenario.half_way().await;

        ledger.set_later(true);
        let world = &scenario.world;
        world.go_on_until(world.clock.now() + SignedDuration::from_hours(1)).await;
        ledger.set_later(false);

        println!("kind {place}");
        scenario.rest_until(&restore, RestoreState::Completed).await;
        scenario.assert_values(&scenario.good);
        scenario.assert_tidy(&restore, 1).await;
    }
}
