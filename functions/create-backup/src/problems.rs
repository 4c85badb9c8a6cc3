//! Problem documents for the errors of the use cases.

use http_api::problem::{Problem, catalogue};
use http_api::representation::shown;
use jiff::Timestamp;
use workflows::backup::cancel::CancelError;
use workflows::backup::create::CreateError;
use workflows::backup::delete::DeleteError;

pub(crate) fn of_create(error: CreateError, now: Timestamp) -> Problem {
    match error {
        CreateError::AccountUnknown => Problem::account_unknown(),
        CreateError::NotConnected => Problem::account_not_connected(),
        CreateError::Running { running, next_at } => {
            let problem = Problem::new(
                catalogue::BACKUP_RUNNING,
                format!("Backup {running} of this account is running. Wait until it has ended, or cancel it."),
            )
            .member("runningBackupId", running.as_str());
            // A time in the past would suggest an immediate retry.
            if next_at > now { problem.member("nextAllowedAt", shown(next_at).to_string()) } else { problem }
        }
        CreateError::TooEarly(next_at) => {
            let left = next_at.duration_since(now).as_secs().max(0);
            Problem::new(
                catalogue::BACKUP_TOO_EARLY,
                format!("The account's plan allows the next backup at {next_at:.0}. Try again then."),
            )
            .member("nextAllowedAt", shown(next_at).to_string())
            .retry_after(u64::try_from(left).unwrap_or(0) + 1)
        }
        CreateError::Paused { until, failure } => Problem::backups_paused(&failure, until),
        CreateError::KeyTaken => Problem::idempotency_key_taken(),
        CreateError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_delete(error: DeleteError) -> Problem {
    match error {
        DeleteError::Unknown => Problem::backup_unknown(),
        DeleteError::NotCompleted(state) => Problem::backup_not_completed(state),
        DeleteError::Expired(at) => Problem::archive_expired(at),
        DeleteError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_cancel(error: CancelError) -> Problem {
    match error {
        CancelError::Unknown => Problem::backup_unknown(),
        CancelError::Ended(backup) => {
            let ended = match backup.failure {
                Some(_) => "The backup has failed",
                None => "The backup is completed",
            };
            Problem::new(catalogue::BACKUP_ENDED, format!("{ended} and can no longer be cancelled."))
        }
        CancelError::Ledger(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use domain::backup::BackupState;
    use domain::ids::BackupId;
    use domain::{Failure, FailureKind};
    use expect_test::expect_file;
    use http_api::testing::shown as as_text;
    use jiff::SignedDuration;

    use super::*;

    /// The documents as people read them. After a wanted change: `UPDATE_EXPECT=1 cargo test -p create-backup problems`.
    #[test]
    fn problem_documents_read_as_in_the_snapshot() {
        let now = Timestamp::UNIX_EPOCH;
        let (running, next_at) = (BackupId::new(now, [7; 10]), now + SignedDuration::from_hours(1));
        let created = [
            CreateError::AccountUnknown,
            CreateError::NotConnected,
            CreateError::Running { running: running.clone(), next_at },
            CreateError::Running { running, next_at: now },
            CreateError::TooEarly(next_at),
            CreateError::Paused {
                until: next_at,
                failure: Failure::new(FailureKind::CrmTokenRefused, "Connect again."),
            },
            CreateError::KeyTaken,
        ];
        let deleted =
            [DeleteError::Unknown, DeleteError::NotCompleted(BackupState::Exporting), DeleteError::Expired(now)];
        let documents = created.into_iter().map(|error| of_create(error, now));
        let documents = documents.chain(deleted.into_iter().map(of_delete)).chain([of_cancel(CancelError::Unknown)]);
        expect_file!["../tests/snapshots/problems.txt"].assert_eq(&as_text(documents));
    }
}
