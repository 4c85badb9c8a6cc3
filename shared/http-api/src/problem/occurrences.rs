//! Problems that several places answer with, each worded once.

use std::fmt::Display;

use domain::backup::BackupState;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use jiff::Timestamp;

use super::{FieldFault, Problem, catalogue};
use crate::representation::shown;

/// Fields that one sentence names.
const MOST_NAMED: usize = 10;

/// After so many seconds a request may find what this version could not read: a deployment takes minutes.
const UNREADABLE_RETRY_AFTER: u64 = 60;

/// Faults that one document tells.
const MOST_FAULTS: usize = 100;

impl Problem {
    /// A failure that the caller can only wait out. What it was goes to the log and not to the caller.
    pub fn unavailable(cause: &(impl Display + ?Sized)) -> Self {
        let detail = "The request was not carried out, or its answer got lost. Send it again in a moment.";
        Self::new(catalogue::UNAVAILABLE, detail).retry_after(1).caused_by(cause)
    }

    /// Something stored is in a form that this version of the service does not know, most likely because a later one is being
    /// deployed.
    pub fn unreadable(cause: &(impl Display + ?Sized)) -> Self {
        let detail = "What is asked for is stored in a form that this version of the service cannot read yet, as happens while \
                      a later one is being deployed. Send the request again in a few minutes. If that does not help, its \
                      operator finds the cause in the log by `instance`.";
        Self::new(catalogue::UNAVAILABLE, detail).retry_after(UNREADABLE_RETRY_AFTER).caused_by(cause)
    }

    /// A fault of ours. What it was goes to the log and not to the caller.
    pub fn internal(cause: &(impl Display + ?Sized)) -> Self {
        let detail =
            "The request failed through a fault of the service. Its operator finds it in the log by `instance`.";
        Self::new(catalogue::INTERNAL, detail).caused_by(cause)
    }

    /// Nothing is at the path.
    pub fn path_unknown() -> Self {
        Self::new(catalogue::PATH_UNKNOWN, "There is nothing at this path. GET /openapi.json lists what there is.")
    }

    /// Nobody has created the account of the path.
    pub fn account_unknown() -> Self {
        let detail = "The account is not set up here. An operator creates it with PUT /accounts/{accountId}.";
        Self::new(catalogue::ACCOUNT_UNKNOWN, detail)
    }

    /// The account of the path has no such backup.
    pub fn backup_unknown() -> Self {
        Self::new(
            catalogue::BACKUP_UNKNOWN,
            "The account has no backup with this id. List its backups to see their ids.",
        )
    }

    /// The body is JSON but has faults. The first [`MOST_FAULTS`] are told.
    pub fn input_invalid(mut errors: Vec<FieldFault>) -> Self {
        let named: Vec<_> = errors.iter().take(MOST_NAMED).map(|error| error.field.as_str()).collect();
        let rest = errors.len() - named.len();
        let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
        let detail = format!("The body is not accepted because of: {}{rest}.", named.join(", "));
        errors.truncate(MOST_FAULTS);
        let mut problem = Self::new(catalogue::INPUT_INVALID, detail);
        problem.0.errors = errors;
        problem
    }

    /// The request has query parameters that it cannot have; it can have `known`.
    pub fn parameters_unknown(unknown: &[&str], known: &[&str]) -> Self {
        let known =
            if known.is_empty() { "It takes none.".to_owned() } else { format!("It takes {}.", known.join(", ")) };
        let detail = format!("The request has a query parameter that there is not here. {known}");
        let problem = Self::new(catalogue::PARAMETER_INVALID, detail);
        unknown.iter().take(MOST_NAMED).fold(problem, |problem, name| {
            let name: String = name.chars().take(64).collect();
            problem.fault(name, format!("There is no such parameter here. {known}"))
        })
    }

    /// A query parameter or header has a value that it cannot have.
    pub fn parameter_invalid(name: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(catalogue::PARAMETER_INVALID, format!("The value of {name} is not accepted."));
        problem.fault(name, detail)
    }

    /// The request's key was used for another request.
    pub fn idempotency_key_taken() -> Self {
        let detail = "Another request of the last 24 hours was sent with this Idempotency-Key. Nothing was done. Send each \
                      request with a key of its own, and the same key only with the same path and body.";
        Self::new(catalogue::IDEMPOTENCY_KEY_TAKEN, detail).fault("Idempotency-Key", "It belongs to another request.")
    }

    /// The bearer token is none that this API takes (RFC 6750).
    pub fn token_unsuitable(detail: &'static str) -> Self {
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        Self::new(catalogue::TOKEN_UNSUITABLE, detail).header(WWW_AUTHENTICATE, challenge)
    }

    /// The account of the path has no such restore.
    pub fn restore_unknown() -> Self {
        Self::new(
            catalogue::RESTORE_UNKNOWN,
            "The account has no restore with this id. List its restores to see their ids.",
        )
    }

    /// The account of the path has no such import.
    pub fn import_unknown() -> Self {
        Self::new(
            catalogue::IMPORT_UNKNOWN,
            "The account has no import with this id. A restore becomes an import, with the same id, once it has ended; \
             list the account's imports to see their ids.",
        )
    }

    /// The account of the path has no such notification.
    pub fn notification_unknown() -> Self {
        Self::new(
            catalogue::NOTIFICATION_UNKNOWN,
            "The account has no notification with this id, or not any more: they are kept for 90 days.",
        )
    }

    /// The account has no connection to a CRM.
    pub fn account_not_connected() -> Self {
        Self::new(
            catalogue::ACCOUNT_NOT_CONNECTED,
            "The account has no CRM connection. Set crmConnection with PUT /accounts/{accountId} first.",
        )
    }

    /// The backup in this state has no archive.
    pub fn backup_not_completed(state: BackupState) -> Self {
        let detail = match state {
            BackupState::Failed => "The backup failed and has no archive. Its `failure` says why.",
            BackupState::Cancelled => "The backup was cancelled and has no archive.",
            _ => {
                "The backup is still running and has no archive yet. Wait until its state is `completed`, or cancel it."
            }
        };
        Self::new(catalogue::BACKUP_NOT_COMPLETED, detail)
    }

    /// The backup's archive expired at that time.
    pub fn archive_expired(at: Timestamp) -> Self {
        let detail = "The archive was kept for 14 days and has been removed. Make a new backup.";
        Self::new(catalogue::ARCHIVE_EXPIRED, detail).member("expiredAt", shown(at).to_string())
    }

    /// Somebody deleted the backup's archive at that time.
    pub fn archive_deleted(at: Timestamp) -> Self {
        let detail = "A super admin of the account has deleted the archive; the audit log says who. Make a new backup.";
        Self::new(catalogue::ARCHIVE_DELETED, detail).member("deletedAt", shown(at).to_string())
    }
}
