//! A call of a port fails, or its answer is lost, or the worker dies there: at every call in turn, from the request of a
//! restore to the end of its undo.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_table};
use faults::{FailedMessages, Pace};
use in_memory::faults::{Fault, Faults};

use crate::scenario::{Scenario, Setup};

const FAULTS: [Fault; 3] = [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies];
const FAILED: [FailedMessages; 2] = [FailedMessages::ComeBack, FailedMessages::AreLost];

/// How many calls a backup makes before the restore begins.
async fn calls_before(setup: &Setup) -> u64 {
    let faults = Faults::none();
    drop(Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await);
    faults.calls()
}

async fn values_are_right_whatever_strikes(setup: Setup, stride: u64) {
    let before = calls_before(&setup).await;
    for (place, fault) in (0_u64..).zip(FAULTS) {
        for nth in (1_u64..).step_by(usize::try_from(stride).expect("small")) {
            let faults = Faults::at(before + nth, fault);
            let failed = FAILED[usize::try_from((nth / stride + place) % 2).expect("small")];
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), failed, ..setup.clone() }).await;
            scenario.there_and_back().await;
            if faults.struck().is_empty() {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_every_call_of_a_small_restore_and_its_undo() {
    values_are_right_whatever_strikes(Setup::default(), 1).await;
}

#[tokio::test(start_paused = true)]
async fn at_every_call_when_runs_end_early() {
    let setup = Setup { records: 1_200, run_seconds: 1, ..Setup::default() };
    values_are_right_whatever_strikes(setup, 3).await;
}

#[tokio::test]
async fn at_some_calls_on_dynamodb_local() {
    with_table(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        let setup = Setup { records: 130, ..Setup::default() };
        let before = calls_before(&setup).await;
        for (place, fault) in (0_u64..).zip(FAULTS) {
            for nth in (1 + place..).step_by(17) {
                let faults = Faults::at(before + nth, fault);
                let setup = Setup { faults: faults.clone(), ..setup.clone() };
                let scenario = Scenario::on(ledger.clone(), Pace::Real, setup).await;
                scenario.there_and_back().await;
                if faults.struck().is_empty() {
                    break;
                }
            }
        }
    })
    .await;
}
