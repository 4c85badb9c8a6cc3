//! A run is killed, and its message is lost with it.

use std::sync::Arc;

use domain::backup::BackupState;
use domain::lease::WaitReason;
use domain::ports::clock::Clock;
use faults::FailedMessages;
use in_memory::faults::{Fault, Faults, Sweep};
use jiff::SignedDuration;
use workflows::backup::read;

use crate::cases::{Case, SMALL, SPLIT};

/// The longest delay that a killed run may cause.
const SOON: SignedDuration = SignedDuration::from_secs(90);

/// How long a backup with these faults takes.
async fn lasted(case: Case, faults: &Arc<Faults>) -> SignedDuration {
    let world = case.in_memory(faults.clone(), FailedMessages::AreLost).await;
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", faults.struck());
    ended.ended_at.expect("an end").duration_since(ended.created_at)
}

/// D3: discovery, export, closing and assembly are taken over within 90 seconds, wherever they were killed.
#[tokio::test(start_paused = true)]
async fn a_killed_run_of_a_backup_is_replaced_soon() {
    let quick = Case { run_seconds: 290, ..SMALL };
    for case in [quick, SPLIT] {
        let calm = lasted(case, &Faults::none()).await;
        let mut late = Vec::new();
        let sweep = case.sweep(1, 150);
        sweep
            .of(Fault::WorkerDies, async |faults| {
                let more = lasted(case, &faults).await - calm;
                if more > SOON {
                    late.push((faults.struck(), more));
                }
            })
            .await;
        assert!(late.is_empty(), "{late:?}");
    }
}

/// D3: before another run takes over, the progress shows what the backup waits for.
#[tokio::test(start_paused = true)]
async fn the_progress_shows_that_a_run_was_cut_off() {
    let mut count = 0;
    let sweep = Sweep::expecting(13).every(20).after(19);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let world = SMALL.in_memory(faults.clone(), FailedMessages::AreLost).await;
            let backup = world.request().await;
            while faults.struck().is_empty() && world.step().await {}
            if faults.struck().is_empty() {
                return;
            }
            world.clock.pass(SignedDuration::from_secs(35)).await;
            let now = world.clock.now();
            let waiting = read::read(&*world.ledger, &backup, now).await.expect("readable").waiting;
            if let Some(waiting) = waiting.filter(|waiting| waiting.reason == WaitReason::RunsEnding) {
                assert!(waiting.since.is_some_and(|since| since < now) && waiting.until <= now + SOON);
                count += 1;
            }
        })
        .await;
    assert!(count > 2, "{count}");
}
