//! The CRM makes trouble while a restore runs.

use std::collections::BTreeSet;

use domain::ports::clock::Clock;
use domain::restore::RestoreState;
use faults::crm::{Period, Trouble};
use in_memory::faults::Sweep;
use jiff::SignedDuration;

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup, damage_every_email};

fn several_runs() -> Setup {
    Setup { records: 9_000, run_seconds: 1, ..Setup::default() }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_revoked_half_way_fails_the_restore_visibly_and_frees_the_lock() {
    let scenario = Scenario::in_memory(several_runs()).await;
    let world = &scenario.world;
    let restore = scenario.half_way().await;
    let now = world.clock.now();
    world.crm.trouble(Period::Times(now..now + SignedDuration::from_hours(3)), Trouble::TokenRefused);
    let failed = scenario.rest_until(&restore, RestoreState::Failed).await;
    assert_eq!(failed.failure.expect("it says why").kind, "crm-token-refused");
    scenario.assert_tidy(&restore, 1).await;
    let import = world.import(&restore).await.expect("it wrote");
    assert_eq!(import.state, RestoreState::Failed);
    assert!(import.outcome.values_restored > 0);

    // Once the token is good again, the rest can be restored, and both can be undone.
    world.clock.pass(SignedDuration::from_hours(4)).await;
    let rest = scenario.planned().await;
    scenario.carried_out(&rest).await;
    scenario.assert_values(&scenario.good);
    for restore in [rest, restore] {
        let undo = scenario.undo_planned(&restore, false).await;
        scenario.carried_out(&undo).await;
    }
    scenario.assert_values(&scenario.damaged);
}

/// Two workers find the token revoked, one after the other; the restore ends once, and all writes are reported.
#[tokio::test(start_paused = true)]
async fn a_failure_that_several_workers_find_is_concluded_once() {
    for seconds in [1, 2, 3, 5, 8] {
        let scenario = Scenario::in_memory(Setup { records: 120_000, workers: 4, ..Setup::default() }).await;
        let world = &scenario.world;
        let restore = scenario.planned().await;
        let from = world.clock.now() + SignedDuration::from_secs(seconds);
        world.crm.trouble(Period::Times(from..from + SignedDuration::from_hours(3)), Trouble::TokenRefused);
        world.confirm(&restore).await.expect("planned");
        scenario.rest_until(&restore, RestoreState::Failed).await;
        scenario.assert_tidy(&restore, 1).await;
        world.clock.pass(SignedDuration::from_hours(4)).await;
        let undo = scenario.undo_planned(&restore, false).await;
        if world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
            scenario.carried_out(&undo).await;
        }
        scenario.assert_values(&scenario.damaged);
    }
}

/// R6: values that a run had written behind a refused batch were reported as unclear; the run knew their state.
#[tokio::test(start_paused = true)]
async fn values_written_behind_a_refused_batch_are_reported_as_restored() {
    let setup = || Setup { records: 1_000, damage: damage_every_email, ..Setup::default() };
    let calm = Scenario::in_memory(setup()).await;
    let restore = calm.planned().await;
    let before = calm.world.crm.all_calls();
    calm.carried_out(&restore).await;
    let (mut beyond, mut tried) = (0, 0);
    for nth in before + 1..=calm.world.crm.all_calls() {
        let scenario = Scenario::in_memory(setup()).await;
        let world = &scenario.world;
        let restore = scenario.planned().await;
        world.crm.trouble(Period::Calls(nth..nth + 1), Trouble::TokenRefused);
        world.confirm(&restore).await.expect("planned");
        while world.crm.struck() == 0 {
            world.deliver_one().await;
        }
        let now = world.clock.now();
        world.crm.trouble(Period::Times(now..now + SignedDuration::from_hours(3)), Trouble::TokenRefused);
        scenario.rest_until(&restore, RestoreState::Failed).await;
        let import = world.import(&restore).await.expect("it was confirmed");
        let found = scenario.values();
        // An empty value counts, too: the restore clears it.
        let keys: BTreeSet<_> = scenario.good.keys().chain(scenario.damaged.keys()).collect();
        let wrong: Vec<_> =
            keys.into_iter().filter(|key| scenario.good.get(*key) != scenario.damaged.get(*key)).collect();
        let restored = wrong.iter().filter(|key| found.get(**key) == scenario.good.get(**key)).count() as u64;
        let unclear = import.outcome.values_unclear;
        assert_eq!(import.outcome.values_restored, restored, "call {nth}");
        assert!(unclear == 0 || unclear == 100, "at most the batch that was refused is unclear: {unclear}, call {nth}");
        assert_eq!(import.values_not_tried + unclear, wrong.len() as u64 - restored, "call {nth}");
        beyond += world.slices(&restore).await.iter().map(|slice| slice.told_beyond.len()).sum::<usize>();
        tried += 1;
        // The reported values are undone.
        world.clock.pass(SignedDuration::from_hours(4)).await;
        let undo = scenario.undo_planned(&restore, false).await;
        if world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
            scenario.carried_out(&undo).await;
        }
        scenario.assert_values(&scenario.damaged);
    }
    assert!(tried >= 20 && beyond >= 20, "{beyond} batches beyond a refused one in {tried} restores");
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_is_down_for_a_while_is_waited_for() {
    for trouble in [Trouble::Unavailable, Trouble::Malformed, Trouble::RateLimit(SignedDuration::from_secs(5))] {
        let scenario = Scenario::in_memory(Setup { records: 2_000, ..Setup::default() }).await;
        let restore = scenario.planned().await;
        let now = scenario.world.clock.now();
        scenario.world.crm.trouble(Period::Times(now..now + SignedDuration::from_mins(4)), trouble);
        scenario.carried_out(&restore).await;
        scenario.assert_values(&scenario.good);
    }
}

/// B6: an outage in the middle of writing is waited out.
#[tokio::test(start_paused = true)]
async fn a_quarter_of_an_hour_without_the_crm_changes_nothing() {
    let scenario = Scenario::in_memory(several_runs()).await;
    let restore = scenario.half_way().await;
    let (now, struck) = (scenario.world.clock.now(), scenario.world.crm.struck());
    scenario.world.crm.trouble(Period::Times(now..now + SignedDuration::from_mins(15)), Trouble::Unavailable);
    scenario.rest_until(&restore, RestoreState::Completed).await;
    assert!(scenario.world.crm.struck() > struck + 3, "it was really down");
    scenario.assert_values(&scenario.good);
    scenario.assert_tidy(&restore, 1).await;
}

/// B6: one that is too long ends the plan, or the restore, with a sentence.
#[tokio::test(start_paused = true)]
async fn a_day_and_an_hour_without_the_crm_fail_the_restore_and_free_the_lock() {
    for confirmed in [true, false] {
        let scenario = Scenario::in_memory(Setup::default()).await;
        let world = &scenario.world;
        let restore = if confirmed {
            scenario.planned().await
        } else {
            world.ask_restore(&scenario.backup, OBJECT, &PROPERTIES).await.expect("accepted")
        };
        let now = world.clock.now();
        world.crm.trouble(Period::Times(now..now + SignedDuration::from_hours(25)), Trouble::Unavailable);
        if confirmed {
            world.confirm(&restore).await.expect("planned");
        }
        let failed = scenario.rest_until(&restore, RestoreState::Failed).await;
        let failure = failed.failure.expect("it says why");
        let since = now.strftime("since %Y-%m-%d %H:%M UTC").to_string();
        assert_eq!(failure.kind, "crm-unavailable");
        assert!(failure.sentence.contains(&since), "{}", failure.sentence);
        assert!(world.lock_is_free().await);
        scenario.assert_values(&scenario.damaged);
        if confirmed {
            scenario.assert_tidy(&restore, 1).await;
        }
    }
}

/// B4: a restore and its undo survive one wrong refusal at any call.
#[tokio::test(start_paused = true)]
async fn a_single_refusal_at_any_call_costs_no_value() {
    let calm = Scenario::in_memory(Setup::default()).await;
    let before = calm.world.crm.all_calls();
    calm.there_and_back().await;
    for trouble in [Trouble::TokenRefused, Trouble::ScopeMissing, Trouble::Forbidden, Trouble::NotFound] {
        let sweep = Sweep::expecting(15).after(before).up_to(calm.world.crm.all_calls());
        sweep
            .at_calls(async |nth| {
                let scenario = Scenario::in_memory(Setup::default()).await;
                scenario.world.crm.trouble(Period::Calls(nth..nth + 1), trouble);
                scenario.there_and_back().await;
                scenario.world.crm.struck() == 1
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_that_is_used_up_is_waited_out() {
    let scenario = Scenario::in_memory(Setup { records: 2_000, ..Setup::default() }).await;
    let restore = scenario.planned().await;
    let now = scenario.world.clock.now();
    scenario.world.crm.trouble(Period::Times(now..now + SignedDuration::from_hours(5)), Trouble::DailyLimit);
    scenario.carried_out(&restore).await;
    scenario.assert_values(&scenario.good);
}

#[tokio::test(start_paused = true)]
async fn another_portal_is_never_written_to() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    scenario.world.crm.become_portal(999);
    let restore = scenario
        .world
        .ask_restore(&scenario.backup, crate::scenario::OBJECT, &crate::scenario::PROPERTIES)
        .await
        .expect("the account says otherwise");
    let failed = scenario.rest_until(&restore, RestoreState::Failed).await;
    assert_eq!(failed.failure.expect("it says why").kind, "crm-other-portal");
}
