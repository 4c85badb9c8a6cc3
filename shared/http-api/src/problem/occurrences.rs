//! Problems that several functions answer with.

use std::fmt::Display;

use domain::Failure;
use domain::backup::BackupState;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use jiff::Timestamp;
use serde_json::json;

use super::{FieldFault, Problem, catalogue};
use crate::representation::shown;

/// The most fields that `detail` names.
const MOST_NAMED: usize = 10;

/// Seconds until a newer version, which can read the record, may be deployed: a deployment takes minutes.
const UNREADABLE_RETRY_AFTER: u64 = 60;

/// The most faults in one document.
const MOST_FAULTS: usize = 100;

impl Problem {
    /// The latest backups failed because of `failure`, so the next one may start at `until`.
    pub fn backups_paused(failure: &Failure, until: Timestamp) -> Self {
        let detail = format!(
            "The last backups failed, all for the same reason: {} Backups pause until {until:.0}. To go on earlier, \
             connect the account again.",
            failure.sentence
        );
        let reason = json!({ "kind": failure.kind.as_str(), "sentence": failure.sentence });
        let next_allowed_at = shown(until).to_string();
        Self::new(catalogue::BACKUPS_PAUSED, detail).member("nextAllowedAt", next_allowed_at).member("failure", reason)
    }

    /// A temporary failure. Its cause is logged and not shown to the caller.
    pub fn unavailable(cause: &(impl Display + ?Sized)) -> Self {
        let detail = "The request failed, or its answer was lost. Send it again in a moment.";
        Self::new(catalogue::UNAVAILABLE, detail).retry_after(1).caused_by(cause)
    }

    /// A stored record has a format that this version of the service does not know, most likely because a newer version
    /// is being deployed. The cause is logged.
    pub fn unreadable(cause: &(impl Display + ?Sized)) -> Self {
        let detail = "This version of the service cannot read the stored record. This happens while a newer version is \
                      being deployed. Send the request again in a few minutes. If it still fails, the operator finds \
                      the cause in the log by `instance`.";
        Self::new(catalogue::UNAVAILABLE, detail).retry_after(UNREADABLE_RETRY_AFTER).caused_by(cause)
    }

    /// A bug or an unexpected failure. Its cause is logged and not shown to the caller.
    pub fn internal(cause: &(impl Display + ?Sized)) -> Self {
        let detail =
            "The service failed to process the request. Its operator finds the cause in the log by `instance`.";
        Self::new(catalogue::INTERNAL, detail).caused_by(cause)
    }

    /// No route has the path.
    pub fn path_unknown() -> Self {
        Self::new(catalogue::PATH_UNKNOWN, "This path does not exist. GET /openapi.json lists all paths.")
    }

    /// The account of the path does not exist.
    pub fn account_unknown() -> Self {
        let detail = "The account does not exist. An operator creates it with PUT /accounts/{accountId}.";
        Self::new(catalogue::ACCOUNT_UNKNOWN, detail)
    }

    /// The account of the path has no such backup.
    pub fn backup_unknown() -> Self {
        Self::new(
            catalogue::BACKUP_UNKNOWN,
            "The account has no backup with this id. List its backups to see their ids.",
        )
    }

    /// The body has invalid fields. The document contains the first [`MOST_FAULTS`].
    pub fn input_invalid(mut errors: Vec<FieldFault>) -> Self {
        let named: Vec<_> = errors.iter().take(MOST_NAMED).map(|error| error.field.as_str()).collect();
        let rest = errors.len() - named.len();
        let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
        let detail = format!("The body has invalid fields: {}{rest}.", named.join(", "));
        errors.truncate(MOST_FAULTS);
        let mut problem = Self::new(catalogue::INPUT_INVALID, detail);
        problem.0.errors = errors;
        problem
    }

    /// The request has query parameters other than `known`.
    pub fn parameters_unknown(unknown: &[&str], known: &[&str]) -> Self {
        let known = if known.is_empty() {
            "This path has none.".to_owned()
        } else {
            format!("Known are: {}.", known.join(", "))
        };
        let detail = format!("The request has an unknown query parameter. {known}");
        let problem = Self::new(catalogue::PARAMETER_INVALID, detail);
        unknown.iter().take(MOST_NAMED).fold(problem, |problem, name| {
            let name: String = name.chars().take(64).collect();
            problem.fault(name, format!("This parameter does not exist. {known}"))
        })
    }

    /// A query parameter or header has an invalid value.
    pub fn parameter_invalid(name: &str, detail: impl Into<String>) -> Self {
        let problem = Self::new(catalogue::PARAMETER_INVALID, format!("The value of {name} is invalid."));
        problem.fault(name, detail)
    }

    /// The idempotency key belongs to another request.
    pub fn idempotency_key_taken() -> Self {
        let detail = "Another request in the last 24 hours had this Idempotency-Key. Nothing was changed. Use a new \
                      key for each request, and repeat a key only with the same path and body.";
        Self::new(catalogue::IDEMPOTENCY_KEY_TAKEN, detail).fault("Idempotency-Key", "It belongs to another request.")
    }

    /// This API does not accept the bearer token (RFC 6750).
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
            "The account has no import with this id. A restore becomes an import with the same id when it has ended. \
             List the account's imports to see their ids.",
        )
    }

    /// The account of the path has no such notification.
    pub fn notification_unknown() -> Self {
        Self::new(
            catalogue::NOTIFICATION_UNKNOWN,
            "The account has no notification with this id. Notifications are deleted after 90 days.",
        )
    }

    /// The account has no connection to a CRM.
    pub fn account_not_connected() -> Self {
        Self::new(
            catalogue::ACCOUNT_NOT_CONNECTED,
            "The account is not connected to a CRM. First set crmConnection with PUT /accounts/{accountId}.",
        )
    }

    /// A backup in this state has no archive.
    pub fn backup_not_completed(state: BackupState) -> Self {
        let detail = match state {
            BackupState::Failed => "The backup failed and has no archive. Its `failure` contains the reason.",
            BackupState::Cancelled => "The backup was cancelled and has no archive.",
            _ => {
                "The backup is still running and has no archive yet. Wait until its state is `completed`, or cancel it."
            }
        };
        Self::new(catalogue::BACKUP_NOT_COMPLETED, detail)
    }

    /// The archive expired at that time.
    pub fn archive_expired(at: Timestamp) -> Self {
        let detail = "The archive was removed after 14 days. Start a new backup.";
        Self::new(catalogue::ARCHIVE_EXPIRED, detail).member("expiredAt", shown(at).to_string())
    }

    /// A super admin deleted the archive at that time.
    pub fn archive_deleted(at: Timestamp) -> Self {
        let detail =
            "A super admin of the account has deleted the archive; the audit log names them. Start a new backup.";
        Self::new(catalogue::ARCHIVE_DELETED, detail).member("deletedAt", shown(at).to_string())
    }
}
