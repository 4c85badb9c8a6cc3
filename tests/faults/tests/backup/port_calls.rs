//! A call of a port fails, or its answer is lost, or the worker dies there: at every call in turn.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use faults::FailedMessages;
use in_memory::faults::{Fault, Faults};

use crate::cases::{Case, FALLBACK, ONCE_MORE, SMALL, SPLIT, TINY, archive_of, calm_archive};

const FAULTS: [Fault; 3] = [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies];
const FAILED: [FailedMessages; 2] = [FailedMessages::ComeBack, FailedMessages::AreLost];

/// Goes through the calls of a backup, `stride` at a time, until no fault strikes any more.
async fn the_archive_is_that_of_the_calm_run(case: Case, stride: usize) {
    let calm = calm_archive(&case.calm().await).await;
    for (place, fault) in FAULTS.into_iter().enumerate() {
        for nth in (1_usize..).step_by(stride) {
            let faults = Faults::at(nth as u64, fault);
            let failed = FAILED[(nth / stride + place) % 2];
            let world = case.in_memory(faults.clone(), failed).await;
            let archive = archive_of(&world).await;
            assert!(archive.files == calm.files, "{:?}, failed messages {failed:?}", faults.struck());
            if faults.struck().is_empty() {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_every_call_of_a_small_backup() {
    the_archive_is_that_of_the_calm_run(SMALL, 1).await;
}

#[tokio::test(start_paused = true)]
async fn at_many_calls_while_an_object_is_split() {
    the_archive_is_that_of_the_calm_run(SPLIT, 5).await;
}

#[tokio::test(start_paused = true)]
async fn at_every_call_while_an_object_falls_back_to_one_worker() {
    the_archive_is_that_of_the_calm_run(FALLBACK, 1).await;
}

#[tokio::test(start_paused = true)]
async fn at_many_calls_while_parts_are_read_once_more() {
    the_archive_is_that_of_the_calm_run(ONCE_MORE, 4).await;
}

#[tokio::test]
async fn at_every_call_of_a_tiny_backup_on_dynamodb_local() {
    on_dynamodb_local(TINY, 1).await;
}

#[tokio::test]
async fn at_some_calls_of_a_small_backup_on_dynamodb_local() {
    on_dynamodb_local(Case { run_seconds: 10, ..SMALL }, 53).await;
}

async fn on_dynamodb_local(case: Case, stride: usize) {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        let calm = calm_archive(&case.on(ledger.clone(), Faults::none(), FailedMessages::ComeBack).await).await;
        for (place, fault) in FAULTS.into_iter().enumerate() {
            for nth in (1 + place as u64 % stride as u64..).step_by(stride) {
                let faults = Faults::at(nth, fault);
                let world = case.on(ledger.clone(), faults.clone(), FAILED[place % 2]).await;
                let archive = archive_of(&world).await;
                assert!(archive.files == calm.files, "{:?}", faults.struck());
                if faults.struck().is_empty() {
                    break;
                }
            }
        }
    })
    .await;
}
