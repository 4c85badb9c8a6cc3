//! Deleting a backup's archive before it expires. The backup stays in the list.

use std::time::Duration;

use domain::audit::Act;
use domain::backup::{Backup, BackupEvent, BackupState};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use jiff::Timestamp;

use crate::contention::{self, Attempt};

/// Why an archive was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The account has no such backup.
    #[error("there is no such backup")]
    Unknown,
    /// The backup has no archive: it is still running, or ended without one.
    #[error("the backup has no archive")]
    NotCompleted(BackupState),
    /// The archive expired then and is gone.
    #[error("the archive expired at {0}")]
    Expired(Timestamp),
    /// The ledger failed; the archive may have been deleted.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Deletes the archive of `backup`: no link to it is made any more from now on, and its objects go within moments.
/// Deleting it again gives the same answer.
///
/// # Errors
/// [`DeleteError`].
pub async fn delete(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    act: &Act,
) -> Result<Backup, DeleteError> {
    let deleted = contention::retry(|| try_delete(ledger, clock, backup, act)).await?;
    tracing::info!(account.id = %backup.account_id, backup.id = %backup.backup_id, "backup.archive-deleted");
    // If this is lost, recover-stalled queues it.
    if let Err(error) = queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await {
        tracing::warn!(%error, backup.id = %backup.backup_id, "backup.sweep-not-queued");
    }
    Ok(deleted)
}

async fn try_delete(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    backup: &BackupRef,
    act: &Act,
) -> Result<Attempt<Backup>, DeleteError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?.ok_or(DeleteError::Unknown)?;
    let Some(archive) = loaded.record.archive.as_ref() else {
        return Err(DeleteError::NotCompleted(loaded.record.state));
    };
    if loaded.record.deletion.is_some() {
        return Ok(Attempt::Settled(loaded.record));
    }
    let now = clock.now();
    let Ok(next) = loaded.record.apply(BackupEvent::ArchiveDeleted(act.by.clone()), now) else {
        return Err(DeleteError::Expired(archive.expires_at));
    };
    let entry = Change::create(&act.succeeded(backup.backup_id.to_string()));
    Ok(contention::settle(ledger.commit(&[Change::replace(&loaded, &next), entry]).await, next)?)
}
