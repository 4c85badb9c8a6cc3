//! Which problem document each error of the use cases becomes.

use domain::backup::BackupState;
use lambda::problem::{Problem, catalogue};
use workflows::download_backup::DownloadError;
use workflows::read_backups::ReadError;

pub(crate) fn of_read(error: ReadError) -> Problem {
    match error {
        ReadError::AccountUnknown => Problem::account_unknown(),
        ReadError::BackupUnknown => Problem::backup_unknown(),
        ReadError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_download(error: DownloadError) -> Problem {
    match error {
        DownloadError::Unknown => Problem::backup_unknown(),
        DownloadError::NotCompleted(state) => {
            let detail = match state {
                BackupState::Failed => "The backup failed and has no archive. Its `failure` says why.",
                BackupState::Cancelled => "The backup was cancelled and has no archive.",
                _ => "The backup is still running. Wait until its state is `completed`.",
            };
            Problem::new(catalogue::BACKUP_NOT_COMPLETED, detail)
        }
        DownloadError::Expired(at) => {
            let detail = "The archive could be downloaded for 14 days and has been removed. Make a new backup.";
            Problem::new(catalogue::ARCHIVE_EXPIRED, detail).member("expiredAt", at.to_string())
        }
        DownloadError::Ledger(error) => error.into(),
        DownloadError::Storage(error) => error.into(),
    }
}
