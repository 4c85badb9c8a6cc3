//! A run is killed, and its message is lost with it.

use std::sync::Arc;

use domain::ports::clock::Clock;
use domain::restore::RestoreState;
use faults::FailedMessages;
use in_memory::faults::{Fault, Faults, Sweep};
use jiff::SignedDuration;

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup};

/// The longest delay that a killed run may cause.
const SOON: SignedDuration = SignedDuration::from_secs(90);

/// How long planning and carrying out take together with these faults.
async fn lasted(faults: &Arc<Faults>) -> SignedDuration {
    let setup = Setup { faults: faults.clone(), failed: FailedMessages::AreLost, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    let world = &scenario.world;
    let asked = world.clock.now();
    let restore = world.ask_restore(&scenario.backup, OBJECT, &PROPERTIES).await.expect("accepted");
    let planned = scenario.rest_until(&restore, RestoreState::Planned).await.plan.expect("a plan").made_at;
    let confirmed = world.clock.now();
    let ended = scenario.carried_out(&restore).await.ended_at.expect("an end");
    scenario.assert_values(&scenario.good);
    planned.duration_since(asked) + ended.duration_since(confirmed)
}

/// D3: begin, comparing, summing up, writing and concluding are taken over within 90 seconds, wherever they were
/// killed.
#[tokio::test(start_paused = true)]
async fn a_killed_run_of_a_restore_is_replaced_soon() {
    let before = Scenario::calls_before(&Setup::default()).await;
    let calm = lasted(&Faults::none()).await;
    let mut late = Vec::new();
    let sweep = Sweep::expecting(95).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let more = lasted(&faults).await - calm;
            if more > SOON {
                late.push((faults.struck(), more));
            }
        })
        .await;
    assert!(late.is_empty(), "{late:?}");
}
