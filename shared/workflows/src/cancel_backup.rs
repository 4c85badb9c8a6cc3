//! Cancelling a backup.

use domain::backup::{Backup, BackupEvent, BackupState};
use domain::ports::clock::Clock;
use domain::ports::ledger::{Ledger, LedgerError};
use domain::ports::queue::WorkQueue;
use domain::work::BackupRef;

use crate::ending::{self, EndError, Ended};

/// Why a backup could not be cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// The account has no such backup.
    #[error("there is no such backup")]
    Unknown,
    /// It has completed or failed, which does not change any more.
    #[error("the backup has ended")]
    Ended(Box<Backup>),
    /// The ledger failed; the backup may have been cancelled.
    #[error(transparent)]
    Ledger(LedgerError),
}

/// Cancels a backup. Cancelling it again gives the same answer.
///
/// # Errors
/// [`CancelError`].
pub async fn cancel(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
) -> Result<Backup, CancelError> {
    match ending::end(ledger, queue, clock, backup, BackupEvent::Cancelled).await {
        Ok(Ended::Done(backup)) => Ok(backup),
        Ok(Ended::AlreadyEnded(backup)) if backup.state == BackupState::Cancelled => Ok(backup),
        Ok(Ended::AlreadyEnded(backup)) => Err(CancelError::Ended(Box::new(backup))),
        Err(EndError::Absent) => Err(CancelError::Unknown),
        Err(EndError::Ledger(error)) => Err(CancelError::Ledger(error)),
    }
}
