//! Switching schedules on and off, and the common start of all tests of schedules.

mod faults;
mod plan;
mod starting;
mod waiting;

use std::sync::Arc;

use domain::allowance::Allowance;
use domain::audit::AuditEntry;
use domain::backup::Backup;
use domain::schedule::LatestRun;
use domain::work::{BackupRef, Work};
use in_memory::faults::Worker;
use in_memory::{ManualClock, MemoryLedger, MemoryQueue};
use jiff::SignedDuration;

use super::*;
use crate::backup::create::{BackupRequest, CreateBackup};
use crate::backup::ending::{self, End};
use crate::samples;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const WEEKLY: ScheduleWish = ScheduleWish { enabled: true, every: Some(Cadence::Week) };
const OFF: ScheduleWish = ScheduleWish { enabled: false, every: None };

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn with(account: &Account) -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let world =
            Self { ledger: Arc::new(MemoryLedger::new()), queue: Arc::new(MemoryQueue::new(clock.clone())), clock };
        world.ledger.commit(&[Change::create(account)]).await.expect("empty ledger");
        world
    }

    /// An account whose weekly schedule was switched on at [`samples::NOW`].
    async fn scheduled() -> Self {
        let world = Self::with(&enterprise()).await;
        world.set(WEEKLY).await.expect("the plan has schedules");
        world
    }

    /// The same when the first run is due.
    async fn due() -> Self {
        let world = Self::scheduled().await;
        world.clock.set(first_run());
        world
    }

    async fn set(&self, wish: ScheduleWish) -> Result<Schedule, ScheduleError> {
        set(&*self.ledger, &*self.clock, &samples::act("change-schedule"), wish).await
    }

    async fn schedule(&self) -> Schedule {
        read(&*self.ledger, &samples::account_id("42")).await.expect("there is an account")
    }

    async fn next_run_at(&self) -> Timestamp {
        self.schedule().await.on.expect("on").next_run_at
    }

    fn starting(&self) -> StartScheduled {
        StartScheduled {
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            random: samples::random,
            audit_kept_for: SignedDuration::from_hours(400 * 24),
        }
    }

    fn starting_as(&self, worker: &Arc<Worker>) -> StartScheduled {
        let (ledger, queue) = (worker.wrap(self.ledger.clone()), worker.wrap(self.queue.clone()));
        StartScheduled { ledger, queue, ..self.starting() }
    }

    fn round_ends(&self) -> Timestamp {
        self.clock.now() + MINUTE
    }

    async fn round(&self) -> Started {
        self.starting().round(self.round_ends()).await.expect("the list is readable")
    }

    async fn backups(&self) -> Vec<Backup> {
        samples::records(&*self.ledger, Backup::PREFIX).await
    }

    async fn inbox(&self) -> Vec<Notification> {
        samples::records(&*self.ledger, Notification::PREFIX).await
    }

    /// The audit log's entries about scheduled backups.
    async fn starts_in_the_audit_log(&self) -> Vec<AuditEntry> {
        let entries = samples::audit_log(&*self.ledger).await;
        entries.into_iter().filter(|entry| entry.action == "start-scheduled-backup").collect()
    }

    /// The backups whose first work is queued.
    fn discoveries(&self) -> Vec<BackupRef> {
        let discovered = |message: in_memory::Queued| match message.work {
            Work::Discover { backup } => Some(backup),
            _ => None,
        };
        self.queue.queued().into_iter().filter_map(discovered).collect()
    }

    /// A backup that a user requests by hand.
    async fn backup_by_hand(&self) -> Backup {
        let (ledger, queue, clock) = (self.ledger.clone(), self.queue.clone(), self.clock.clone());
        let act = samples::act("create-backup");
        let request = BackupRequest { act, idempotency_key: None, random: samples::random() };
        CreateBackup { ledger, queue, clock }.create(&request).await.expect("allowed")
    }

    /// Completes `backup` in the account's allowance only.
    async fn complete(&self, backup: &Backup) {
        let key = Allowance::key_of(&backup.account_id);
        samples::edit::<Allowance>(&*self.ledger, &key, |allowance| {
            *allowance = allowance.use_up(&backup.backup_id, false).expect("it runs");
        })
        .await;
    }

    async fn end(&self, backup: &Backup, how: End<'_>) {
        let (ledger, queue, clock) = (&*self.ledger, &*self.queue, &*self.clock);
        ending::end(ledger, queue, clock, &backup.reference(), how).await.expect("it runs");
    }

    async fn edit_account(&self, change: impl FnOnce(&mut Account)) {
        samples::edit(&*self.ledger, &Account::key_of(&samples::account_id("42")), change).await;
    }
}

fn enterprise() -> Account {
    Account { tier: samples::tier("enterprise"), ..samples::connected_account("42") }
}

/// When the schedule of [`World::scheduled`] is due for the first time.
fn first_run() -> Timestamp {
    samples::NOW + WEEK
}

#[tokio::test]
async fn a_schedule_is_off_until_it_is_switched_on_and_shows_when_it_runs_next() {
    let world = World::with(&enterprise()).await;
    assert_eq!(world.schedule().await, Schedule::off(samples::account_id("42")));

    let on = world.set(WEEKLY).await.expect("the plan has schedules");

    assert_eq!(world.schedule().await, on);
    let run = on.on.expect("on");
    assert_eq!((run.next_run_at, run.by), (first_run(), samples::requester()));
    let log = samples::audit_log(&*world.ledger).await;
    let entries: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.target.as_deref())).collect();
    assert_eq!(entries, [("change-schedule", Some("on, every week"))]);
}

#[tokio::test]
async fn switching_a_schedule_on_again_changes_nothing() {
    let world = World::scheduled().await;
    let before = world.schedule().await;
    world.clock.advance(HOUR * 30);

    let again = world.set(WEEKLY).await.expect("the plan has schedules");
    let unsaid = world.set(ScheduleWish { enabled: true, every: None }).await.expect("the plan has schedules");

    assert_eq!((again, unsaid), (before.clone(), before.clone()));
    assert_eq!(world.schedule().await, before);
}

#[tokio::test]
async fn a_schedule_that_is_off_starts_nothing() {
    let world = World::scheduled().await;

    let off = world.set(OFF).await.expect("always possible");

    assert_eq!((off.on, off.every), (None, Cadence::Week));
    world.clock.set(first_run() + WEEK);
    assert_eq!(world.round().await, Started::default());
    assert!(world.backups().await.is_empty() && world.inbox().await.is_empty());
}

#[tokio::test]
async fn only_an_account_whose_plan_has_schedules_can_switch_one_on() {
    for (plan, allowed) in [("starter", false), ("professional", false), ("enterprise", true), ("unlimited", true)] {
        let world = World::with(&Account { tier: samples::tier(plan), ..enterprise() }).await;
        match world.set(WEEKLY).await {
            Ok(schedule) => assert!(allowed && schedule.on.is_some(), "{plan}"),
            Err(ScheduleError::NotInPlan(named)) => assert!(!allowed && named == plan, "{plan}"),
            Err(error) => panic!("{plan}: {error}"),
        }
        assert!(world.set(OFF).await.expect("always possible").on.is_none(), "{plan}");
    }
}

#[tokio::test]
async fn an_unknown_or_unconnected_account_has_no_schedule() {
    let world = World::with(&Account { crm_connection: None, ..enterprise() }).await;
    assert!(matches!(world.set(WEEKLY).await, Err(ScheduleError::NotConnected)));
    assert!(world.schedule().await.on.is_none());
    let unknown = samples::account_id("43");
    assert!(matches!(read(&*world.ledger, &unknown).await, Err(ScheduleError::AccountUnknown)));
    let act = Act { account_id: unknown, ..samples::act("change-schedule") };
    let refused = set(&*world.ledger, &*world.clock, &act, WEEKLY).await;
    assert!(matches!(refused, Err(ScheduleError::AccountUnknown)));
}
