//! A run is killed, and its message is lost with it.

use domain::ports::clock::Clock;
use domain::restore::RestoreState;
use faults::FailedMessages;
use in_memory::faults::{Fault, Faults};
use jiff::SignedDuration;

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup};

/// So long may a run that was killed be missed.
const SOON: SignedDuration = SignedDuration::from_secs(90);

/// How long planning and carrying out take together when one call kills the worker, and which call it was.
async fn lasted(nth: u64) -> (SignedDuration, Option<String>) {
    let faults = Faults::at(nth, Fault::WorkerDies);
    let setup = Setup { faults: faults.clone(), failed: FailedMessages::AreLost, ..Setup::default() };
    let scenario = Scenario::in_memory(setup).await;
    let world = &scenario.world;
    let asked = world.clock.now();
    let restore = world.ask_restore(&scenario.backup, OBJECT, &PROPERTIES).await.expect("accepted");
    let planned = scenario.rest_until(&restore, RestoreState::Planned).await.plan.expect("a plan").made_at;
    let confirmed = world.clock.now();
    let ended = scenario.carried_out(&restore).await.ended_at.expect("an end");
    scenario.assert_values(&scenario.good);
    let struck = faults.struck().first().map(|struck| format!("{} at call {}", struck.call, struck.nth));
    (planned.duration_since(asked) + ended.duration_since(confirmed), struck)
}

/// D3: begin, comparing, summing up, writing and concluding are taken over within 90 seconds, wherever they were killed.
#[tokio::test(start_paused = true)]
async fn whichever_run_is_killed_another_one_goes_on_soon() {
    let before = Scenario::calls_before(&Setup::default()).await;
    let (calm, _) = lasted(u64::MAX).await;
    let mut late = Vec::new();
    for nth in before + 1.. {
        let (lasted, Some(struck)) = lasted(nth).await else { break };
        if lasted - calm > SOON {
            late.push((struck, lasted - calm));
        }
    }
    assert!(late.is_empty(), "{late:?}");
}
