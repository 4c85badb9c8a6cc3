//! An archive that is made in parts, out of segments that are copied inside storage.

use std::sync::Arc;

use contracts::backends::{LOCALSTACK_S3, with_bucket};
use domain::backup::{BackupState, LONGEST_RUN};
use domain::ports::clock::Clock;
use faults::{Pace, Settings, SimulatedObject, World, samples};
use in_memory::MemoryLedger;
use in_memory::faults::{Fault, Sweep};
use jiff::SignedDuration;

use crate::cases::archive_of;
use crate::worlds::{assert_complete, assert_consistent, assert_one_archive, assert_tidy, in_memory};
use crate::zombies::until_frozen;

/// Segments of 9, 5 and 1 MB: one is written in parts itself, two can be copied from, one only goes through buffers.
fn objects() -> Vec<SimulatedObject> {
    vec![
        samples::long_notes("contacts", 1_350, 8_000),
        samples::long_notes("companies", 820, 8_000),
        samples::long_notes("deals", 150, 8_000),
    ]
}

async fn world(settings: Settings) -> World {
    in_memory(objects(), settings).await
}

/// How many calls a calm run makes before its archive is made, and until it is.
async fn calls_of_assembly() -> (u64, u64) {
    let world = world(Settings::default()).await;
    let backup = world.request().await;
    while world.backup(&backup).await.state != BackupState::Assembling {
        world.deliver_one().await;
    }
    let before = world.settings.faults.calls();
    while world.backup(&backup).await.state != BackupState::Completed {
        world.deliver_one().await;
    }
    (before, world.settings.faults.calls())
}

#[tokio::test(start_paused = true)]
async fn a_large_archive_holds_what_the_crm_holds() {
    let world = world(Settings::default()).await;
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_complete(&world, &ended).await;
    assert_consistent(&world, &backup).await;
    assert_tidy(&world, &backup).await;
    let etag = &ended.archive.expect("an archive").etag.0;
    assert!(etag.contains('-'), "it was made in parts: {etag}");
}

/// S3 refuses parts and copies that are too small; most emulators, and storage in memory, are not asked here.
#[tokio::test]
async fn a_strict_storage_accepts_the_parts_of_a_large_archive() {
    with_bucket(LOCALSTACK_S3, async |storage, _| {
        let clock = samples::clock(Pace::Real);
        let world = World::new(Arc::new(MemoryLedger::new()), clock, objects(), Settings::default()).await;
        let world = world.with_storage(Arc::new(storage));
        let ended = world.to_the_end(&world.request().await).await;
        assert_complete(&world, &ended).await;
        let etag = &ended.archive.expect("an archive").etag.0;
        assert!(etag.contains('-'), "it was made in parts: {etag}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_the_assembly_leaves_a_large_archive_as_it_is() {
    let calm = archive_of(&world(Settings::default()).await).await;
    let (before, last) = calls_of_assembly().await;
    for (shift, fault) in [(0, Fault::CallFails), (1, Fault::AnswerLost), (3, Fault::WorkerDies)] {
        let sweep = Sweep::expecting(9).every(4).after(before + shift).up_to(last + shift);
        sweep
            .of(fault, async |faults| {
                let world = world(Settings { faults: faults.clone(), ..Settings::default() }).await;
                let backup = world.request().await;
                let ended = world.to_the_end(&backup).await;

                let what = faults.struck();
                assert_eq!(ended.state, BackupState::Completed, "{what:?}: {:?}", ended.failure);
                assert!(world.exported(&backup).await.files == calm.files, "{what:?}");
                assert_one_archive(&world, &ended);
                // An upload whose beginning no run has learned of is ended by a lifecycle rule.
                assert!(world.blobs.open_uploads() <= 1, "{what:?}");
                world.assert_backup_told(&backup).await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_archive_is_assembled_by_many_short_runs() {
    let settings = Settings { assemble_run: SignedDuration::from_millis(100), ..Settings::default() };
    let world = world(settings).await;
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_complete(&world, &ended).await;
    assert_tidy(&world, &backup).await;
    assert!(ended.leasing.last_number > 1, "it took several runs");
    assert!(world.clock.now() < samples::beginning() + LONGEST_RUN);
}

#[tokio::test(start_paused = true)]
async fn a_late_assembler_changes_nothing() {
    let calm = archive_of(&world(Settings::default()).await).await;
    let (before, last) = calls_of_assembly().await;
    let sweep = Sweep::expecting(12).every(3).after(before).up_to(last);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = world(Settings { faults, ..Settings::default() }).await;
            let backup = world.request().await;
            let frozen = until_frozen(&world).await.expect("such a call");
            let ended = world.to_the_end(&backup).await;
            let finished = world.exported(&backup).await;
            assert!(finished.files == calm.files);

            world.settings.faults.release();
            frozen.await;
            world.to_the_end(&backup).await;

            assert_eq!(world.backup(&backup).await.archive, ended.archive);
            assert_eq!(world.exported(&backup).await, finished);
            assert_one_archive(&world, &ended);
            world.assert_backup_told(&backup).await;
        })
        .await;
}
