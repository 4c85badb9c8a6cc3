//! Accounts that lose the plan with schedules.

use in_memory::CountingLedger;
use in_memory::faults::{Fault, Sweep};

use super::*;
use crate::change_account::{AccountChange, ChangeAccount};

fn connecting(world: &World) -> ChangeAccount {
    samples::change_account(world.ledger.clone(), world.queue.clone(), world.clock.clone())
}

/// Gives the account the plan of this name, like an operator.
async fn change_plan(connecting: &ChangeAccount, plan: &str) {
    let change = AccountChange { tier: Some(samples::tier(plan)), ..AccountChange::default() };
    let act = samples::act("change-account");
    connecting.change(&act, true, &change, samples::NOW).await.expect("no CRM is asked");
}

fn assert_stopped(schedule: &Schedule, inbox: &[Notification]) {
    assert!(schedule.on.is_none());
    assert_eq!(schedule.stopped.as_ref().map(|reason| reason.kind.as_str()), Some("schedule-not-in-plan"));
    let [notification] = inbox else { panic!("one notification: {inbox:?}") };
    assert!(matches!(&notification.event, Event::ScheduleSkipped { failure, next_run_at: None }
        if failure.kind == "schedule-not-in-plan" && failure.sentence.contains("professional")));
    assert_eq!(notification.requester, Some(samples::requester()));
}

#[tokio::test]
async fn an_operators_change_of_the_plan_stops_the_schedule_in_the_same_transaction() {
    let world = World::scheduled().await;
    let counted = Arc::new(CountingLedger::new(world.ledger.clone()));

    change_plan(&ChangeAccount { ledger: counted.clone(), ..connecting(&world) }, "professional").await;

    let inbox = world.inbox().await;
    assert_stopped(&world.schedule().await, &inbox);
    assert_eq!(counted.calls().commits, 1);
    assert_eq!(world.queue.receive(), Some(inbox[0].work()));
    world.clock.set(first_run());
    assert_eq!(world.round().await, Started::default());
}

#[tokio::test]
async fn a_change_to_another_plan_with_schedules_leaves_a_schedule_on() {
    let world = World::scheduled().await;
    let before = world.schedule().await;
    change_plan(&connecting(&world), "unlimited").await;
    assert_eq!(world.schedule().await, before);
    assert!(world.inbox().await.is_empty());
}

#[tokio::test]
async fn a_waiting_run_starts_as_soon_as_a_larger_plan_allows_it() {
    let world = World::scheduled().await;
    world.clock.set(first_run() - HOUR * 5);
    let by_hand = world.backup_by_hand().await;
    world.complete(&by_hand).await;
    world.clock.set(first_run());
    assert_eq!(world.round().await.waiting, 1, "a day has to pass between two backups");

    change_plan(&connecting(&world), "unlimited").await;
    world.clock.advance(MINUTE);

    assert_eq!(world.round().await.started, 1);
    assert_eq!(world.next_run_at().await, first_run() + WEEK);
}

#[tokio::test]
async fn a_run_without_a_plan_for_schedules_stops_the_schedule() {
    let world = World::due().await;
    world.edit_account(|account| account.tier = samples::tier("professional")).await;

    assert_eq!(world.round().await, Started { skipped: 1, ..Started::default() });

    assert_stopped(&world.schedule().await, &world.inbox().await);
    assert_eq!(world.round().await, Started::default());
    assert!(world.backups().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_schedule_switched_on_while_the_plan_changes_is_off_afterwards() {
    // Account; account, schedule, commit.
    let sweep = Sweep::expecting(4).up_to(4);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::with(&enterprise()).await;
            let slow = ChangeAccount { ledger: faults.worker().wrap(world.ledger.clone()), ..connecting(&world) };
            let fast = async {
                faults.until_struck().await;
                let set = world.set(WEEKLY).await;
                faults.release();
                set
            };

            let ((), set) = tokio::join!(change_plan(&slow, "professional"), fast);

            assert!(set.is_ok(), "the plan is not gone yet");
            assert_stopped(&world.schedule().await, &world.inbox().await);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_loses_the_plan_meanwhile_cannot_switch_a_schedule_on() {
    // Account, schedule, commit.
    let sweep = Sweep::expecting(3).up_to(3);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::with(&enterprise()).await;
            let (slow, act) = (faults.worker().wrap(world.ledger.clone()), samples::act("change-schedule"));
            let fast = async {
                faults.until_struck().await;
                change_plan(&connecting(&world), "professional").await;
                faults.release();
            };

            let (set, ()) = tokio::join!(set(&*slow, &*world.clock, &act, WEEKLY), fast);

            assert!(matches!(set, Err(ScheduleError::NotInPlan("professional"))), "{:?}", faults.struck());
            assert!(world.schedule().await.on.is_none() && world.inbox().await.is_empty());
        })
        .await;
}
