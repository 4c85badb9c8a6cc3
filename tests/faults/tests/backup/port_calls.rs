//! A call of a port fails, or its answer is lost, or the worker dies there: at every call in turn.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use faults::FailedMessages;
use in_memory::faults::{Fault, Faults};

use crate::cases::{Case, FALLBACK, ONCE_MORE, SIDE_BY_SIDE, SMALL, SPLIT, TINY, archive_of, calm_archive};

const FAULTS: [Fault; 3] = [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies];
const FAILED: [FailedMessages; 2] = [FailedMessages::ComeBack, FailedMessages::AreLost];

/// Goes through the calls of a backup, `stride` at a time; `expected` faults of each kind strike.
async fn the_archive_is_that_of_the_calm_run(case: Case, stride: u64, expected: u64) {
    let calm = calm_archive(&case.calm().await).await;
    for (place, fault) in FAULTS.into_iter().enumerate() {
        let mut failed = FAILED.into_iter().cycle().skip(place);
        let sweep = case.sweep(stride, expected);
        sweep
            .of(fault, async |faults| {
                let failed = failed.next().expect("endless");
                let world = case.in_memory(faults.clone(), failed).await;
                let archive = archive_of(&world).await;
                assert!(archive.files == calm.files, "{:?}, failed messages {failed:?}", faults.struck());
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_leaves_a_small_archive_as_it_is() {
    the_archive_is_that_of_the_calm_run(SMALL, 1, 250).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_while_an_object_is_split_leaves_the_archive_as_it_is() {
    the_archive_is_that_of_the_calm_run(SPLIT, 4, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_while_objects_are_read_side_by_side_leaves_the_archive_as_it_is() {
    the_archive_is_that_of_the_calm_run(SIDE_BY_SIDE, 4, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_during_the_fallback_to_one_worker_leaves_the_archive_as_it_is() {
    the_archive_is_that_of_the_calm_run(FALLBACK, 1, 150).await;
}

/// M-9: a run that loads again after a conflict finds the right state, even if the commit was its own.
#[tokio::test(start_paused = true)]
async fn a_commit_that_is_made_and_answered_with_a_conflict_changes_no_archive() {
    for case in [SMALL, FALLBACK] {
        let calm = calm_archive(&case.calm().await).await;
        let mut overtaken = 0;
        let sweep = case.sweep(1, 150);
        sweep
            .of(Fault::Overtaken, async |faults| {
                let world = case.in_memory(faults.clone(), FailedMessages::ComeBack).await;
                let archive = archive_of(&world).await;
                let struck = faults.struck();
                assert!(archive.files == calm.files, "{struck:?}");
                overtaken += usize::from(struck.first().is_some_and(|struck| struck.call == "Ledger::commit"));
            })
            .await;
        assert!(overtaken > 30, "{overtaken} commits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_while_parts_are_read_once_more_leaves_the_archive_as_it_is() {
    the_archive_is_that_of_the_calm_run(ONCE_MORE, 2, 130).await;
}

#[tokio::test]
async fn a_fault_at_any_call_leaves_a_tiny_archive_as_it_is_on_dynamodb_local() {
    on_dynamodb_local(TINY, 1, 80).await;
}

#[tokio::test]
async fn a_fault_leaves_a_small_archive_as_it_is_on_dynamodb_local() {
    on_dynamodb_local(Case { run_seconds: 10, ..SMALL }, 53, 4).await;
}

async fn on_dynamodb_local(case: Case, stride: u64, expected: u64) {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        let calm = calm_archive(&case.on(ledger.clone(), Faults::none(), FailedMessages::ComeBack).await).await;
        for (place, fault) in (0_u64..).zip(FAULTS) {
            let failed = if place % 2 == 0 { FailedMessages::ComeBack } else { FailedMessages::AreLost };
            let sweep = case.sweep(stride, expected).where_calls_vary().after(place % stride);
            sweep
                .of(fault, async |faults| {
                    let world = case.on(ledger.clone(), faults.clone(), failed).await;
                    let archive = archive_of(&world).await;
                    assert!(archive.files == calm.files, "{:?}", faults.struck());
                })
                .await;
        }
    })
    .await;
}
