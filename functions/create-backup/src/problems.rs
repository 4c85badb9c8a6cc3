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
