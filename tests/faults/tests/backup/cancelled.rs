//! A backup is cancelled while a worker is at a call of a port: at every call in turn.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use domain::backup::BackupState;
use domain::ports::ledger::Ledger;
use domain::storage_keys;
use domain::work::BackupRef;
use faults::{FailedMessages, World};
use in_memory::faults::Fault;
use workflows::backup::cancel::{self, CancelError};

use crate::cases::{Case, FALLBACK, SMALL, SPLIT};
use crate::worlds::{assert_complete, assert_tidy};
use crate::zombies::until_frozen;

/// What happens between the cancelling and the worker's next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// Everything is swept, and another backup begins.
    TheNextBackup,
}

/// Cancels the backup. False when it was completed before.
async fn cancel(world: &World, backup: &BackupRef) -> bool {
    match cancel::cancel(&*world.ledger, &*world.queue, &*world.clock, backup, &world.act("cancel-backup")).await {
        Ok(_) => true,
        Err(CancelError::Ended(ended)) => {
            assert_eq!(ended.state, BackupState::Completed);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Cancels a backup while a worker is frozen, and lets the worker go on.
async fn it_stays_cancelled(world: &World, meanwhile: Meanwhile) {
    let backup = world.request().await;
    let Some(frozen) = until_frozen(world).await else { return };
    let cancelled = cancel(world, &backup).await;
    let next = match meanwhile {
        Meanwhile::Nothing => None,
        Meanwhile::TheNextBackup => {
            world.to_the_end(&backup).await;
            Some(world.request().await)
        }
    };

    world.settings.faults.release();
    frozen.await;

    let ended = world.to_the_end(&backup).await;
    if cancelled {
        assert_eq!(ended.state, BackupState::Cancelled);
        assert_eq!(world.blobs.keys(&storage_keys::archive_prefix(&backup)), [""; 0], "no archive");
        assert_eq!(
            world.blobs.keys(&storage_keys::working_prefix(&backup)),
            [""; 0],
            "swept after {:?}",
            world.settings.faults.struck()
        );
    } else {
        assert_complete(world, &ended).await;
    }
    world.assert_backup_told(&backup).await;
    match next {
        None => assert_tidy(world, &backup).await,
        Some(next) => {
            assert_complete(world, &world.to_the_end(&next).await).await;
            assert_tidy(world, &next).await;
        }
    }
    assert!(cancel(world, &backup).await == cancelled, "cancelling again gives the same answer");
}

async fn a_cancelled_backup_stays_cancelled(case: Case, stride: u64, expected: u64) {
    for meanwhile in [Meanwhile::Nothing, Meanwhile::TheNextBackup] {
        let sweep = case.sweep(stride, expected);
        sweep
            .of(Fault::CallHeld, async |faults| {
                let world = case.in_memory(faults, FailedMessages::ComeBack).await;
                it_stays_cancelled(&world, meanwhile).await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_backup_that_is_cancelled_at_any_call_stays_cancelled() {
    a_cancelled_backup_stays_cancelled(SMALL, 1, 250).await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_is_cancelled_while_an_object_is_split_stays_cancelled() {
    a_cancelled_backup_stays_cancelled(SPLIT, 4, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_is_cancelled_during_the_fallback_to_one_worker_stays_cancelled() {
    a_cancelled_backup_stays_cancelled(FALLBACK, 3, 50).await;
}

#[tokio::test]
async fn a_backup_that_is_cancelled_stays_cancelled_on_dynamodb_local() {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger: Arc<dyn Ledger> = Arc::new(ledger);
        let sweep = SMALL.sweep(41, 6).where_calls_vary().after(2);
        sweep
            .of(Fault::CallHeld, async |faults| {
                let world = SMALL.on(ledger.clone(), faults, FailedMessages::ComeBack).await;
                it_stays_cancelled(&world, Meanwhile::TheNextBackup).await;
            })
            .await;
    })
    .await;
}
