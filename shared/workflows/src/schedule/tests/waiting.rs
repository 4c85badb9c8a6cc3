//! Due runs that cannot start: they wait for the allowance, or are skipped if waiting cannot help.

use super::*;

const WAITING: Started = Started { started: 0, skipped: 0, waiting: 1, failed: 0 };
const STARTED: Started = Started { started: 1, skipped: 0, waiting: 0, failed: 0 };
const SKIPPED: Started = Started { started: 0, skipped: 1, waiting: 0, failed: 0 };

fn token_refused() -> Failure {
    Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token; connect the account again.")
}

#[tokio::test]
async fn a_run_waits_for_the_running_backup_and_starts_within_a_minute_of_its_end() {
    let world = World::scheduled().await;
    world.clock.set(first_run() - HOUR);
    let running = world.backup_by_hand().await;
    world.clock.set(first_run());

    assert_eq!(world.round().await, WAITING);
    assert_eq!(world.round().await, Started::default(), "it looks again in a minute");
    world.clock.advance(MINUTE);
    assert_eq!(world.round().await, WAITING);
    world.end(&running, End::Cancelled(&samples::act("cancel-backup"))).await;
    world.clock.advance(MINUTE);
    assert_eq!(world.round().await, STARTED);

    assert_eq!(world.next_run_at().await, first_run() + WEEK, "having waited does not move the next one");
    world.clock.advance(MINUTE);
    assert_eq!(world.round().await, Started::default());
    assert_eq!(world.backups().await.len(), 2);
}

#[tokio::test]
async fn a_run_that_is_too_early_starts_when_the_plan_allows_it() {
    let world = World::scheduled().await;
    world.clock.set(first_run() - HOUR * 5);
    let by_hand = world.backup_by_hand().await;
    world.clock.advance(HOUR);
    world.complete(&by_hand).await;
    let allowed = by_hand.created_at + HOUR * 24;
    world.clock.set(first_run());

    assert_eq!(world.round().await, WAITING);
    assert_eq!(world.schedule().await.on.and_then(|on| on.waits_until), Some(allowed));
    for not_yet in [first_run() + MINUTE, allowed - SignedDuration::from_secs(1)] {
        world.clock.set(not_yet);
        assert_eq!(world.round().await, Started::default(), "{not_yet}");
    }
    world.clock.set(allowed);
    assert_eq!(world.round().await, STARTED);

    world.clock.advance(MINUTE);
    assert_eq!(world.round().await, Started::default());
    assert_eq!((world.backups().await.len(), world.next_run_at().await), (2, first_run() + WEEK));
}

#[tokio::test]
async fn a_run_that_is_due_while_backups_pause_starts_after_the_pause() {
    let world = World::scheduled().await;
    world.edit_account(|account| account.tier = samples::tier("unlimited")).await;
    world.clock.set(first_run() - MINUTE * 10);
    for _ in 0..5 {
        let failed = world.backup_by_hand().await;
        let down = Failure::new(FailureKind::CrmUnavailable, "The CRM is down.");
        world.end(&failed, End::Failed(&down)).await;
    }
    let until = world.clock.now() + HOUR;
    let told = world.inbox().await.len();
    world.clock.set(first_run());

    assert_eq!(world.round().await, WAITING);
    assert_eq!(world.schedule().await.on.and_then(|on| on.waits_until), Some(until));
    world.clock.set(until);
    assert_eq!(world.round().await, STARTED);
    assert_eq!(world.inbox().await.len(), told, "the wait is not told");
}

#[tokio::test]
async fn while_the_crm_refuses_the_token_runs_are_skipped_with_a_notification() {
    let world = World::scheduled().await;
    let failed = world.backup_by_hand().await;
    world.end(&failed, End::Failed(&token_refused())).await;
    world.queue.lose_all();
    world.clock.set(first_run());

    assert_eq!(world.round().await, SKIPPED);

    assert_eq!(world.backups().await.len(), 1, "only the one that has failed");
    let schedule = world.schedule().await;
    assert_eq!(schedule.on.expect("still on").next_run_at, first_run() + WEEK);
    assert_eq!(schedule.latest, Some(LatestRun::Skipped { at: first_run(), reason: token_refused() }));
    let notification = world.inbox().await.pop().expect("a notification");
    let next_run_at = Some(first_run() + WEEK);
    assert_eq!(notification.event, Event::ScheduleSkipped { failure: token_refused(), next_run_at });
    assert_eq!(notification.requester, Some(samples::requester()));
    assert_eq!(world.queue.receive(), Some(notification.work()));
    assert_eq!(world.round().await, Started::default(), "it is told once");
}

#[tokio::test]
async fn once_the_account_is_connected_again_the_next_run_starts() {
    let world = World::scheduled().await;
    let failed = world.backup_by_hand().await;
    world.end(&failed, End::Failed(&token_refused())).await;
    world.clock.set(first_run());
    assert_eq!(world.round().await, SKIPPED);

    world.edit_account(|account| account.crm_connection.as_mut().expect("connected").fault = None).await;
    world.clock.set(first_run() + WEEK);

    assert_eq!(world.round().await, STARTED);
}

#[tokio::test]
async fn a_temporary_failure_does_not_keep_the_next_run_from_starting() {
    let world = World::scheduled().await;
    let failed = world.backup_by_hand().await;
    world.end(&failed, End::Failed(&Failure::new(FailureKind::CrmUnavailable, "The CRM does not answer."))).await;
    world.clock.set(first_run());
    assert_eq!(world.round().await, STARTED);
}

#[tokio::test]
async fn without_a_connection_a_run_is_skipped_with_a_notification() {
    let world = World::due().await;
    world.edit_account(|account| account.crm_connection = None).await;

    assert_eq!(world.round().await, SKIPPED);

    assert!(world.backups().await.is_empty());
    assert_eq!(world.next_run_at().await, first_run() + WEEK);
    let inbox = world.inbox().await;
    let kinds: Vec<_> = inbox.iter().map(|notification| &notification.event).collect();
    assert!(
        matches!(kinds[..], [Event::ScheduleSkipped { failure, .. }] if failure.kind == "crm-not-connected"),
        "{kinds:?}"
    );
}
