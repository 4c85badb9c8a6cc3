//! The CRM's limits are used up.

use std::sync::Arc;

use domain::account::Account;
use domain::backup::{Backup, BackupState};
use domain::budget::CallLimits;
use domain::lease::WaitReason;
use domain::ports::clock::Clock;
use domain::ports::ledger;
use domain::work::BackupRef;
use faults::crm::{Cursors, Period, Trouble};
use faults::{Pace, Settings, SimulatedCrm, World, samples};
use in_memory::MemoryLedger;
use jiff::{SignedDuration, Timestamp};
use workflows::backup::read::{self, Waiting};

use crate::cases::SMALL;
use crate::worlds::{assert_complete, assert_tidy};

/// Midnight in the account's time zone, Berlin, after the beginning of the simulation.
pub(crate) fn midnight() -> Timestamp {
    "2026-11-20T23:00:00Z".parse().expect("a time")
}

/// A world whose account sets this number of calls a day.
pub(crate) async fn with_calls_a_day(per_day: u32, contacts: u64) -> World {
    let clock = Arc::new(samples::clock(Pace::Simulated));
    let limits = CallLimits::in_ten_seconds(100, per_day);
    let contacts = samples::many_contacts(contacts, Cursors::Ids);
    let crm = SimulatedCrm::new(clock.clone(), vec![contacts]).with_limits(limits);
    World::with_crm(Arc::new(MemoryLedger::new()), clock, crm, Settings::default()).await
}

/// Runs a backup to its end, and returns what it said it waited for on the way.
async fn waits_of(world: &World, backup: &BackupRef) -> (Backup, Vec<Waiting>) {
    let mut waits: Vec<Waiting> = Vec::new();
    while world.step().await {
        let progress = read::read(&*world.ledger, backup, world.clock.now()).await;
        let waiting = progress.expect("the ledger answers").waiting;
        waits.extend(waiting.filter(|wait| wait.reason == WaitReason::DailyLimit && waits.last() != Some(wait)));
    }
    (world.backup(backup).await, waits)
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_day_that_is_used_up_is_waited_for_until_midnight() {
    let calm = with_calls_a_day(1_000, 1_000).await;
    calm.to_the_end(&calm.request().await).await;
    let calls = u32::try_from(calm.crm.all_calls()).expect("few");

    for per_day in calls / 2 + 1..calls - 1 {
        let world = with_calls_a_day(per_day, 1_000).await;
        let backup = world.request().await;
        let (ended, waits) = waits_of(&world, &backup).await;

        assert_complete(&world, &ended).await;
        assert_tidy(&world, &backup).await;
        assert_eq!(waits.first().map(|wait| wait.until), Some(midnight()), "{per_day} calls: it says until when");
        let ended_at = ended.ended_at.expect("an end");
        assert!(midnight() <= ended_at && ended_at < midnight() + SignedDuration::from_mins(5), "{ended_at}");
        let more = world.deliveries() - calm.deliveries();
        assert!(more < 30, "{per_day} calls: {more} more messages were delivered meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn a_daily_limit_that_other_apps_have_used_up_is_waited_for() {
    let calm = SMALL.calm().await;
    let connected = calm.crm.all_calls();
    calm.to_the_end(&calm.request().await).await;

    for nth in connected + 1..=calm.crm.all_calls() {
        let world = SMALL.calm().await;
        let backup = world.request().await;
        while world.crm.all_calls() + 1 < nth {
            world.deliver_one().await;
        }
        world.crm.trouble(Period::Times(world.clock.now()..midnight()), Trouble::DailyLimit);
        let (ended, waits) = waits_of(&world, &backup).await;

        assert_complete(&world, &ended).await;
        assert_tidy(&world, &backup).await;
        let ended_at = ended.ended_at.expect("an end");
        if ended_at > midnight() {
            assert!(ended_at < midnight() + SignedDuration::from_mins(45), "{ended_at}");
            assert!(!waits.is_empty() && waits.iter().all(|wait| wait.until <= midnight()), "{waits:?}");
        }
        let more = world.deliveries() - calm.deliveries();
        assert!(more < 300, "call {nth}: {more} more messages were delivered meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_with_few_calls_a_day_is_backed_up_over_days() {
    let world = with_calls_a_day(12, 2_500).await;
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;

    assert_complete(&world, &ended).await;
    assert_tidy(&world, &backup).await;
    let days = i64::try_from(world.crm.all_calls() / 12).expect("few");
    let lasted = ended.ended_at.expect("an end").duration_since(ended.created_at);
    assert!((2..=5).contains(&days) && lasted.as_hours() / 24 <= days, "{days} days of calls in {lasted:#}");
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_is_not_done_after_six_days_fails() {
    let (begin, six_days) = (samples::beginning(), SignedDuration::from_hours(6 * 24));
    for nth in [2, 8, 20] {
        let world = SMALL.calm().await;
        world.crm.trouble(Period::Calls(nth..u64::MAX), Trouble::DailyLimit);
        let backup = world.request().await;

        let ended = world.to_the_end(&backup).await;

        assert_eq!(ended.state, BackupState::Failed);
        assert_eq!(ended.failure.expect("a failure").kind, "backup-took-too-long");
        let lasted = ended.ended_at.expect("an end").duration_since(begin);
        assert!(six_days <= lasted && lasted < six_days + SignedDuration::from_hours(24), "{lasted:#}");
        assert_tidy(&world, &backup).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_rate_pauses_everyone_and_costs_nothing_else() {
    let pause = SignedDuration::from_secs(10);
    let sweep = SMALL.sweep(1, 28).after(1).up_to(29);
    sweep
        .at_calls(async |nth| {
            let world = SMALL.calm().await;
            world.crm.trouble(Period::Calls(nth..nth + 2), Trouble::RateLimit(pause));
            let backup = world.request().await;
            assert_complete(&world, &world.to_the_end(&backup).await).await;
            assert_tidy(&world, &backup).await;
            world.crm.struck() > 0
        })
        .await;
}

/// C3: an account whose limits the CRM has raised uses them without being connected again.
#[tokio::test(start_paused = true)]
async fn limits_that_the_crm_has_raised_are_those_of_the_account() {
    let world = SMALL.calm().await;
    let raised = CallLimits::in_ten_seconds(250, 2_000_000);
    let _same_crm = world.crm.clone().with_limits(raised);
    let backup = world.request().await;
    assert_complete(&world, &world.to_the_end(&backup).await).await;
    let account = ledger::load::<Account>(&*world.ledger, &Account::key_of(&world.account)).await;
    let connection = account.expect("the ledger answers").expect("present").record.crm_connection;
    assert_eq!(connection.expect("connected").call_limits, raised);
}
