//! A call of a port fails, or its answer is lost, or the worker dies there: at every call in turn, from the request of
//! a restore to the end of its undo.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use faults::{FailedMessages, Pace};
use in_memory::faults::{Fault, Faults, Sweep};

use crate::scenario::{Scenario, Setup, all_fans, damage_every_email, stages};

const FAULTS: [Fault; 3] = [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies];
const FAILED: [FailedMessages; 2] = [FailedMessages::ComeBack, FailedMessages::AreLost];

/// Goes through the calls of a restore and its undo, `stride` at a time; `expected` faults of each kind strike.
async fn values_are_right_whatever_strikes(setup: Setup, stride: u64, expected: u64) {
    let before = Scenario::calls_before(&setup).await;
    for (place, fault) in FAULTS.into_iter().enumerate() {
        let mut failed = FAILED.into_iter().cycle().skip(place);
        let sweep = Sweep::expecting(expected).every(stride).after(before);
        sweep
            .of(fault, async |faults| {
                let failed = failed.next().expect("endless");
                Scenario::in_memory(Setup { failed, faults, ..setup.clone() }).await.there_and_back().await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_call_of_a_restore_and_its_undo_costs_no_value() {
    values_are_right_whatever_strikes(Setup::default(), 1, 190).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_while_stages_go_backwards_costs_no_value() {
    let setup = Setup { records: 130, prepare: stages, damage: all_fans, ..Setup::default() };
    values_are_right_whatever_strikes(setup, 1, 200).await;
}

/// Two workers die, one after the other, at calls that are a little apart.
#[tokio::test(start_paused = true)]
async fn two_deaths_soon_after_each_other_cost_no_value() {
    let setup = Setup { records: 130, prepare: stages, damage: all_fans, ..Setup::default() };
    let before = Scenario::calls_before(&setup).await;
    for apart in [1, 5, 11] {
        let deaths = |nth| Faults::script([(nth, Fault::WorkerDies), (nth + apart, Fault::WorkerDies)]);
        let sweep = Sweep::expecting(200).after(before);
        sweep
            .of_scripts(deaths, async |faults| {
                Scenario::in_memory(Setup { faults, ..setup.clone() }).await.there_and_back().await;
            })
            .await;
    }
}

/// A worker dies, and before another one takes over, a user stops the restore. An undo gives back the state before.
#[tokio::test(start_paused = true)]
async fn a_restore_that_is_stopped_after_a_death_can_be_undone() {
    let staged = Setup { prepare: stages, damage: all_fans, ..Setup::default() };
    for setup in [staged, Setup::default()] {
        let before = Scenario::calls_before(&setup).await;
        let mut stopped = 0;
        let sweep = Sweep::expecting(95).after(before);
        sweep
            .of(Fault::WorkerDies, async |faults| {
                let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await;
                let restore = scenario.planned().await;
                scenario.world.confirm(&restore).await.expect("planned");
                while faults.struck().is_empty() && scenario.world.step().await {}
                if faults.struck().is_empty() {
                    return;
                }
                if scenario.world.stop(&restore).await.is_err() {
                    scenario.world.restore_to_rest(&restore).await;
                    return;
                }
                stopped += 1;
                scenario.world.restore_to_rest(&restore).await;
                scenario.assert_tidy(&restore, 1).await;
                let undo = scenario.undo_planned(&restore, false).await;
                if scenario.world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
                    scenario.carried_out(&undo).await;
                }
                scenario.assert_values(&scenario.damaged);
            })
            .await;
        assert!(stopped > 10, "{stopped}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_short_runs_of_a_restore_costs_no_value() {
    let setup = Setup { records: 1_200, run_seconds: 1, ..Setup::default() };
    values_are_right_whatever_strikes(setup, 3, 90).await;
}

/// M-9: a run that loads again after a conflict finds the right state, even if the commit was its own.
#[tokio::test(start_paused = true)]
async fn a_commit_that_is_made_and_answered_with_a_conflict_costs_no_value() {
    let setup = Setup { records: 130, prepare: stages, damage: all_fans, ..Setup::default() };
    let before = Scenario::calls_before(&setup).await;
    let mut overtaken = 0;
    let sweep = Sweep::expecting(200).after(before);
    sweep
        .of(Fault::Overtaken, async |faults| {
            Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await.there_and_back().await;
            let struck = faults.struck();
            overtaken += usize::from(struck.first().is_some_and(|struck| struck.call == "Ledger::commit"));
        })
        .await;
    assert!(overtaken > 20, "{overtaken} commits");
}

/// A run dies with as many batches written and not committed as there can be. All of them are remembered: an undo gives
/// back every value.
#[tokio::test(start_paused = true)]
async fn a_death_with_many_batches_under_way_costs_no_value() {
    let setup = Setup { records: 9_000, damage: damage_every_email, ..Setup::default() };
    let counted = Faults::none();
    let calm = Scenario::in_memory(Setup { faults: counted.clone(), ..setup.clone() }).await;
    let restore = calm.planned().await;
    let before = counted.calls();
    calm.carried_out(&restore).await;
    let stride = (counted.calls() - before) / 6;
    drop(calm);
    let sweep = Sweep::expecting(6).every(stride).after(before).up_to(counted.calls() - 1);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            Scenario::in_memory(Setup { faults, ..setup.clone() }).await.there_and_back().await;
        })
        .await;
}

#[tokio::test]
async fn a_fault_in_a_restore_costs_no_value_on_dynamodb_local() {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        let setup = Setup { records: 130, ..Setup::default() };
        let before = Scenario::calls_before(&setup).await;
        for (place, fault) in (0_u64..).zip(FAULTS) {
            let sweep = Sweep::expecting(10).every(17).after(before + place).where_calls_vary();
            sweep
                .of(fault, async |faults| {
                    let setup = Setup { faults, ..setup.clone() };
                    Scenario::on(ledger.clone(), Pace::Real, setup).await.there_and_back().await;
                })
                .await;
        }
    })
    .await;
}
