//! All types of problems. A `type` and its status never change; titles may.

use http::StatusCode;

use super::ProblemType;

macro_rules! catalogue {
    ($($name:ident = $status:ident, $slug:literal, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: ProblemType =
                ProblemType { slug: $slug, status: StatusCode::$status, title: $title };
        )*
        /// All types of problems.
        pub const ALL: &[ProblemType] = &[$($name),*];
    };
}

catalogue! {
    JSON_MALFORMED = BAD_REQUEST, "json-malformed", "The request body is not a JSON object.";
    PARAMETER_INVALID = BAD_REQUEST, "parameter-invalid", "A query parameter or header is invalid.";
    TOKEN_UNSUITABLE = UNAUTHORIZED, "token-unsuitable", "The bearer token is not an ID token for this API.";
    STEP_UP = UNAUTHORIZED, "step-up", "A sign-in with a second factor in the last 5 minutes is required.";
    FORBIDDEN = FORBIDDEN, "forbidden", "You are not allowed to do this.";
    SCHEDULE_NOT_IN_PLAN = FORBIDDEN, "schedule-not-in-plan", "The account's plan does not include schedules.";
    PATH_UNKNOWN = NOT_FOUND, "path-unknown", "This path does not exist.";
    ACCOUNT_UNKNOWN = NOT_FOUND, "account-unknown", "The account does not exist.";
    BACKUP_UNKNOWN = NOT_FOUND, "backup-unknown", "The account has no such backup.";
    RESTORE_UNKNOWN = NOT_FOUND, "restore-unknown", "The account has no such restore.";
    IMPORT_UNKNOWN = NOT_FOUND, "import-unknown", "The account has no such import.";
    NOTIFICATION_UNKNOWN = NOT_FOUND, "notification-unknown", "The account has no such notification.";
    NO_ERRORS_FILE = NOT_FOUND, "no-errors-file", "The file does not exist.";
    METHOD_UNSUPPORTED = METHOD_NOT_ALLOWED, "method-unsupported", "This path does not support this method.";
    ACCOUNT_NOT_CONNECTED = CONFLICT, "account-not-connected", "The account is not connected to a CRM.";
    BACKUP_RUNNING = CONFLICT, "backup-running", "A backup of this account is running.";
    BACKUP_ENDED = CONFLICT, "backup-ended", "The backup has already ended.";
    BACKUP_NOT_COMPLETED = CONFLICT, "backup-not-completed", "The backup has no archive.";
    BACKUPS_PAUSED = CONFLICT, "backups-paused", "Backups of this account are paused.";
    PORTAL_DIFFERS = CONFLICT, "portal-differs", "The CRM portal differs from the account's.";
    PLAN_NOT_READY = CONFLICT, "plan-not-ready", "The restore is still being planned.";
    TOO_MANY_PLANS = CONFLICT, "too-many-plans", "Too many plans of this account are being made.";
    RESTORE_ALREADY_CONFIRMED = CONFLICT, "restore-already-confirmed", "The restore has already been confirmed.";
    RESTORE_RUNNING = CONFLICT, "restore-running", "A restore of this account is running.";
    RESTORE_NOT_RUNNING = CONFLICT, "restore-not-running", "The restore is not running.";
    RESTORE_ENDED = CONFLICT, "restore-ended", "The restore has already ended.";
    RESTORE_NOT_ENDED = CONFLICT, "restore-not-ended", "The restore has not ended yet.";
    NOTHING_TO_RESTORE = CONFLICT, "nothing-to-restore", "There is nothing to restore.";
    UNDO_OF_UNDO = CONFLICT, "undo-of-undo", "The restore is itself an undo.";
    UNDO_EXISTS = CONFLICT, "undo-exists", "Another restore already undoes this one.";
    ARCHIVE_EXPIRED = GONE, "archive-expired", "The backup's archive has expired.";
    ARCHIVE_DELETED = GONE, "archive-deleted", "The backup's archive has been deleted.";
    PLAN_EXPIRED = GONE, "plan-expired", "The restore's plan has expired.";
    UNDO_EXPIRED = GONE, "undo-expired", "The restore can no longer be undone.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "body-too-large", "The request body is too large.";
    INPUT_INVALID = UNPROCESSABLE_ENTITY, "input-invalid", "The request body has invalid fields.";
    IDEMPOTENCY_KEY_TAKEN = UNPROCESSABLE_ENTITY, "idempotency-key-taken",
        "The idempotency key belongs to another request.";
    BASE_URL_NOT_ALLOWED = UNPROCESSABLE_ENTITY, "base-url-not-allowed",
        "This deployment does not connect to that base URL.";
    WEBHOOK_NOT_ALLOWED = UNPROCESSABLE_ENTITY, "webhook-not-allowed", "Webhooks cannot be sent to that URL.";
    EXPORT_TOO_LARGE = UNPROCESSABLE_ENTITY, "export-too-large", "The audit log is too large to export at once.";
    CRM_TOKEN_REFUSED = UNPROCESSABLE_ENTITY, "crm-token-refused", "The CRM refuses the token.";
    CRM_SCOPES_MISSING = UNPROCESSABLE_ENTITY, "crm-scopes-missing", "The CRM token lacks scopes.";
    BACKUP_TOO_EARLY = TOO_MANY_REQUESTS, "backup-too-early", "The account's plan does not allow a backup yet.";
    INTERNAL = INTERNAL_SERVER_ERROR, "internal", "The service failed.";
    CRM_ANSWER_UNUSABLE = BAD_GATEWAY, "crm-answer-unusable", "The CRM's answer is unusable.";
    UNAVAILABLE = SERVICE_UNAVAILABLE, "unavailable", "The service is temporarily unavailable.";
    CRM_LIMIT_USED_UP = SERVICE_UNAVAILABLE, "crm-limit-used-up", "The CRM's call limit is used up.";
    CRM_UNAVAILABLE = SERVICE_UNAVAILABLE, "crm-unavailable", "The CRM does not answer.";
}
