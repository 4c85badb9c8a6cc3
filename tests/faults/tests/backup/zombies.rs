//! A worker is frozen at a call of a port, long enough for its lease to run out; another one takes over and finishes;
//! then the first goes on as if nothing had been: at every call in turn.

use std::pin::Pin;
use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use domain::backup::BackupState;
use domain::storage_keys;
use faults::{Exported, FailedMessages, World};
use in_memory::faults::{Fault, Faults};

use crate::cases::{Case, FALLBACK, ONCE_MORE, SIDE_BY_SIDE, SMALL, SPLIT, TINY, calm_archive};
use crate::worlds::assert_one_archive;

/// What a frozen worker will do when it is released.
pub(crate) type Frozen<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

/// Runs the world until a worker is frozen, and returns what is left of it to do; None when nothing is left to do.
pub(crate) async fn until_frozen(world: &World) -> Option<Frozen<'_>> {
    loop {
        let mut step: Frozen<'_> = Box::pin(world.step());
        tokio::select! {
            biased;
            more = &mut step => if !more { return None },
            () = world.settings.faults.until_struck() => return Some(step),
        }
    }
}

/// Freezes a worker at call `nth`, finishes the backup without it, asks for another one, and lets it go on.
async fn nothing_changes(world: &World, calm: &Exported) {
    let backup = world.request().await;
    let Some(frozen) = until_frozen(world).await else { return };
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
    let finished = world.exported(&backup).await;
    assert!(finished.files == calm.files);
    let next = world.request().await;

    world.settings.faults.release();
    frozen.await;

    let next_ended = world.to_the_end(&next).await;
    assert_eq!(next_ended.state, BackupState::Completed, "{:?}", next_ended.failure);
    assert!(world.exported(&next).await.files == calm.files);
    assert_eq!(world.backup(&backup).await, ended);
    assert_eq!(world.exported(&backup).await, finished);
    assert_one_archive(world, &ended);
    assert!(world.may_begin_another().await);
    world.assert_backup_told(&backup).await;
    world.assert_backup_told(&next).await;
    assert_eq!(
        world.blobs.keys(&storage_keys::working_prefix(&backup)),
        [""; 0],
        "swept after {:?}",
        world.settings.faults.struck()
    );
}

async fn a_late_worker_changes_nothing(case: Case, stride: u64, expected: u64) {
    let calm = calm_archive(&case.calm().await).await;
    let sweep = case.sweep(stride, expected);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = case.in_memory(faults, FailedMessages::ComeBack).await;
            nothing_changes(&world, &calm).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_small_backup() {
    a_late_worker_changes_nothing(SMALL, 1, 250).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_backup_while_an_object_is_split() {
    a_late_worker_changes_nothing(SPLIT, 3, 80).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_backup_that_is_read_side_by_side() {
    a_late_worker_changes_nothing(SIDE_BY_SIDE, 4, 60).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_backup_during_the_fallback_to_one_worker() {
    a_late_worker_changes_nothing(FALLBACK, 1, 150).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_backup_while_parts_are_read_once_more() {
    a_late_worker_changes_nothing(ONCE_MORE, 3, 85).await;
}

#[tokio::test]
async fn a_late_worker_changes_no_tiny_backup_on_dynamodb_local() {
    on_dynamodb_local(TINY, 1, 80).await;
}

#[tokio::test]
async fn a_late_worker_changes_no_small_backup_on_dynamodb_local() {
    on_dynamodb_local(SMALL, 47, 5).await;
}

async fn on_dynamodb_local(case: Case, stride: u64, expected: u64) {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        let calm = calm_archive(&case.on(ledger.clone(), Faults::none(), FailedMessages::ComeBack).await).await;
        let sweep = case.sweep(stride, expected).where_calls_vary();
        sweep
            .of(Fault::CallHeld, async |faults| {
                let world = case.on(ledger.clone(), faults, FailedMessages::ComeBack).await;
                nothing_changes(&world, &calm).await;
            })
            .await;
    })
    .await;
}
