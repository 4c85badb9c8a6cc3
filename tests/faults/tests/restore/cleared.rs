//! A stage goes back by being cleared first. Nothing that comes between clearing and setting it leaves it empty: a
//! death, a lost answer, a limit, a stop, a refused token, a property that is given up.

use domain::budget::CallLimits;
use domain::lease::WaitReason;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change};
use domain::restore::{DroppedProperty, Restore, RestoreEvent, RestoreState};
use domain::work::RestoreRef;
use faults::crm::{Period, Trouble};
use in_memory::faults::{Fault, Faults, Sweep};
use jiff::SignedDuration;

use crate::scenario::{OBJECT, Scenario, Setup, all_fans, record, stages};

const UPDATES: &str = "update_batch";

fn hundred() -> Setup {
    Setup { records: 100, prepare: stages, damage: all_fans, ..Setup::default() }
}

/// Records without a stage that had one in the backup.
fn empty_stages(scenario: &Scenario) -> Vec<usize> {
    let found = scenario.values();
    let key = |nth: usize| (record(nth).0, "city".to_owned());
    (0..100).filter(|nth| scenario.good.contains_key(&key(*nth)) && !found.contains_key(&key(*nth))).collect()
}

async fn undone(scenario: &Scenario, restore: &RestoreRef) {
    let undo = scenario.undo_planned(restore, false).await;
    if scenario.world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
        scenario.carried_out(&undo).await;
    }
    scenario.assert_values(&scenario.damaged);
}

/// A restore whose stages are cleared and not set: what comes after that meets `trouble` for a while.
async fn between(trouble: Trouble, lasts: SignedDuration) -> (Scenario, RestoreRef) {
    let scenario = Scenario::in_memory(hundred()).await;
    let world = &scenario.world;
    let restore = scenario.planned().await;
    // Set, which is ignored; cleared; and set again, which does not get through.
    world.crm.trouble(Period::CallsOf(UPDATES, 3..4), trouble);
    world.confirm(&restore).await.expect("planned");
    while world.crm.calls(UPDATES) < 3 {
        world.deliver_one().await;
    }
    assert_eq!(empty_stages(&scenario).len(), 67, "{trouble:?}");
    let now = world.clock.now();
    world.crm.trouble(Period::Times(now..now + lasts), trouble);
    (scenario, restore)
}

/// A stage that a person clears while a write gets no answer looks like one that the restore has cleared itself. The
/// difference is that the restore has stored no note about clearing it.
#[tokio::test(start_paused = true)]
async fn a_stage_that_a_person_clears_before_an_undo_goes_on_stays_empty() {
    let scenario = Scenario::in_memory(hundred()).await;
    let world = &scenario.world;
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    let undo = scenario.undo_planned(&restore, false).await;
    let sent = world.crm.calls(UPDATES) + 1;
    world.crm.trouble(Period::CallsOf(UPDATES, sent..sent + 1), Trouble::Unavailable);
    world.confirm(&undo).await.expect("planned");
    while world.crm.calls(UPDATES) < sent {
        world.deliver_one().await;
    }
    let key = |nth: usize| (record(nth).0, "city".to_owned());
    let staged = (0..100).find(|nth| scenario.good.contains_key(&key(*nth))).expect("some have a stage");
    world.crm.edit(OBJECT, record(staged), "city", "");

    scenario.rest_until(&undo, RestoreState::Completed).await;

    let rows = world.errors(&undo).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0][4].starts_with("EDITED_SINCE"), "{rows:?}");
    let mut expected = scenario.damaged.clone();
    expected.remove(&key(staged));
    scenario.assert_values(&expected);
}

#[tokio::test(start_paused = true)]
async fn a_cleared_stage_is_set_once_the_trouble_is_over() {
    let hour = SignedDuration::from_hours(1);
    for trouble in [Trouble::DailyLimit, Trouble::Unavailable, Trouble::Malformed] {
        let (scenario, restore) = between(trouble, hour).await;
        scenario.rest_until(&restore, RestoreState::Completed).await;
        scenario.assert_values(&scenario.good);
        undone(&scenario, &restore).await;
    }
}

/// R3: a stop in that gap ended the restore with empty stages, reported as unclear.
#[tokio::test(start_paused = true)]
async fn a_cleared_stage_is_set_or_put_back_when_the_restore_is_stopped() {
    let minute = SignedDuration::from_mins(1);
    for trouble in [Trouble::DailyLimit, Trouble::Unavailable, Trouble::TokenRefused] {
        for refused in [false, true] {
            let (scenario, restore) =
                between(trouble, if trouble == Trouble::TokenRefused { minute / 3 } else { minute }).await;
            if refused {
                scenario.world.crm.change(OBJECT, |object| {
                    object.refuse("city", Some("customer"), "INVALID_OPTION");
                });
            }
            scenario.world.stop(&restore).await.expect("it runs");
            scenario.rest_until(&restore, RestoreState::Stopped).await;
            assert_eq!(empty_stages(&scenario), [0; 0], "{trouble:?}, refused: {refused}");
            scenario.world.crm.change(crate::scenario::OBJECT, faults::SimulatedObject::accept_all);
            undone(&scenario, &restore).await;
        }
    }
}

/// Nothing can be written while the token is refused. Cleared values are reported with their old value, and the restore
/// ends.
#[tokio::test(start_paused = true)]
async fn a_cleared_stage_is_reported_with_its_old_value_when_the_token_is_refused() {
    let (scenario, restore) = between(Trouble::TokenRefused, SignedDuration::from_hours(2)).await;
    let began = scenario.world.clock.now();
    scenario.rest_until(&restore, RestoreState::Failed).await;
    let ended = scenario.world.restore(&restore).await.ended_at.expect("it has ended");
    assert!(ended.duration_since(began) < SignedDuration::from_mins(10), "{began} to {ended}");
    let errors = scenario.world.errors(&restore).await;
    for nth in empty_stages(&scenario) {
        let id = record(nth).to_string();
        let row = errors.iter().find(|line| line[0] == id && line[1] == "city").expect("a line");
        assert!(row[2] == "fan" && row[4].starts_with("UNCLEAR"), "{row:?}");
    }
    scenario.world.clock.pass(SignedDuration::from_hours(2)).await;
    undone(&scenario, &restore).await;
}

/// Other apps use up the calls of every day. The lock is freed in the end, so that restores are possible again.
#[tokio::test(start_paused = true)]
async fn a_stopped_restore_without_any_calls_ends_after_three_days() {
    let days = SignedDuration::from_hours(5 * 24);
    let (scenario, restore) = between(Trouble::DailyLimit, days).await;
    let world = &scenario.world;
    world.stop(&restore).await.expect("it runs");
    scenario.rest_until(&restore, RestoreState::Stopped).await;

    let Restore { created_at, ended_at, .. } = world.restore(&restore).await;
    let took = ended_at.expect("it has ended").duration_since(created_at);
    let hours = SignedDuration::from_hours;
    assert!(took > hours(46) && took < hours(72), "{took:?}");
    assert!(world.lock_is_free().await);
    let empty = empty_stages(&scenario);
    let rows = world.errors(&restore).await;
    let unclear = |nth: &usize| {
        rows.iter().any(|row| row[0] == record(*nth).to_string() && row[2] == "fan" && row[4].starts_with("UNCLEAR"))
    };
    assert!(!empty.is_empty() && empty.iter().all(unclear), "{rows:?}");
    world.clock.pass(days).await;
    undone(&scenario, &restore).await;
}

/// A worker dies or loses an answer anywhere, and then a user stops the restore.
#[tokio::test(start_paused = true)]
async fn no_stage_stays_empty_wherever_a_run_dies_before_a_stop() {
    let before = Scenario::calls_before(&hundred()).await;
    for fault in [Fault::WorkerDies, Fault::AnswerLost] {
        let mut stopped = 0;
        let sweep = Sweep::expecting(90).after(before);
        sweep
            .of(fault, async |faults| {
                let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..hundred() }).await;
                let restore = scenario.planned().await;
                scenario.world.confirm(&restore).await.expect("planned");
                while faults.struck().is_empty() && scenario.world.step().await {}
                if faults.struck().is_empty() {
                    return;
                }
                if scenario.world.stop(&restore).await.is_ok() {
                    stopped += 1;
                }
                scenario.world.restore_to_rest(&restore).await;
                assert_eq!(empty_stages(&scenario), [0; 0], "{:?}", faults.struck());
                scenario.assert_tidy(&restore, 1).await;
                undone(&scenario, &restore).await;
            })
            .await;
        assert!(stopped > 10, "{fault:?}: {stopped}");
    }
}

/// The run that gives values back after a stop dies as well, at every call in turn.
#[tokio::test(start_paused = true)]
async fn no_stage_stays_empty_wherever_the_run_dies_that_ends_the_restore() {
    // Whether a lease is renewed once more depends on how the calls of the batches interleave.
    let sweep = Sweep::expecting(90).where_calls_vary();
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let (mut scenario, restore) = between(Trouble::DailyLimit, SignedDuration::from_mins(1)).await;
            scenario.world.settings.faults = faults.clone();
            scenario.world.stop(&restore).await.expect("it runs");
            scenario.rest_until(&restore, RestoreState::Stopped).await;
            assert_eq!(empty_stages(&scenario), [0; 0], "{:?}", faults.struck());
            scenario.world.settings.faults = Faults::none();
            undone(&scenario, &restore).await;
        })
        .await;
}

/// R2: the property was given up by another run after this one's had cleared its stages and died. They stayed empty,
/// also after an undo.
#[tokio::test(start_paused = true)]
async fn a_stage_that_a_dead_run_cleared_gets_a_value_after_its_property_is_dropped() {
    let before = Scenario::calls_before(&hundred()).await;
    let mut given_up = 0;
    let sweep = Sweep::expecting(90).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults: faults.clone(), ..hundred() }).await;
            let world = &scenario.world;
            let restore = scenario.planned().await;
            world.confirm(&restore).await.expect("planned");
            while faults.struck().is_empty() && world.step().await {}
            if faults.struck().is_empty() {
                return;
            }
            given_up += u64::from(give_up_cities(&scenario, &restore).await);
            world.crm.change(OBJECT, |object| object.refuse("city", Some("lead"), "STAGE_REFUSED"));
            scenario.rest_until(&restore, RestoreState::Completed).await;
            assert_eq!(empty_stages(&scenario), [0; 0], "{:?}", faults.struck());
            undone(&scenario, &restore).await;
        })
        .await;
    assert!(given_up > 10, "{given_up}");
}

/// Whether the restore is still writing, so that a property of it can be given up.
async fn give_up_cities(scenario: &Scenario, restore: &RestoreRef) -> bool {
    let world = &scenario.world;
    let loaded = ledger::load::<Restore>(&*world.ledger, &Restore::key_of(restore)).await;
    let loaded = loaded.expect("the ledger answers").expect("the restore");
    let dropped = DroppedProperty { property: "city".to_owned(), code: "STAGE_REFUSED".to_owned() };
    let Ok(next) = loaded.record.apply(RestoreEvent::PropertyDropped(dropped), world.clock.now()) else { return false };
    world.ledger.commit(&[Change::replace(&loaded, &next)]).await.expect("nobody else is at work");
    true
}

/// The share of the day is used up in the middle of a restore, wherever that is: then nothing is left cleared until the
/// next day begins.
#[tokio::test(start_paused = true)]
async fn no_stage_is_empty_while_the_next_day_is_waited_for() {
    let calm = Scenario::in_memory(hundred()).await;
    calm.planned().await;
    let planned = u32::try_from(calm.world.crm.all_calls()).expect("few");
    let mut waited = 0;
    for per_day in planned + 1..planned + 6 {
        let calls = CallLimits::in_ten_seconds(10_000, per_day);
        let scenario = Scenario::in_memory(Setup { calls: Some(calls), ..hundred() }).await;
        let world = &scenario.world;
        let restore = scenario.planned().await;
        world.confirm(&restore).await.expect("planned");
        while world.step().await {
            let slices = world.slices(&restore).await;
            let waits =
                slices.iter().filter_map(|slice| slice.leasing.wait).any(|wait| wait.reason == WaitReason::DailyLimit);
            if waits {
                waited += 1;
                assert_eq!(empty_stages(&scenario), [0; 0], "with {per_day} calls a day");
            }
        }
        scenario.rest_until(&restore, RestoreState::Completed).await;
        scenario.assert_values(&scenario.good);
    }
    assert!(waited > 0, "the day was never used up");
}
