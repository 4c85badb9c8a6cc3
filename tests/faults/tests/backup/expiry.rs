//! An archive is about to expire, and a call of a port fails, or its answer is lost, or the worker dies there: at every
//! call in turn.

use domain::backup::EXPIRY_NOTICE;
use faults::{FailedMessages, World};
use in_memory::faults::{Fault, Sweep};
use jiff::SignedDuration;

use crate::cases::TINY;

/// Makes a backup and lets it grow old. Returns how many calls that took.
async fn the_account_is_told_once(world: &World) -> u64 {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    world.assert_backup_told(&backup).await;
    let calls = world.settings.faults.calls();

    world.clock.pass_until(ended.archive.expect("an archive").expires_at - EXPIRY_NOTICE).await;
    for _ in 0..3 {
        world.recover().await;
        world.clock.pass(SignedDuration::from_mins(1)).await;
    }
    world.to_the_end(&backup).await;

    world.assert_expiry_told(&backup).await;
    calls
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_leaves_one_notification_of_an_expiry() {
    let calm = TINY.calm().await;
    let before = the_account_is_told_once(&calm).await;
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let mut failed = [FailedMessages::ComeBack, FailedMessages::AreLost].into_iter().cycle();
        let sweep = Sweep::expecting(50).after(before);
        sweep
            .of(fault, async |faults| {
                let failed = failed.next().expect("endless");
                the_account_is_told_once(&TINY.in_memory(faults, failed).await).await;
            })
            .await;
    }
}
