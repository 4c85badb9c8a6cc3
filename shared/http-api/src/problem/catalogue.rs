//! Every kind of problem that the API answers with.

use http::StatusCode;

use super::ProblemType;

macro_rules! catalogue {
    ($($name:ident = $status:ident, $word:literal, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: ProblemType =
                ProblemType { word: $word, status: StatusCode::$status, title: $title };
        )*
        /// All of them.
        pub const ALL: &[ProblemType] = &[$($name),*];
    };
}

catalogue! {
    JSON_MALFORMED = BAD_REQUEST, "json-malformed", "The request's body is not JSON.";
    PARAMETER_INVALID = BAD_REQUEST, "parameter-invalid", "A query parameter or header has a value it cannot have.";
    TOKEN_UNSUITABLE = UNAUTHORIZED, "token-unsuitable", "The bearer token is not an ID token for this API.";
    STEP_UP = UNAUTHORIZED, "step-up", "This needs a second factor that is at most 5 minutes old.";
    FORBIDDEN = FORBIDDEN, "forbidden", "You may not do this.";
    SCHEDULE_NOT_IN_PLAN = FORBIDDEN, "schedule-not-in-plan", "The account's plan has no schedules.";
    PATH_UNKNOWN = NOT_FOUND, "path-unknown", "There is nothing at this path.";
    ACCOUNT_UNKNOWN = NOT_FOUND, "account-unknown", "The account is not set up.";
    BACKUP_UNKNOWN = NOT_FOUND, "backup-unknown", "The account has no such backup.";
    RESTORE_UNKNOWN = NOT_FOUND, "restore-unknown", "The account has no such restore.";
    IMPORT_UNKNOWN = NOT_FOUND, "import-unknown", "The account has no such import.";
    NOTIFICATION_UNKNOWN = NOT_FOUND, "notification-unknown", "The account has no such notification.";
    NO_ERRORS_FILE = NOT_FOUND, "no-errors-file", "There is no such file, since it would have no rows.";
    METHOD_UNSUPPORTED = METHOD_NOT_ALLOWED, "method-unsupported", "This path does not support this method.";
    ACCOUNT_NOT_CONNECTED = CONFLICT, "account-not-connected", "The account is not connected to a CRM.";
    BACKUP_RUNNING = CONFLICT, "backup-running", "A backup of this account is running.";
    BACKUP_ENDED = CONFLICT, "backup-ended", "The backup has already ended.";
    BACKUP_NOT_COMPLETED = CONFLICT, "backup-not-completed", "The backup has no archive.";
    PORTAL_DIFFERS = CONFLICT, "portal-differs", "It belongs to another CRM portal than the account.";
    PLAN_NOT_READY = CONFLICT, "plan-not-ready", "The restore is still being planned.";
    RESTORE_ALREADY_CONFIRMED = CONFLICT, "restore-already-confirmed", "The restore has already been confirmed.";
    RESTORE_RUNNING = CONFLICT, "restore-running", "A restore of this account is running.";
    RESTORE_NOT_RUNNING = CONFLICT, "restore-not-running", "The restore is not running.";
    RESTORE_ENDED = CONFLICT, "restore-ended", "The restore has already ended.";
    RESTORE_NOT_ENDED = CONFLICT, "restore-not-ended", "The restore has not ended yet.";
    NOTHING_TO_RESTORE = CONFLICT, "nothing-to-restore", "There is nothing to restore.";
    UNDO_OF_UNDO = CONFLICT, "undo-of-undo", "The restore itself undoes another one.";
    UNDO_EXISTS = CONFLICT, "undo-exists", "Another restore undoes this one already.";
    ARCHIVE_EXPIRED = GONE, "archive-expired", "The backup's archive has expired.";
    ARCHIVE_DELETED = GONE, "archive-deleted", "The backup's archive has been deleted.";
    PLAN_EXPIRED = GONE, "plan-expired", "The restore's plan has expired.";
    UNDO_EXPIRED = GONE, "undo-expired", "The restore can no longer be undone.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "body-too-large", "The request's body is too large.";
    INPUT_INVALID = UNPROCESSABLE_ENTITY, "input-invalid", "The request's body has fields that it cannot have so.";
    IDEMPOTENCY_KEY_TAKEN = UNPROCESSABLE_ENTITY, "idempotency-key-taken", "The key belongs to another request.";
    BASE_URL_NOT_ALLOWED = UNPROCESSABLE_ENTITY, "base-url-not-allowed",
        "This deployment does not connect to that CRM address.";
    WEBHOOK_NOT_ALLOWED = UNPROCESSABLE_ENTITY, "webhook-not-allowed", "Webhooks cannot be sent to that URL.";
    EXPORT_TOO_LARGE = UNPROCESSABLE_ENTITY, "export-too-large", "There is too much to export at once.";
    CRM_TOKEN_REFUSED = UNPROCESSABLE_ENTITY, "crm-token-refused", "The CRM refuses the token.";
    CRM_SCOPES_MISSING = UNPROCESSABLE_ENTITY, "crm-scopes-missing", "The CRM token lacks scopes.";
    BACKUP_TOO_EARLY = TOO_MANY_REQUESTS, "backup-too-early", "The account's plan allows the next backup later.";
    INTERNAL = INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.";
    CRM_ANSWER_UNUSABLE = BAD_GATEWAY, "crm-answer-unusable", "The CRM gave an answer that cannot be used.";
    UNAVAILABLE = SERVICE_UNAVAILABLE, "unavailable", "The service cannot answer at the moment.";
    CRM_LIMIT_USED_UP = SERVICE_UNAVAILABLE, "crm-limit-used-up", "The CRM's limit of calls is used up.";
    CRM_UNAVAILABLE = SERVICE_UNAVAILABLE, "crm-unavailable", "The CRM does not answer.";
}
