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

#[cfg(test)]
mod tests {
    use domain::backup::BackupState;
    use domain::ports::storage::StorageError;
    use expect_test::expect_file;
    use http_api::testing::shown as as_text;
    use jiff::Timestamp;

    use super::*;

    /// The documents as people read them. After a wanted change: `UPDATE_EXPECT=1 cargo test -p read-api problems`.
    #[test]
    fn problem_documents_read_as_in_the_snapshot() {
        let at = Timestamp::UNIX_EPOCH;
        let read = [ReadBackupsError::AccountUnknown, ReadBackupsError::BackupUnknown];
        let downloaded = [
            DownloadError::Unknown,
            DownloadError::NoArchive(NoArchive::NotCompleted(BackupState::Assembling)),
            DownloadError::NoArchive(NoArchive::Expired(at)),
            DownloadError::NoArchive(NoArchive::Deleted(at)),
            DownloadError::Storage(StorageError::Unavailable("timed out".to_owned())),
        ];
        let documents = read.into_iter().map(of_read).chain(downloaded.into_iter().map(of_download));
        let documents = documents.chain([of_audit(AuditError::TooMuch)]);
        expect_file!["../tests/snapshots/problems.txt"].assert_eq(&as_text(documents));
    }
}
