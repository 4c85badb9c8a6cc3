//! Which problem document each error of the use cases becomes.

use lambda::problem::{Problem, catalogue};
use workflows::cancel_backup::CancelError;
use workflows::create_backup::CreateError;

pub(crate) fn of_create(error: CreateError) -> Problem {
    match error {
        CreateError::AccountUnknown => Problem::account_unknown(),
        CreateError::NotConnected => Problem::account_not_connected(),
        CreateError::Running(running) => Problem::new(
            catalogue::BACKUP_RUNNING,
            format!("Backup {running} of this account is running. Wait until it has ended, or cancel it."),
        )
        .member("runningBackupId", running.as_str()),
        CreateError::Ledger(error) => error.into(),
    }
}

pub(crate) fn of_cancel(error: CancelError) -> Problem {
    match error {
        CancelError::Unknown => Problem::backup_unknown(),
        CancelError::Ended(backup) => {
            let ended = match backup.failure {
                Some(_) => "It has failed",
                None => "It is completed",
            };
            Problem::new(catalogue::BACKUP_ENDED, format!("{ended} and cannot be cancelled any more."))
        }
        CancelError::Ledger(error) => error.into(),
    }
}
