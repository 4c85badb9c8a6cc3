//! Whether and how the CRM's lists can be started in the middle.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use domain::object::{ListUse, Verdict};
use domain::ports::crm_model::ReadMode;
use faults::crm::{Cursors, Otherwise};
use faults::{Settings, World, samples};
use jiff::SignedDuration;

use crate::worlds::{assert_complete, assert_tidy, in_memory, on_ledger};

const CAP: usize = 4;

/// Cursors whose lists cannot be started in the middle, what that is like, and what the list is good for then.
const NOT_STARTABLE: [(Cursors, &str, ListUse); 7] = [
    (Cursors::Opaque, "opaque", ListUse::FirstRange),
    (Cursors::OpaqueWithRepeats, "opaque, with records on two pages", ListUse::FirstRange),
    (Cursors::OpaqueBackwards, "opaque and backwards", ListUse::NoRange),
    (Cursors::OnlyGiven(Otherwise::Restarts), "starts at the beginning", ListUse::FirstRange),
    (Cursors::OnlyGiven(Otherwise::Refused), "refused", ListUse::FirstRange),
    (Cursors::OnlyGiven(Otherwise::Skips(1)), "leaves one record out", ListUse::AnyRange),
    (Cursors::OnlyGiven(Otherwise::Skips(250)), "leaves many records out", ListUse::AnyRange),
];

async fn world(cursors: Cursors, run: i64, seed: u64) -> World {
    let export_run = SignedDuration::from_secs(run);
    let settings = Settings { workers: CAP, export_run, seed, ..Settings::default() };
    in_memory(vec![samples::many_contacts(10_000, cursors)], settings).await
}

/// The archive is complete and in order, and says so; it was read in the mode returned, with that use of the list.
async fn read(world: &World) -> (ReadMode, ListUse) {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_complete(world, &ended).await;
    assert_tidy(world, &backup).await;
    let file = &world.exported(&backup).await.manifest.files[0];
    assert_eq!((file.rows, file.verdict), (10_000, Verdict::Exact));
    let object = world.objects_of(&backup).await.remove(0);
    (object.mode, object.list_use)
}

/// C1: cursors that name the last id, and those that name the one after it.
#[tokio::test(start_paused = true)]
async fn lists_that_start_anywhere_are_read_by_several_workers() {
    for cursors in [Cursors::Ids, Cursors::NextIds] {
        for (seed, run) in [(0, 5), (0, 290), (1, 5), (1, 290), (2, 5), (2, 290)] {
            let world = world(cursors, run, seed).await;
            assert_eq!(read(&world).await, (ReadMode::Ranges, ListUse::AnyRange));
            assert!(world.crm.calls("nth_after") > 0, "it was split");
            // 100 pages, one of discovery, and the ends of ranges.
            assert!(world.crm.calls("page") < 140, "{cursors:?}: {} pages", world.crm.calls("page"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_odd_answer_is_asked_for_again() {
    let world = world(Cursors::OnlyGiven(Otherwise::RestartsOnce), 290, 1).await;
    assert_eq!(read(&world).await, (ReadMode::Ranges, ListUse::AnyRange));
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_is_replaced_by_searches_or_fails_the_backup() {
    for run in [5, 290] {
        assert_eq!(read(&world(Cursors::Circle, run, 1).await).await.0, ReadMode::Ranges);

        let mut threads = samples::many_contacts(1_000, Cursors::Ids).uncounted();
        threads.cursors = Cursors::Circle;
        let settings = Settings { export_run: SignedDuration::from_secs(run), ..Settings::default() };
        let world = in_memory(vec![threads], settings).await;
        let backup = world.request().await;
        let ended = world.to_the_end(&backup).await;
        assert_eq!(
            ended.failure.as_ref().map(|failure| failure.kind.as_str()),
            Some("crm-list-unreadable"),
            "runs of {run} s"
        );
        assert_tidy(&world, &backup).await;
    }
}

/// C2, A9: the first range comes from the list where that is in order, all others from searches.
#[tokio::test(start_paused = true)]
async fn lists_that_do_not_are_read_by_searches() {
    for (cursors, what, list_use) in NOT_STARTABLE {
        for run in [5, 290] {
            println!("cursors: {what}, runs of {run} s");
            let world = world(cursors, run, 1).await;
            assert_eq!(read(&world).await, (ReadMode::Ranges, list_use), "{what}");
            assert!(world.crm.calls("nth_after") > 0, "it was split");
        }
    }
}

#[tokio::test]
async fn lists_that_do_not_are_read_by_searches_on_dynamodb_local() {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        for (cursors, what, list_use) in NOT_STARTABLE {
            let settings = Settings { workers: CAP, export_run: SignedDuration::from_secs(20), ..Settings::default() };
            let contacts = samples::many_contacts(10_000, cursors);
            let world = on_ledger(ledger.clone(), vec![contacts], settings).await;
            assert_eq!(read(&world).await, (ReadMode::Ranges, list_use), "{what}");
        }
    })
    .await;
}
