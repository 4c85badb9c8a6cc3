//! Whether and how the CRM's lists can be started in the middle.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use domain::object::{ReadMode, Verdict};
use faults::crm::{Cursors, Otherwise};
use faults::{Settings, World, samples};
use jiff::SignedDuration;

use crate::worlds::{assert_complete, assert_tidy, in_memory, on_ledger};

const CAP: usize = 4;

/// Cursors whose lists cannot be started in the middle, and what that is like.
const NOT_STARTABLE: [(Cursors, &str); 5] = [
    (Cursors::Opaque, "opaque"),
    (Cursors::OnlyGiven(Otherwise::Restarts), "starts at the beginning"),
    (Cursors::OnlyGiven(Otherwise::Refused), "refused"),
    (Cursors::OnlyGiven(Otherwise::Skips(1)), "leaves one record out"),
    (Cursors::OnlyGiven(Otherwise::Skips(250)), "leaves many records out"),
];

async fn world(cursors: Cursors, run: i64, seed: u64) -> World {
    let export_run = SignedDuration::from_secs(run);
    let settings = Settings { workers: CAP, export_run, seed, ..Settings::default() };
    in_memory(vec![samples::many_contacts(10_000, cursors)], settings).await
}

/// The archive is complete and in order, and says so; it was read in the mode returned.
async fn read(world: &World) -> ReadMode {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_complete(world, &ended).await;
    assert_tidy(world, &backup).await;
    let file = &world.exported(&backup).await.manifest.files[0];
    assert_eq!((file.rows, file.verdict), (10_000, Verdict::Exact));
    world.objects_of(&backup).await[0].mode
}

#[tokio::test(start_paused = true)]
async fn lists_that_start_anywhere_are_read_by_several_workers() {
    for seed in 0..3 {
        for run in [5, 290] {
            let world = world(Cursors::Ids, run, seed).await;
            assert_eq!(read(&world).await, ReadMode::Ranges);
            assert!(world.crm.calls("count_in") > 0, "it was split");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_odd_answer_is_asked_for_again() {
    let world = world(Cursors::OnlyGiven(Otherwise::RestartsOnce), 290, 1).await;
    assert_eq!(read(&world).await, ReadMode::Ranges);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_fails_the_backup() {
    for run in [5, 290] {
        let world = world(Cursors::Circle, run, 1).await;
        let backup = world.request().await;
        let ended = world.to_the_end(&backup).await;
        assert_eq!(
            ended.failure.map(|failure| failure.kind),
            Some("crm-list-unreadable".to_owned()),
            "runs of {run} s"
        );
        assert_tidy(&world, &backup).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_that_do_not_are_read_by_one_worker() {
    for (cursors, what) in NOT_STARTABLE {
        for run in [5, 290] {
            println!("cursors: {what}, runs of {run} s");
            assert_eq!(read(&world(cursors, run, 1).await).await, ReadMode::Sequential, "{what}");
        }
    }
}

#[tokio::test]
async fn lists_that_do_not_are_read_by_one_worker_on_dynamodb_local() {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        for (cursors, what) in NOT_STARTABLE {
            let settings = Settings { workers: CAP, export_run: SignedDuration::from_secs(20), ..Settings::default() };
            let contacts = samples::many_contacts(10_000, cursors);
            let world = on_ledger(ledger.clone(), vec![contacts], settings).await;
            assert_eq!(read(&world).await, ReadMode::Sequential, "{what}");
        }
    })
    .await;
}
