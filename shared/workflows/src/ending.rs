//! How a backup ends other than by its archive: it fails, or somebody cancels it.
//!
//! Ending is one transaction: the backup reaches its last state and the account's allowance is free again. Workers
//! that are still busy notice it at their next look at the ledger; what they wrote is swept.

use std::time::Duration;

use domain::Failure;
use domain::allowance::Allowance;
use domain::backup::{Backup, BackupEvent};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};

use crate::contention::{self, Attempt};
use crate::run::StepError;

/// What became of the wish to end a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It ended by this.
    Done(Backup),
    /// It had ended before, perhaps by the same wish; this is how.
    AlreadyEnded(Backup),
}

/// Why a backup could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// There is no such backup.
    #[error("there is no such backup")]
    Absent,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Ends a backup by [`BackupEvent::Failed`] or [`BackupEvent::Cancelled`].
///
/// # Errors
/// [`EndError`].
pub async fn end(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    event: BackupEvent,
) -> Result<Ended, EndError> {
    let ended = contention::retry(|| try_end(ledger, clock, backup, &event)).await?;
    if let Ended::Done(ended) = &ended {
        log_end(backup, ended.failure.as_ref());
        // If this is lost, recover-stalled queues it.
        if let Err(error) = queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await {
            tracing::warn!(%error, backup.id = %backup.backup_id, "backup.sweep-not-queued");
        }
    }
    Ok(ended)
}

/// Says how it ended. The template counts the lines named `backup.failed`; its alarm hangs on that name.
fn log_end(backup: &BackupRef, failure: Option<&Failure>) {
    let (account, id) = (&backup.account_id, &backup.backup_id);
    if let Some(failure) = failure {
        tracing::warn!(account.id = %account, backup.id = %id, failure.kind = %failure.kind, "backup.failed");
    } else {
        tracing::info!(account.id = %account, backup.id = %id, "backup.cancelled");
    }
}

/// Ends a backup as failed, if it has not ended yet.
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
    end(ledger, queue, clock, backup, BackupEvent::Failed(failure)).await.map(|_| ())
}

/// Queues the sweep once more if the backup has ended, after a run that was under way at that moment: what it wrote may
/// have come after the sweep.
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
    event: &BackupEvent,
) -> Result<Attempt<Ended>, EndError> {
    let Some(loaded) = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await? else {
        return Err(EndError::Absent);
    };
    let Ok(next) = loaded.record.apply(event.clone(), clock.now()) else {
        return Ok(Attempt::Settled(Ended::AlreadyEnded(loaded.record)));
    };
    let mut changes = vec![Change::replace(&loaded, &next)];
    changes.extend(give_allowance_back(ledger, backup).await?);
    Ok(contention::settle(ledger.commit(&changes).await, Ended::Done(next))?)
}

/// The change that frees the account's allowance, unless it names another backup already.
pub(crate) async fn give_allowance_back(
    ledger: &dyn Ledger,
    backup: &BackupRef,
) -> Result<Option<Change>, LedgerError> {
    let allowance: Option<Versioned<Allowance>> = ledger::load(ledger, &Allowance::key_of(&backup.account_id)).await?;
    Ok(allowance.and_then(|loaded| {
        let freed = loaded.record.give_back(&backup.backup_id).ok()?;
        Some(Change::replace(&loaded, &freed))
    }))
}
