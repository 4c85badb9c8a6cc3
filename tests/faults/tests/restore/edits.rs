//! People go on working while a restore is planned, carried out and undone.

use domain::budget::CallLimits;
use domain::restore::RestoreState;
use faults::crm::{Edit, Period, Trouble};
use in_memory::faults::{Fault, Faults, Sweep};
use jiff::SignedDuration;

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup, Values, record};

fn email(nth: usize) -> (u64, String) {
    (record(nth).0, "email".to_owned())
}

fn with(values: &Values, changes: &[(usize, &str)]) -> Values {
    let mut values = values.clone();
    for (nth, value) in changes {
        values.insert(email(*nth), (*value).to_owned());
    }
    values
}

#[tokio::test(start_paused = true)]
async fn an_edit_between_plan_and_confirmation_is_overwritten_reported_and_given_back() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    scenario.world.crm.edit(OBJECT, record(0), "email", "edited@example.com");

    scenario.carried_out(&restore).await;

    scenario.assert_values(&scenario.good);
    assert_eq!(scenario.world.import(&restore).await.expect("it wrote").outcome.drifted_values, 1);
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
}

#[tokio::test(start_paused = true)]
async fn an_undo_leaves_later_edits_unless_the_request_includes_them() {
    for include_edited in [false, true] {
        let scenario = Scenario::in_memory(Setup::default()).await;
        let restore = scenario.planned().await;
        scenario.carried_out(&restore).await;
        scenario.world.crm.edit(OBJECT, record(0), "email", "edited@example.com");

        let undo = scenario.undo_planned(&restore, include_edited).await;
        let plan = scenario.world.restore(&undo).await.plan.expect("planned");
        assert_eq!(plan.counts.values(|property| property.edited_since), u64::from(!include_edited));
        scenario.carried_out(&undo).await;

        if include_edited {
            scenario.assert_values(&scenario.damaged);
        } else {
            scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
            let rows = scenario.world.errors(&undo).await;
            assert_eq!(rows.len(), 1);
            assert!(rows[0][4].starts_with("EDITED_SINCE"), "{rows:?}");
        }
    }
}

/// R1: what was edited between the undo's plan and its confirmation was overwritten, and no undo could give it back.
#[tokio::test(start_paused = true)]
async fn an_undo_leaves_edits_after_its_plan_unless_the_request_includes_them() {
    for include_edited in [false, true] {
        let scenario = Scenario::in_memory(Setup::default()).await;
        let restore = scenario.planned().await;
        scenario.carried_out(&restore).await;
        let undo = scenario.undo_planned(&restore, include_edited).await;
        scenario.world.crm.edit(OBJECT, record(0), "email", "edited@example.com");

        scenario.carried_out(&undo).await;

        let rows = scenario.world.errors(&undo).await;
        if include_edited {
            scenario.assert_values(&scenario.damaged);
            assert_eq!(rows.len(), 0);
        } else {
            scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
            assert_eq!(rows.len(), 1);
            assert!(rows[0][4].starts_with("EDITED_SINCE"), "{rows:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_between_a_death_and_the_run_after_it_is_what_an_undo_goes_back_to() {
    let before = Scenario::calls_before(&Setup::default()).await;
    let mut edited = 0;
    let sweep = Sweep::expecting(95).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..Setup::default() }).await;
            let world = &scenario.world;
            let restore = world.ask_restore(&scenario.backup, OBJECT, &PROPERTIES).await.expect("accepted");
            scenario.rest_until(&restore, RestoreState::Planned).await;
            let died_before = !faults.struck().is_empty();
            world.confirm(&restore).await.expect("planned");
            while faults.struck().is_empty() && world.step().await {}
            // Only records whose outcome no run has committed yet are read again.
            let uncommitted = world.slices(&restore).await.iter().all(|slice| slice.outcomes.is_empty());
            if died_before || !uncommitted || world.restore(&restore).await.state != RestoreState::Applying {
                return;
            }
            edited += 1;
            world.crm.edit(OBJECT, record(0), "email", "edited@example.com");

            scenario.rest_until(&restore, RestoreState::Completed).await;
            scenario.assert_values(&scenario.good);
            let undo = scenario.undo_planned(&restore, false).await;
            scenario.carried_out(&undo).await;
            scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
        })
        .await;
    assert!(edited > 10, "deaths before, between and after reads, pre-images and writes: {edited}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_between_reading_and_writing_is_all_that_can_be_lost() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    let edit = Edit::value(record(0), "email", "edited@example.com");
    scenario.world.crm.edit_at(faults::crm::Moment::CallOf("update_batch", 1), OBJECT, edit);
    scenario.carried_out(&restore).await;
    // The CRM has no conditional writes: what was read a moment before is what an undo knows of.
    scenario.assert_values(&scenario.good);
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

/// The value that an undo goes back to is the one that was overwritten, and not the one that the plan had found.
#[tokio::test(start_paused = true)]
async fn an_edit_after_the_plan_is_what_an_undo_goes_back_to_wherever_a_run_dies() {
    let setup = Setup { records: 100, ..Setup::default() };
    let before = Scenario::calls_before(&setup).await;
    let sweep = Sweep::expecting(85).every(2).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults, ..setup.clone() }).await;
            let restore = scenario.planned().await;
            scenario.world.crm.edit(OBJECT, record(0), "email", "edited@example.com");
            scenario.carried_out(&restore).await;
            scenario.assert_values(&scenario.good);
            let undo = scenario.undo_planned(&restore, false).await;
            scenario.carried_out(&undo).await;
            scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
        })
        .await;
}

/// A run dies when it is about to write, or has written; a person edits a value; the run after it dies too.
#[tokio::test(start_paused = true)]
async fn an_edit_between_two_deaths_is_what_an_undo_goes_back_to() {
    let setup = Setup { records: 100, ..Setup::default() };
    let before = Scenario::calls_before(&setup).await;
    let dies_at_the_first_write = async |nth: u64| {
        let faults = Faults::at(nth, Fault::WorkerDies);
        let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await;
        let restore = scenario.planned().await;
        scenario.world.confirm(&restore).await.expect("planned");
        while faults.struck().is_empty() && scenario.world.step().await {}
        faults.struck().first().is_some_and(|struck| struck.call == "Crm::update_batch")
    };
    let mut write = before + 1;
    while !dies_at_the_first_write(write).await {
        write += 1;
    }
    for first in [write, write + 1] {
        let deaths = |second| Faults::script([(first, Fault::WorkerDies), (second, Fault::WorkerDies)]);
        let sweep = Sweep::expecting(50).every(3).after(first);
        sweep
            .of_scripts(deaths, async |faults| {
                let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..setup.clone() }).await;
                let world = &scenario.world;
                let restore = scenario.planned().await;
                world.confirm(&restore).await.expect("planned");
                while faults.struck().is_empty() && world.step().await {}
                if faults.struck().is_empty() {
                    return;
                }
                world.crm.edit(OBJECT, record(0), "email", "edited@example.com");
                scenario.rest_until(&restore, RestoreState::Completed).await;
                scenario.assert_values(&scenario.good);
                let undo = scenario.undo_planned(&restore, false).await;
                scenario.carried_out(&undo).await;
                scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
            })
            .await;
    }
}

/// M-3: at low call shares minutes passed between reading a batch and writing it. What was edited then was lost, and an
/// undo knew nothing of it.
#[tokio::test(start_paused = true)]
async fn what_was_read_long_ago_is_read_again_before_it_is_written_over() {
    for per_ten_seconds in [2, 12, 100] {
        let calls = Some(CallLimits::in_ten_seconds(per_ten_seconds, 1_000_000));
        let scenario = Scenario::in_memory(Setup { records: 2_000, calls, ..Setup::default() }).await;
        let world = &scenario.world;
        let restore = scenario.planned().await;
        // A pause that the CRM asks for comes between as well.
        let update = world.crm.calls("update_batch") + 3;
        let pause = Trouble::RateLimit(SignedDuration::from_secs(60));
        world.crm.trouble(Period::CallsOf("update_batch", update..update + 1), pause);
        let reads = world.crm.calls("read_batch");
        scenario.carried_out(&restore).await;
        scenario.assert_values(&scenario.good);
        let blind = world.crm.longest_blind();
        assert!(blind < SignedDuration::from_secs(30), "{blind:?} with {per_ten_seconds} calls in ten seconds");
        let again = world.crm.calls("read_batch") - reads - 12;
        assert!(again < 12, "{again} more reads with {per_ten_seconds} calls in ten seconds");
    }
}

/// The same when a person edits a value in that time: its pre-image is the edited value.
#[tokio::test(start_paused = true)]
async fn an_edit_while_a_write_waits_for_its_turn_is_what_an_undo_goes_back_to() {
    let scenario = Scenario::in_memory(Setup { records: 100, ..Setup::default() }).await;
    let world = &scenario.world;
    let restore = scenario.planned().await;
    world.crm.trouble(Period::CallsOf("read_batch", 2..3), Trouble::RateLimit(SignedDuration::ZERO));
    world.crm.trouble(Period::CallsOf("update_batch", 1..2), Trouble::RateLimit(SignedDuration::from_secs(60)));
    let edit = Edit::value(record(0), "email", "edited@example.com");
    world.crm.edit_at(faults::crm::Moment::CallOf("update_batch", 1), OBJECT, edit);
    scenario.carried_out(&restore).await;
    scenario.assert_values(&scenario.good);
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&with(&scenario.damaged, &[(0, "edited@example.com")]));
}
