//! The endings of a backup without an archive: it fails, or a user cancels it.
//!
//! Ending is one transaction: the backup reaches its last state, the account's allowance is restored, and the inbox or
//! the audit log records who or what ended it. Workers that are still busy notice it when they next read the ledger.
//! The data that they wrote is swept.

use std::time::Duration;

use domain::Failure;
use domain::allowance::Allowance;
use domain::audit::Act;
use domain::backup::{Backup, BackupEvent};
use domain::failed_in_a_row::FailedInARow;
use domain::notification::{Event, Notification};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use jiff::Timestamp;

use crate::connection_fault;
use crate::contention::{self, Attempt};
use crate::notify;
use crate::run::StepError;

/// The result of an attempt to end a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// This attempt ended it.
    Done(Backup),
    /// It had already ended in this way, perhaps by an earlier try of the same attempt.
    AlreadyEnded(Backup),
}

/// Why a backup could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    #[error("there is no such backup")]
    Absent,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<EndError> for StepError {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Absent => Self::GONE,
            EndError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// How a backup is to end.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// The backup cannot continue, for this reason.
    Failed(&'a Failure),
    Cancelled(&'a Act),
}

/// Ends a backup.
///
/// # Errors
/// [`EndError`].
pub async fn end(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    end: End<'_>,
) -> Result<Ended, EndError> {
    let (ended, notification) = contention::retry(|| try_end(ledger, clock, backup, end)).await?;
    if let Ended::Done(ended) = &ended {
        log_end(backup, ended.failure.as_ref());
        if let Some(notification) = &notification {
            notify::announce_soon(queue, notification).await;
        }
        // If this message is lost, recover-stalled queues the work.
        if let Err(error) = queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await {
            tracing::warn!(%error, backup.id = %backup.backup_id, "backup.sweep-not-queued");
        }
    }
    Ok(ended)
}

/// Logs how it ended. The template counts the lines named `backup.failed`; its alarm depends on that name.
fn log_end(backup: &BackupRef, failure: Option<&Failure>) {
    let (account, id) = (&backup.account_id, &backup.backup_id);
    if let Some(failure) = failure {
        tracing::warn!(account.id = %account, backup.id = %id, failure.kind = %failure.kind, "backup.failed");
    } else {
        tracing::info!(account.id = %account, backup.id = %id, "backup.cancelled");
    }
}

/// Ends a backup as failed, unless it has already ended.
///
/// # Errors
/// [`EndError`].
pub async fn fail(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    failure: Failure,
) -> Result<(), EndError> {
    end(ledger, queue, clock, backup, End::Failed(&failure)).await.map(|_| ())
}

/// Queues the sweep again if the backup has ended, for a run that was still working at that time: it may have written
/// data after the first sweep.
pub(crate) async fn sweep_if_ended(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    backup: &BackupRef,
) -> Result<(), StepError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    if loaded.is_some_and(|loaded| loaded.record.state.is_terminal()) {
        queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await?;
    }
    Ok(())
}

async fn try_end(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    backup: &BackupRef,
    end: End<'_>,
) -> Result<Attempt<(Ended, Option<Notification>)>, EndError> {
    let Some(loaded) = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await? else {
        return Err(EndError::Absent);
    };
    let (event, now) = (end.event(), clock.now());
    let Ok(next) = loaded.record.apply(event, now) else {
        return Ok(Attempt::Settled((Ended::AlreadyEnded(loaded.record), None)));
    };
    let mut changes = vec![Change::replace(&loaded, &next)];
    let failed = match end {
        End::Failed(failure) => Some((failure, now)),
        End::Cancelled(_) => None,
    };
    let (allowance, paused_until) = give_allowance_back(ledger, backup, failed).await?;
    changes.extend(allowance);
    let mut notification = None;
    match end {
        End::Cancelled(act) => changes.push(Change::create(&act.succeeded(backup.backup_id.to_string()))),
        End::Failed(failure) => {
            changes.extend(connection_fault::noted(ledger, &backup.account_id, failure, next.created_at).await?);
            changes.push(Change::create(notification.insert(failure_of(&next, failure, paused_until, now))));
        }
    }
    Ok(contention::settle(ledger.commit(&changes).await, (Ended::Done(next), notification))?)
}

impl End<'_> {
    fn event(self) -> BackupEvent {
        match self {
            Self::Failed(failure) => BackupEvent::Failed(failure.clone()),
            Self::Cancelled(_) => BackupEvent::Cancelled,
        }
    }
}

fn failure_of(backup: &Backup, failure: &Failure, paused_until: Option<Timestamp>, now: Timestamp) -> Notification {
    let event = Event::BackupFailed { backup_id: backup.backup_id.clone(), failure: failure.clone(), paused_until };
    let (account, requester) = (backup.account_id.clone(), Some(backup.created_by.clone()));
    Notification::new(account, backup.backup_id.random(), event, requester, now)
}

/// The change that gives the account's allowance back, unless another backup already has it. It counts a failure. With
/// it: until when further backups pause.
async fn give_allowance_back(
    ledger: &dyn Ledger,
    backup: &BackupRef,
    failed: Option<(&Failure, Timestamp)>,
) -> Result<(Option<Change>, Option<Timestamp>), LedgerError> {
    let allowance: Option<Versioned<Allowance>> = ledger::load(ledger, &Allowance::key_of(&backup.account_id)).await?;
    let given_back = allowance.and_then(|loaded| {
        let freed = loaded.record.give_back(&backup.backup_id).ok()?;
        let freed = failed.map_or_else(|| freed.clone(), |(failure, now)| freed.failed_again(failure, now));
        let paused_until = failed.and(freed.failed.as_ref()).and_then(FailedInARow::paused_until);
        Some((Change::replace(&loaded, &freed), paused_until))
    });
    Ok(given_back.map_or((None, None), |(change, paused_until)| (Some(change), paused_until)))
}

/// The change that uses up the account's allowance when `backup` completes, and whether the backup counts against the
/// plan.
pub(crate) async fn use_allowance_up(
    ledger: &dyn Ledger,
    backup: &BackupRef,
    is_short: bool,
) -> Result<(Option<Change>, bool), LedgerError> {
    let allowance: Option<Versioned<Allowance>> = ledger::load(ledger, &Allowance::key_of(&backup.account_id)).await?;
    let used = allowance.and_then(|loaded| {
        let used = loaded.record.use_up(&backup.backup_id, is_short).ok()?;
        Some((Change::replace(&loaded, &used), !used.repeats))
    });
    Ok(used.map_or((None, true), |(change, counts)| (Some(change), counts)))
}
