//! What people decide, and when they may not.

use std::pin::pin;

use domain::account::Account;
use domain::backup::NoArchive;
use domain::ports::ledger::{self, Change};
use domain::restore::{PLAN_LIFETIME, RestoreState, UNDO_LIFETIME};
use futures_util::future::Either;
use in_memory::faults::{Fault, Sweep};
use jiff::SignedDuration;
use workflows::restore::ask::AskError;
use workflows::restore::decide::{DecideError, DecideRestore};

use crate::scenario::{OBJECT, PROPERTIES, Scenario, Setup};

#[tokio::test(start_paused = true)]
async fn a_plan_expires_after_an_hour() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    scenario.world.clock.pass(PLAN_LIFETIME).await;
    let refused = scenario.world.confirm(&restore).await;
    assert!(matches!(refused, Err(DecideError::PlanExpired(_))), "{refused:?}");
    assert!(scenario.world.lock_is_free().await);
    scenario.assert_values(&scenario.damaged);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_confirmed_once() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    scenario.world.confirm(&restore).await.expect("planned");
    assert!(matches!(scenario.world.confirm(&restore).await, Err(DecideError::AlreadyConfirmed)));
    scenario.rest_until(&restore, RestoreState::Completed).await;
    assert!(matches!(scenario.world.confirm(&restore).await, Err(DecideError::AlreadyConfirmed)));
}

#[tokio::test(start_paused = true)]
async fn one_of_two_restores_confirmed_at_the_same_moment_runs() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let (first, second) = (scenario.planned().await, scenario.planned().await);
    let (one, other) = tokio::join!(scenario.world.confirm(&first), scenario.world.confirm(&second));
    let (winner, loser, refused) = match (one, other) {
        (Ok(_), Err(refused)) => (first, second, refused),
        (Err(refused), Ok(_)) => (second, first, refused),
        both => panic!("{both:?}"),
    };
    assert!(matches!(&refused, DecideError::Running(running) if *running == winner.restore_id), "{refused:?}");
    scenario.rest_until(&winner, RestoreState::Completed).await;
    // The lock is free again; the other plan still holds, and finds everything right.
    scenario.carried_out(&loser).await;
    let outcome = scenario.world.import(&loser).await.expect("it wrote").outcome;
    assert_eq!((outcome.values_restored, outcome.values_failed), (0, 0));
    assert!(outcome.already_right > 0);
    scenario.assert_values(&scenario.good);
}

/// The account is connected to another portal at each moment of a confirmation: it is refused, or was there before.
#[tokio::test(start_paused = true)]
async fn a_plan_is_not_confirmed_while_the_account_moves_to_another_portal() {
    let mut refused = 0;
    let sweep = Sweep::expecting(4);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let scenario = Scenario::in_memory(Setup::default()).await;
            let world = &scenario.world;
            let restore = scenario.planned().await;
            let decides = DecideRestore {
                ledger: faults.worker().wrap(world.ledger.clone()),
                queue: world.queue.clone(),
                clock: world.clock.clone(),
            };
            let act = world.act("confirm-restore");
            let moves = async {
                faults.until_struck().await;
                let key = Account::key_of(&world.account);
                let loaded = ledger::load::<Account>(&*world.ledger, &key).await.expect("readable").expect("present");
                let mut moved = loaded.record.clone();
                moved.crm_connection.as_mut().expect("connected").portal_id += 1;
                let confirmed = world.restore(&restore).await.confirmation.is_some();
                world.ledger.commit(&[Change::replace(&loaded, &moved)]).await.expect("nobody else changes it");
                faults.release();
                confirmed
            };
            let answer = decides.confirm(&restore, &act, None);
            let answer = match futures_util::future::select(pin!(answer), pin!(moves)).await {
                // It was held nowhere.
                Either::Left((answer, _)) => {
                    answer.expect("planned");
                    return;
                }
                Either::Right((confirmed, answer)) => (confirmed, answer.await),
            };
            match answer {
                (false, Err(DecideError::OtherPortal)) => refused += 1,
                (true, Ok(_)) => {}
                (confirmed, answer) => panic!("confirmed before: {confirmed}, {answer:?} at {:?}", faults.struck()),
            }
        })
        .await;
    assert!(refused > 2, "{refused}");
}

fn long() -> Setup {
    Setup { records: 9_000, run_seconds: 1, ..Setup::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_when_a_restore_is_stopped_stays_done_and_can_be_undone() {
    let scenario = Scenario::in_memory(long()).await;
    let restore = scenario.half_way().await;
    scenario.world.stop(&restore).await.expect("running");
    scenario.rest_until(&restore, RestoreState::Stopped).await;

    let import = scenario.world.import(&restore).await.expect("it wrote");
    let restored = import.outcome.values_restored;
    let right = |values: &crate::scenario::Values| {
        scenario.good.iter().filter(|(key, value)| values.get(*key) == Some(*value)).count() as u64
    };
    assert!(restored > 0 && right(&scenario.values()) < scenario.good.len() as u64);
    // R6: what the restore did not come to was in no row and in no count.
    let errors = scenario.world.errors(&restore).await;
    let not_tried: Vec<_> = errors.iter().filter(|line| line[4].starts_with("NOT_TRIED: ")).collect();
    assert!(!not_tried.is_empty() && not_tried.len() as u64 == import.values_not_tried);
    let found = scenario.values();
    for line in not_tried {
        let key = (line[0].parse().expect("an id"), line[1].clone());
        let of = |values: &crate::scenario::Values| values.get(&key).cloned().unwrap_or_default();
        // Reports are defused.
        let shown = [2, 3].map(|cell| line[cell].trim_start_matches('\'').to_owned());
        assert_eq!(shown, [of(&found), of(&scenario.good)]);
    }
    assert!(right(&scenario.values()) > right(&scenario.damaged));
    scenario.assert_tidy(&restore, 1).await;
    assert!(matches!(scenario.world.confirm(&restore).await, Err(DecideError::AlreadyConfirmed)));

    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_has_written_is_undone_once() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let world = &scenario.world;
    let restore = scenario.planned().await;
    assert!(matches!(world.ask_undo(&restore, false).await, Err(AskError::NotEnded)));
    scenario.carried_out(&restore).await;
    let first = scenario.undo_planned(&restore, false).await;
    let again = world.ask_undo(&restore, false).await;
    assert!(matches!(&again, Err(AskError::UndoExists(undo)) if *undo == first.restore_id), "{again:?}");

    // A plan that was not confirmed in time holds up no other plan.
    world.clock.pass(PLAN_LIFETIME).await;
    let second = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&second).await;
    let again = world.ask_undo(&restore, false).await;
    assert!(matches!(&again, Err(AskError::Undone(undo)) if *undo == second.restore_id), "{again:?}");
    assert!(matches!(world.ask_undo(&second, false).await, Err(AskError::IsUndo)));
}

#[tokio::test(start_paused = true)]
async fn what_a_stopped_undo_has_left_can_be_undone_by_another_one() {
    let scenario = Scenario::in_memory(long()).await;
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    let first = scenario.undo_planned(&restore, false).await;
    scenario.world.confirm(&first).await.expect("planned");
    while scenario.world.slices(&first).await.iter().all(|slice| slice.outcome.records_done == 0) {
        scenario.world.deliver_one().await;
    }
    scenario.world.stop(&first).await.expect("running");
    scenario.rest_until(&first, RestoreState::Stopped).await;
    let second = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&second).await;
    scenario.assert_values(&scenario.damaged);
}

#[tokio::test(start_paused = true)]
async fn what_was_overwritten_is_kept_for_a_while_only() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let restore = scenario.planned().await;
    scenario.carried_out(&restore).await;
    scenario.world.clock.pass(UNDO_LIFETIME).await;
    assert!(matches!(scenario.world.ask_undo(&restore, false).await, Err(AskError::UndoExpired(_))));
}

#[tokio::test(start_paused = true)]
async fn what_a_backup_does_not_hold_is_refused_at_once() {
    let scenario = Scenario::in_memory(Setup::default()).await;
    let world = &scenario.world;
    let ask = async |object: &str, properties: &[&str]| world.ask_restore(&scenario.backup, object, properties).await;
    let unknown = ask(OBJECT, &["email", "colour", "hs_object_id"]).await;
    assert!(matches!(&unknown, Err(AskError::PropertiesUnknown(names)) if *names == ["colour", "hs_object_id"]));
    assert!(matches!(ask("conversations", &["status"]).await, Err(AskError::NotRestorable)));
    let deals = ask("deals", &["amount"]).await;
    assert!(matches!(&deals, Err(AskError::ObjectUnknown(objects)) if *objects == [OBJECT]), "{deals:?}");

    world.clock.pass(SignedDuration::from_hours(14 * 24)).await;
    assert!(matches!(ask(OBJECT, &PROPERTIES).await, Err(AskError::NoArchive(NoArchive::Expired(_)))));
}
