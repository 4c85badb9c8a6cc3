//! Functions of two versions at the same time, as while a deployment is under way.

use std::sync::Arc;

use domain::backup::BackupState;
use domain::ports::clock::Clock;
use domain::ports::ledger::Key;
use domain::work::BackupRef;
use faults::versions::{LaterRecords, TwoVersions};
use faults::{FailedMessages, Pace, World, samples};
use in_memory::MemoryLedger;
use in_memory::faults::Faults;
use jiff::SignedDuration;

use crate::cases::{Case, FALLBACK, SMALL, SPLIT, archive_of};
use crate::worlds::{assert_complete, assert_consistent, assert_tidy, assert_true};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How many members of the next version a backup of any case writes back at least.
const MANY: u64 = 12;

#[tokio::test(start_paused = true)]
async fn two_versions_work_on_one_backup_and_lose_nothing_of_each_other() {
    for case in [SMALL, SPLIT, FALLBACK] {
        for seed in 0..6 {
            let ledger = Arc::new(TwoVersions::new(Arc::new(MemoryLedger::new()), seed));
            let settings = case.settings(Faults::none(), FailedMessages::ComeBack);
            let world = World::new(ledger.clone(), samples::clock(Pace::Simulated), (case.objects)(), settings).await;

            let archive = archive_of(&world).await;

            assert_true(&world, &archive);
            assert!(ledger.kept() > MANY, "{} members in seed {seed} of {case:?}", ledger.kept());
        }
    }
}

/// A world whose backup is being exported, with some of it committed, and from now on with records of a later version.
async fn half_way(case: Case, which: fn(&Key) -> bool) -> (World, BackupRef, Arc<LaterRecords>) {
    let ledger = Arc::new(LaterRecords::new(Arc::new(MemoryLedger::new()), which));
    let world =
        World::new(ledger.clone(), samples::clock(Pace::Simulated), (case.objects)(), case.settings_calm()).await;
    let backup = world.request().await;
    while world.objects_of(&backup).await.iter().all(|object| object.records == 0) {
        world.deliver_one().await;
    }
    assert_eq!(world.backup(&backup).await.state, BackupState::Exporting);
    ledger.set_later(true);
    (world, backup, ledger)
}

/// Records that only a later version can read are waited for; no attempt is used up, and nothing is lost.
#[tokio::test(start_paused = true)]
async fn records_of_a_later_version_delay_a_backup_and_do_not_fail_it() {
    let kinds: [fn(&Key) -> bool; 9] = [
        |key| key.sort == "ACCOUNT",
        |key| key.sort == "ALLOWANCE",
        |key| key.sort == "BUDGET",
        |key| key.sort.starts_with("BACKUP#"),
        |key| key.sort.starts_with("OBJECT#"),
        |key| key.sort == "OBJECT#conversations",
        |key| key.sort.starts_with("CHUNK#contacts#"),
        |key| key.sort.starts_with("SEGMENT#"),
        |key| key.sort.starts_with("NOTIFICATION#"),
    ];
    for (place, which) in kinds.into_iter().enumerate() {
        let (world, backup, ledger) = half_way(SMALL, which).await;

        world.go_on_until(world.clock.now() + HOUR).await;
        ledger.set_later(false);
        let ended = world.to_the_end(&backup).await;

        println!("kind {place}: {:?}", ended.failure);
        assert_complete(&world, &ended).await;
        assert_consistent(&world, &backup).await;
        assert_tidy(&world, &backup).await;
    }
}

/// One object that cannot be read holds up the others as little as it can, and the backup does not wait for ever.
#[tokio::test(start_paused = true)]
async fn a_record_that_stays_unreadable_fails_the_backup_and_says_what_to_do() {
    let (world, backup, ledger) = half_way(SMALL, |key| key.sort == "OBJECT#conversations").await;

    world.go_on_until(world.clock.now() + HOUR * 23).await;
    assert_eq!(world.backup(&backup).await.state, BackupState::Exporting);
    world.go_on_until(world.clock.now() + HOUR * 2).await;

    let ended = world.backup(&backup).await;
    assert_eq!(ended.state, BackupState::Failed);
    let failure = ended.failure.expect("a reason");
    assert_eq!(failure.kind, "stored-unreadable");
    assert!(failure.sentence.contains("deploy the latest version"), "{}", failure.sentence);
    ledger.set_later(false);
    world.to_the_end(&backup).await;
    assert_tidy(&world, &backup).await;
}
