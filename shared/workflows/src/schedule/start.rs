//! start-scheduled-backups: starts the scheduled backups that are due, each run of each schedule once.
//!
//! A run is one transaction that moves the schedule on and creates the backup. So if the rule fires twice, or several
//! rounds run at the same time, only one of them wins. The index finds the due schedules, at a cost of three reads for
//! each started backup.

use std::sync::Arc;

use domain::account::Account;
use domain::allowance::Allowance;
use domain::audit::{Act, START_SCHEDULED_BACKUP};
use domain::backup::Backup;
use domain::ids::{AuditEntryId, BackupId};
use domain::notification::{Event, Notification};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, DUE_SHARDS, DueList, Key, Ledger, Versioned};
use domain::ports::queue::WorkQueue;
use domain::schedule::{Schedule, SwitchedOn};
use domain::work::BackupRef;
use domain::{Failure, FailureKind};
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::{skipped, stopped};
use crate::backup::create::{self, CreateError};
use crate::contention::{self, Attempt};
use crate::listing::{self, DueKeys};
use crate::notify;
use crate::run::StepError;

/// Schedules requested at once, per shard. More if the same number of schedules at the start of the list cannot be
/// handled.
const PER_PAGE: u32 = 100;

/// Schedules of one shard that are handled at the same time.
const AT_A_TIME: usize = 4;

/// How soon to check again whether the running backup has ended.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Starts the backups that are due. The function start-scheduled-backups calls it.
pub struct StartScheduled {
    pub ledger: Arc<dyn Ledger>,
    /// Receives the first work of new backups.
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
    pub random: fn() -> [u8; 10],
    /// How long the audit log keeps its entries.
    pub audit_kept_for: SignedDuration,
}

/// The counts of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Started {
    pub started: u64,
    /// Runs that were skipped, including those of stopped schedules.
    pub skipped: u64,
    pub waiting: u64,
    /// Schedules that could not be handled. They are still due in the next round.
    pub failed: u64,
}

/// The result for a schedule that was listed as due.
enum DueOutcome {
    /// It was not due after all: another round was first, or the list lags.
    NotDue,
    Started(Box<Backup>),
    Skipped(Box<Notification>),
    Waiting,
}

impl StartScheduled {
    /// Handles all due schedules, all shards at the same time, and begins nothing after `ends`. The rest is still due
    /// in the next round.
    ///
    /// # Errors
    /// [`StepError`] if a list of due schedules cannot be read. The schedules on the other lists have been handled.
    pub async fn round(&self, ends: Timestamp) -> Result<Started, StepError> {
        let shards = (0..DUE_SHARDS).map(|shard| self.shard(shard, ends));
        // Every shard is completed: an unreadable list only delays its own items.
        let rounds = futures_util::future::join_all(shards).await;
        rounds.into_iter().try_fold(Started::default(), |all, round| Ok(all.and(round?)))
    }

    async fn shard(&self, shard: u8, ends: Timestamp) -> Result<Started, StepError> {
        let mut all = Started::default();
        let now = self.clock.now();
        let mut due = DueKeys::new(DueList::Schedules, shard, PER_PAGE);
        // Items that fail stay first in the list, so the same number of others is read behind them.
        while self.clock.now() < ends {
            let keys = due.next(&*self.ledger, now).await?;
            if keys.is_empty() {
                break;
            }
            let mut looks = stream::iter(keys).map(|key| self.look_at(key, ends)).buffer_unordered(AT_A_TIME);
            while let Some(one) = looks.next().await {
                all = all.and(one);
            }
            if !due.may_be_more() {
                break;
            }
        }
        Ok(all)
    }

    async fn look_at(&self, key: Key, ends: Timestamp) -> Started {
        if self.clock.now() >= ends {
            return Started::default();
        }
        match contention::retry(|| self.try_start(&key)).await {
            Ok(fate) => self.tell(fate).await,
            Err(error) => {
                if error.is_unreadable() {
                    listing::unreadable(&error);
                }
                tracing::error!(%error, partition = key.partition, "schedule.not-started");
                Started { failed: 1, ..Started::default() }
            }
        }
    }

    async fn tell(&self, fate: DueOutcome) -> Started {
        match fate {
            DueOutcome::NotDue => Started::default(),
            DueOutcome::Waiting => Started { waiting: 1, ..Started::default() },
            DueOutcome::Started(backup) => {
                create::begin(&*self.queue, &backup).await;
                Started { started: 1, ..Started::default() }
            }
            DueOutcome::Skipped(notification) => {
                tracing::warn!(account.id = %notification.account_id, "schedule.skipped");
                notify::announce_soon(&*self.queue, &notification).await;
                Started { skipped: 1, ..Started::default() }
            }
        }
    }

    async fn try_start(&self, key: &Key) -> Result<Attempt<DueOutcome>, StepError> {
        let now = self.clock.now();
        let Some(schedule) = ledger::load::<Schedule>(&*self.ledger, key).await? else {
            return Ok(Attempt::Settled(DueOutcome::NotDue));
        };
        let Some(on) = schedule.record.on.as_ref().filter(|_| schedule.record.is_due(now)) else {
            return Ok(Attempt::Settled(DueOutcome::NotDue));
        };
        let account = ledger::load::<Account>(&*self.ledger, &Account::key_of(&schedule.record.account_id)).await?;
        let Some(account) = account else { return Ok(Attempt::Settled(DueOutcome::NotDue)) };
        if !account.record.tier.allows().may_schedule {
            let (mut changes, notification) = stopped(&schedule, &account.record, now);
            changes.push(Change::unchanged(&account));
            return self.settle(&changes, DueOutcome::Skipped(Box::new(notification))).await;
        }
        match broken_connection(&account.record) {
            Some(reason) => self.skip(&schedule, on, &account, reason, now).await,
            None => self.start(&schedule, on, &account, now).await,
        }
    }

    async fn start(
        &self,
        schedule: &Versioned<Schedule>,
        on: &SwitchedOn,
        account: &Versioned<Account>,
        now: Timestamp,
    ) -> Result<Attempt<DueOutcome>, StepError> {
        let account_id = &account.record.account_id;
        let allowance = ledger::load::<Allowance>(&*self.ledger, &Allowance::key_of(account_id)).await?;
        let new = BackupRef { account_id: account_id.clone(), backup_id: BackupId::new(now, (self.random)()) };
        let accepted = create::accept(account, allowance.as_ref(), &new, &self.act(on, &new, now), now);
        let (backup, mut changes) = match accepted {
            Ok(accepted) => accepted,
            Err(CreateError::Running { .. }) => return self.wait(schedule, now + LOOK_AGAIN, now).await,
            Err(CreateError::TooEarly(next_at) | CreateError::Paused { until: next_at, .. }) => {
                return self.wait(schedule, next_at, now).await;
            }
            Err(error) => {
                return Err(StepError::Fatal(Failure::new(FailureKind::ScheduleNotStarted, error.to_string())));
            }
        };
        let zone = account.record.crm_connection.as_ref().map_or(&on.time_zone, |connection| &connection.time_zone);
        let next = schedule.record.started(new.backup_id, zone, now)?;
        changes.push(Change::replace(schedule, &next));
        self.settle(&changes, DueOutcome::Started(Box::new(backup))).await
    }

    async fn wait(
        &self,
        schedule: &Versioned<Schedule>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Attempt<DueOutcome>, StepError> {
        let next = schedule.record.waiting(until, now)?;
        self.settle(&[Change::replace(schedule, &next)], DueOutcome::Waiting).await
    }

    async fn skip(
        &self,
        schedule: &Versioned<Schedule>,
        on: &SwitchedOn,
        account: &Versioned<Account>,
        failure: Failure,
        now: Timestamp,
    ) -> Result<Attempt<DueOutcome>, StepError> {
        let next = schedule.record.skipped(failure.clone(), &on.time_zone, now)?;
        let next_run_at = next.on.as_ref().map(|on| on.next_run_at);
        let notification = skipped(&schedule.record, Event::ScheduleSkipped { failure, next_run_at }, now);
        // If the connection is repaired at the same time, the backup starts.
        let changes = [Change::replace(schedule, &next), Change::create(&notification), Change::unchanged(account)];
        self.settle(&changes, DueOutcome::Skipped(Box::new(notification))).await
    }

    async fn settle(&self, changes: &[Change], fate: DueOutcome) -> Result<Attempt<DueOutcome>, StepError> {
        Ok(contention::settle(self.ledger.commit(changes).await, fate)?)
    }

    /// The act of the person who switched the schedule on, done on their behalf.
    fn act(&self, on: &SwitchedOn, new: &BackupRef, now: Timestamp) -> Act {
        Act {
            account_id: new.account_id.clone(),
            entry_id: AuditEntryId::new(now, new.backup_id.random()),
            at: now,
            by: on.by.clone(),
            source_address: None,
            action: START_SCHEDULED_BACKUP,
            kept_for: self.audit_kept_for,
        }
    }
}

/// Why the CRM cannot be reached, if that is known before trying.
fn broken_connection(account: &Account) -> Option<Failure> {
    match &account.crm_connection {
        None => Some(Failure::new(
            FailureKind::CrmNotConnected,
            "The account no longer has a CRM connection. Connect it again with PUT /accounts/{account}.",
        )),
        Some(connection) => connection.fault.clone(),
    }
}

impl Started {
    fn and(self, other: Self) -> Self {
        Self {
            started: self.started + other.started,
            skipped: self.skipped + other.skipped,
            waiting: self.waiting + other.waiting,
            failed: self.failed + other.failed,
        }
    }
}
