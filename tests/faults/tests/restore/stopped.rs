//! A user stops a restore while a run is at work.

use std::time::Duration;

use in_memory::faults::{Fault, Faults, Sweep};

use crate::scenario::{Scenario, Setup, damage_every_email};
use crate::zombies::until_frozen;

/// Batches that a run has under way at the same time.
const UNDER_WAY: u64 = 8;

/// A run is frozen at a call; meanwhile a user stops the restore, and others work for five seconds. Then the run goes
/// on: it finishes what it has begun and begins nothing. The CRM of these worlds holds each write against the lock.
#[tokio::test(start_paused = true)]
async fn a_run_begins_nothing_after_a_stop_and_the_lock_waits_for_it() {
    let setup = Setup { records: 3_000, damage: damage_every_email, ..Setup::default() };
    let counted = Faults::none();
    let calm = Scenario::in_memory(Setup { faults: counted.clone(), ..setup.clone() }).await;
    let restore = calm.planned().await;
    calm.world.confirm(&restore).await.expect("planned");
    let before = counted.calls();
    drop(calm);
    let (mut stopped, mut most) = (0, 0);
    let sweep = Sweep::expecting(14).every(13).after(before);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await;
            let world = &scenario.world;
            let restore = scenario.planned().await;
            world.confirm(&restore).await.expect("planned");
            let Some(frozen) = until_frozen(world).await else { return };
            if world.stop(&restore).await.is_err() {
                faults.release();
                frozen.await;
                return;
            }
            stopped += 1;
            let sent = world.crm.calls("update_batch");
            let others = async { while world.step().await {} };
            let _ = tokio::time::timeout(Duration::from_secs(5), others).await;
            faults.release();
            frozen.await;
            most = most.max(world.crm.calls("update_batch") - sent);
            world.restore_to_rest(&restore).await;
            scenario.assert_tidy(&restore, 1).await;
        })
        .await;
    assert!(stopped > 10 && most <= UNDER_WAY, "stopped {stopped} times, {most} writes after it");
}
