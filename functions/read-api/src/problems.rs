//! Problem documents for the errors of the use cases.

use domain::backup::NoArchive;
use http_api::problem::{Problem, catalogue};
use workflows::audit_log::AuditError;
use workflows::backup::download::DownloadError;
use workflows::backup::read::ReadBackupsError;

pub(crate) fn of_read(error: ReadBackupsError) -> Problem {
    match error {
        ReadBackupsError::AccountUnknown => Problem::account_unknown(),
        ReadBackupsError::BackupUnknown => Problem::backup_unknown(),
        ReadBackupsError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_download(error: DownloadError) -> Problem {
    match error {
        DownloadError::Unknown => Problem::backup_unknown(),
        DownloadError::NoArchive(NoArchive::NotCompleted(state)) => Problem::backup_not_completed(state),
        DownloadError::NoArchive(NoArchive::Expired(at)) => Problem::archive_expired(at),
        DownloadError::NoArchive(NoArchive::Deleted(at)) => Problem::archive_deleted(at),
        DownloadError::Ledger(error) => error.into(),
        DownloadError::Storage(error) => error.into(),
    }
}

pub(crate) fn of_audit(error: AuditError) -> Problem {
    match error {
        AuditError::AccountUnknown => Problem::account_unknown(),
        AuditError::TooMuch => Problem::new(
            catalogue::EXPORT_TOO_LARGE,
            "The audit log has too many entries to export at once. Export a shorter period with `from` and `until`.",
        ),
        AuditError::Ledger(error) => error.into(),
        AuditError::Storage(error) => error.into(),
    }
}
