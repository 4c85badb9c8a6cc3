//! What an undo goes back to, where people edit values while runs of a restore die.

use domain::restore::RestoreState;
use domain::work::RestoreRef;
use in_memory::faults::{Fault, Faults, Sweep};

use crate::scenario::{OBJECT, Scenario, Setup, Values, record};

const EDITED: &str = "edited@example.com";

/// One batch to write.
fn small() -> Setup {
    Setup { records: 130, ..Setup::default() }
}

/// What the CRM held when the restore began to write, with the edit of the first record.
fn with_edit(scenario: &Scenario) -> Values {
    let mut values = scenario.damaged.clone();
    values.insert((record(0).0, "email".to_owned()), EDITED.to_owned());
    values
}

fn edit(scenario: &Scenario) {
    scenario.world.crm.edit(OBJECT, record(0), "email", EDITED);
}

/// The restore completes, and an undo gives back the state before, with the edit.
async fn goes_back_to_the_edit(scenario: &Scenario, restore: &RestoreRef) {
    scenario.rest_until(restore, RestoreState::Completed).await;
    scenario.assert_values(&scenario.good);
    let undo = scenario.undo_planned(restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&with_edit(scenario));
}

/// Plans and confirms; goes on until the first death. None without a death after the plan.
async fn until_the_first_death(scenario: &Scenario, faults: &Faults, edit_first: bool) -> Option<RestoreRef> {
    let restore = scenario.planned().await;
    if !faults.struck().is_empty() {
        return None;
    }
    if edit_first {
        edit(scenario);
    }
    scenario.world.confirm(&restore).await.expect("planned");
    while faults.struck().is_empty() && scenario.world.step().await {}
    (!faults.struck().is_empty()).then_some(restore)
}

/// How many calls are made until a restore is planned, and until it is carried out.
async fn calls_of_writing() -> (u64, u64) {
    let faults = Faults::none();
    let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..small() }).await;
    let restore = scenario.planned().await;
    let before = faults.calls();
    scenario.carried_out(&restore).await;
    (before, faults.calls())
}

#[tokio::test(start_paused = true)]
async fn an_undo_goes_back_to_an_edit_before_a_death() {
    let mut died = 0;
    let (before, last) = calls_of_writing().await;
    let sweep = Sweep::expecting(40).after(before).up_to(last);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..small() }).await;
            let Some(restore) = until_the_first_death(&scenario, &faults, true).await else { return };
            died += 1;
            goes_back_to_the_edit(&scenario, &restore).await;
        })
        .await;
    assert!(died > 10, "{died} deaths");
}

/// Whether a pre-image is stored that no commit names.
async fn is_half_written(scenario: &Scenario, restore: &RestoreRef) -> bool {
    let untold = scenario.world.slices(restore).await.iter().all(|slice| slice.outcomes.is_empty());
    let is_stored = scenario.world.blobs.keys("restores/").iter().any(|key| key.contains("/pre-images/"));
    untold && is_stored && scenario.world.restore(restore).await.state == RestoreState::Applying
}

/// The second death is at every other call behind the first one, until the restore ends before it.
#[tokio::test(start_paused = true)]
async fn an_undo_goes_back_to_an_edit_between_two_deaths() {
    let mut died_twice = 0;
    let (before, last) = calls_of_writing().await;
    for nth in before + 1..=last {
        for apart in (1..).step_by(2) {
            let faults = Faults::script([(nth, Fault::WorkerDies), (nth + apart, Fault::WorkerDies)]);
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..small() }).await;
            let Some(restore) = until_the_first_death(&scenario, &faults, false).await else { break };
            if !is_half_written(&scenario, &restore).await {
                break;
            }
            edit(&scenario);
            scenario.rest_until(&restore, RestoreState::Completed).await;
            let has_died_twice = faults.struck().len() == 2;
            goes_back_to_the_edit(&scenario, &restore).await;
            if !has_died_twice {
                break;
            }
            died_twice += 1;
        }
    }
    assert!(died_twice > 30, "{died_twice} pairs of deaths");
}
