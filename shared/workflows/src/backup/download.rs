//! Links to a backup's archive. They live for minutes and are made afresh for each request. They are not stored or
//! logged.

use std::time::Duration;

use domain::audit::Act;
use domain::backup::{Backup, NoArchive};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Ledger, LedgerError};
use domain::ports::storage::{DownloadLinks, StorageError};
use domain::work::BackupRef;
use jiff::tz::TimeZone;

use crate::audit_log;
use crate::link::Link;

/// Why no link was made.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("there is no such backup")]
    Unknown,
    #[error(transparent)]
    NoArchive(#[from] NoArchive),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes a link to the archive of `backup` that works for `valid_for`, but no longer than the archive lives. The audit
/// log has the entry before the caller gets the link.
///
/// # Errors
/// [`DownloadError`].
pub async fn link(
    ledger: &dyn Ledger,
    links: &dyn DownloadLinks,
    clock: &dyn Clock,
    backup: &BackupRef,
    valid_for: Duration,
    act: &Act,
) -> Result<Link, DownloadError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    let backup = loaded.ok_or(DownloadError::Unknown)?.record;
    let now = clock.now();
    let archive = backup.usable_archive(now)?;
    // A link is valid for whole seconds, at least one.
    let seconds_left = u64::try_from(archive.expires_at.duration_since(now).as_secs()).unwrap_or(0).max(1);
    let valid_for = valid_for.min(Duration::from_secs(seconds_left));
    let url = links.link(&archive.storage_key, &file_name(&backup), valid_for).await?;
    audit_log::record(ledger, &act.succeeded(backup.backup_id.to_string())).await?;
    Ok(Link { url, expires_at: (now + valid_for).min(archive.expires_at) })
}

/// The file name that browsers save the archive under: the account, and the second (UTC) of the request for the backup,
/// so that two archives of one day do not overwrite each other.
fn file_name(backup: &Backup) -> String {
    let asked_at = backup.created_at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d-%H%M%SZ");
    format!("crm-backup-{}-{asked_at}.zip", backup.account_id)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use domain::backup::BackupEvent;
    use domain::ports::ledger::Change;
    use domain::{Failure, FailureKind};
    use in_memory::{ManualClock, MemoryLedger};
    use jiff::{SignedDuration, Timestamp};
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::samples;

    /// Makes links that contain the arguments of the request.
    #[derive(Default)]
    struct Links(Mutex<u32>);

    #[async_trait]
    impl DownloadLinks for Links {
        async fn link(&self, key: &str, file_name: &str, valid_for: Duration) -> Result<SecretString, StorageError> {
            let mut made = self.0.lock().expect("not poisoned");
            *made += 1;
            Ok(format!("{key} as {file_name} for {} s, link {made}", valid_for.as_secs()).into())
        }
    }

    async fn linked(backup: &Backup, now: Timestamp, links: &Links) -> Result<Link, DownloadError> {
        let ledger = MemoryLedger::new();
        ledger.commit(&[Change::create(backup)]).await.expect("empty ledger");
        let clock = ManualClock::at(now);
        link(&ledger, links, &clock, &backup.reference(), Duration::from_mins(5), &samples::act("download-backup"))
            .await
    }

    #[tokio::test]
    async fn every_request_gets_a_fresh_link_to_a_file_with_a_descriptive_name() {
        let backup = samples::completed(1, samples::NOW + SignedDuration::from_hours(14 * 24));
        let links = Links::default();
        for nth in 1..=2 {
            let link = linked(&backup, samples::NOW, &links).await.expect("completed");
            let expected = format!("archives/42/1.zip as crm-backup-42-2027-01-15-080100Z.zip for 300 s, link {nth}");
            assert_eq!(link.url.expose_secret(), expected);
            assert_eq!(link.expires_at, samples::NOW + SignedDuration::from_secs(300));
        }
    }

    #[tokio::test]
    async fn a_link_does_not_outlive_the_archive_and_an_expired_archive_has_no_link() {
        let expires_at = samples::NOW + SignedDuration::from_hours(1);
        let backup = samples::completed(1, expires_at);
        let links = Links::default();
        let link = linked(&backup, expires_at - SignedDuration::from_secs(60), &links).await.expect("not yet expired");
        assert_eq!(link.expires_at, expires_at);
        let late = linked(&backup, expires_at, &links).await;
        assert!(matches!(late, Err(DownloadError::NoArchive(NoArchive::Expired(at))) if at == expires_at));
        let last_moment = expires_at - SignedDuration::from_millis(1);
        let last = linked(&backup, last_moment, &links).await.expect("it expires at its time, not a second before");
        assert_eq!(last.expires_at, expires_at);
    }

    #[tokio::test]
    async fn only_a_completed_backup_has_a_link() {
        let failed = BackupEvent::Failed(Failure::new(FailureKind::ExportFailed, "s"));
        let failed = samples::exporting(1).apply(failed, samples::NOW).expect("running");
        for backup in [samples::queued(1), samples::exporting(1), failed] {
            let refused = linked(&backup, samples::NOW, &Links::default()).await;
            assert!(
                matches!(refused, Err(DownloadError::NoArchive(NoArchive::NotCompleted(state))) if state == backup.state)
            );
        }
    }
}
