//! A run is killed, and its message is lost with it.

use domain::backup::BackupState;
use domain::lease::WaitReason;
use domain::ports::clock::Clock;
use faults::FailedMessages;
use in_memory::faults::{Fault, Faults};
use jiff::SignedDuration;
use workflows::backup::read;

use crate::cases::{Case, SMALL, SPLIT};

/// So long may a run that was killed be missed.
const SOON: SignedDuration = SignedDuration::from_secs(90);

/// How long a backup takes in which one call kills the worker; None when no call did.
async fn lasted(case: Case, nth: u64) -> (SignedDuration, Option<String>) {
    let faults = Faults::at(nth, Fault::WorkerDies);
    let world = case.in_memory(faults.clone(), FailedMessages::AreLost).await;
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", faults.struck());
    let struck = faults.struck().first().map(|struck| format!("{} at call {}", struck.call, struck.nth));
    (ended.ended_at.expect("an end").duration_since(ended.created_at), struck)
}

/// D3: discovery, export, closing and assembly are taken over within 90 seconds, wherever they were killed.
#[tokio::test(start_paused = true)]
async fn whichever_run_is_killed_another_one_goes_on_soon() {
    let quick = Case { run_seconds: 290, ..SMALL };
    for case in [quick, SPLIT] {
        let (calm, _) = lasted(case, u64::MAX).await;
        let mut late = Vec::new();
        for nth in 1.. {
            let (lasted, Some(struck)) = lasted(case, nth).await else { break };
            if lasted - calm > SOON {
                late.push((struck, lasted - calm));
            }
        }
        assert!(late.is_empty(), "{late:?}");
    }
}

/// D3: while nobody has taken over yet, the progress says what the backup waits for.
#[tokio::test(start_paused = true)]
async fn the_progress_tells_of_a_run_that_was_cut_off() {
    let mut told = 0;
    for nth in (20..).step_by(20) {
        let faults = Faults::at(nth, Fault::WorkerDies);
        let world = SMALL.in_memory(faults.clone(), FailedMessages::AreLost).await;
        let backup = world.request().await;
        while faults.struck().is_empty() && world.step().await {}
        if faults.struck().is_empty() {
            break;
        }
        world.clock.pass(SignedDuration::from_secs(35)).await;
        let now = world.clock.now();
        let waiting = read::read(&*world.ledger, &backup, now).await.expect("readable").waiting;
        if let Some(waiting) = waiting.filter(|waiting| waiting.reason == WaitReason::RunsEnding) {
            assert!(waiting.since.is_some_and(|since| since < now) && waiting.until <= now + SOON);
            told += 1;
        }
    }
    assert!(told > 2, "{told}");
}
