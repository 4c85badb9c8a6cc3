//! A link to a backup's archive. Links live for minutes and are made afresh every time; nobody stores or logs them.

use std::time::Duration;

use domain::backup::{Backup, BackupState};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Ledger, LedgerError};
use domain::ports::objects::{DownloadLinks, StorageError};
use domain::work::BackupRef;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;

/// A link to an archive. Whoever holds it can download.
#[derive(Debug)]
pub struct Link {
    /// The link.
    pub url: SecretString,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The account has no such backup.
    #[error("there is no such backup")]
    Unknown,
    /// The backup has no archive: it is still running, or ended without one.
    #[error("the backup has no archive")]
    NotCompleted(BackupState),
    /// The archive expired then and has been removed.
    #[error("the archive expired at {0}")]
    Expired(Timestamp),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Object storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes a link to the archive of `backup` that works for `valid_for`, but not longer than the archive lives.
///
/// # Errors
/// [`DownloadError`].
pub async fn link(
    ledger: &dyn Ledger,
    links: &dyn DownloadLinks,
    clock: &dyn Clock,
    backup: &BackupRef,
    valid_for: Duration,
) -> Result<Link, DownloadError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    let backup = loaded.ok_or(DownloadError::Unknown)?.record;
    let Some(archive) = backup.archive.as_ref().filter(|_| backup.state == BackupState::Completed) else {
        return Err(DownloadError::NotCompleted(backup.state));
    };
    let now = clock.now();
    let seconds_left = u64::try_from(archive.expires_at.duration_since(now).as_secs()).unwrap_or(0);
    if seconds_left == 0 {
        return Err(DownloadError::Expired(archive.expires_at));
    }
    let valid_for = valid_for.min(Duration::from_secs(seconds_left));
    let url = links.link(&archive.storage_key, &file_name(&backup), valid_for).await?;
    Ok(Link { url, expires_at: now + valid_for })
}

/// What browsers save the archive as: the account, and the day (UTC) that the backup was asked for.
fn file_name(backup: &Backup) -> String {
    let day = backup.created_at.to_zoned(TimeZone::UTC).date();
    format!("crm-backup-{}-{day}.zip", backup.account_id)
}
