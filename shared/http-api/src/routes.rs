//! The API's routes: one table for the handlers, the OpenAPI document, and the 404 and 405 answers.

use domain::ids::{BackupId, NotificationId, RestoreId};
use http::Method;
use http::header::{ALLOW, HeaderValue};

use crate::problem::{Problem, catalogue};

/// The API's description, an `OpenAPI` document. Each of its operations has a route here.
pub const DESCRIPTION: &str = include_str!("../openapi.json");

/// The `ETag` of [`DESCRIPTION`]: an FNV-1a hash of its bytes, which differs between versions.
pub fn description_etag() -> String {
    let hash = DESCRIPTION
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{hash:016x}\"")
}

/// An operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    CreateBackup,
    ListBackups,
    ReadBackup,
    CancelBackup,
    DownloadBackup,
    /// Deletes the archive before it expires; the backup stays listed.
    DeleteBackup,
    ReadSchedule,
    ChangeSchedule,
    CreateRestore,
    ListRestores,
    ReadRestore,
    /// Links to the list of records and values that the plan leaves out.
    DownloadSkipped,
    ConfirmRestore,
    /// Gives up a plan that is not confirmed.
    CancelRestore,
    /// Ends a restore that writes.
    StopRestore,
    /// Plans a restore that reverts this one.
    UndoRestore,
    /// Lists restores that have written and ended.
    ListImports,
    ReadImport,
    /// Links to the list of records and values that were not restored.
    DownloadErrors,
    ListNotifications,
    ReadNotification,
    /// Marks a notification as read or unread.
    MarkNotification,
    ListAuditLog,
    /// Links to the audit log as CSV.
    ExportAuditLog,
    ReadAccount,
    /// Creates an account or changes its settings.
    ChangeAccount,
    /// Reads [`DESCRIPTION`].
    ReadDescription,
}

impl Operation {
    /// The name in the audit log: the `operationId` of the description, with dashes.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::CreateBackup => "create-backup",
            Self::ListBackups => "list-backups",
            Self::ReadBackup => "read-backup",
            Self::CancelBackup => "cancel-backup",
            Self::DownloadBackup => "download-backup",
            Self::DeleteBackup => "delete-backup",
            Self::ReadSchedule => "read-schedule",
            Self::ChangeSchedule => "change-schedule",
            Self::CreateRestore => "create-restore",
            Self::ListRestores => "list-restores",
            Self::ReadRestore => "read-restore",
            Self::DownloadSkipped => "download-skipped",
            Self::ConfirmRestore => "confirm-restore",
            Self::CancelRestore => "cancel-restore",
            Self::StopRestore => "stop-restore",
            Self::UndoRestore => "undo-restore",
            Self::ListImports => "list-imports",
            Self::ReadImport => "read-import",
            Self::DownloadErrors => "download-errors",
            Self::ListNotifications => "list-notifications",
            Self::ReadNotification => "read-notification",
            Self::MarkNotification => "mark-notification",
            Self::ListAuditLog => "list-audit-log",
            Self::ExportAuditLog => "export-audit-log",
            Self::ReadAccount => "read-account",
            Self::ChangeAccount => "change-account",
            Self::ReadDescription => "read-description",
        }
    }

    /// The names of all query parameters.
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::ListBackups | Self::ListRestores | Self::ListImports | Self::ListNotifications => {
                &["limit", "cursor"]
            }
            Self::ListAuditLog => &["limit", "cursor", "action", "person", "outcome", "from", "until", "strangers"],
            Self::ExportAuditLog => &["action", "person", "outcome", "from", "until", "strangers"],
            _ => &[],
        }
    }

    /// Whether every request is audited, successful or not: true for operations that change data (except read marks) or
    /// hand out a file. Requests for other operations are audited only if access is denied.
    pub const fn is_audited(self) -> bool {
        matches!(
            self,
            Self::CreateBackup
                | Self::CancelBackup
                | Self::DownloadBackup
                | Self::DeleteBackup
                | Self::ChangeSchedule
                | Self::CreateRestore
                | Self::DownloadSkipped
                | Self::ConfirmRestore
                | Self::CancelRestore
                | Self::StopRestore
                | Self::UndoRestore
                | Self::DownloadErrors
                | Self::ExportAuditLog
                | Self::ChangeAccount
        )
    }
}

/// A method, a path and their operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub method: Method,
    /// A segment in braces is a parameter.
    pub path: &'static str,
    pub operation: Operation,
}

const fn route(method: Method, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation }
}

/// All routes of the API.
pub static ROUTES: [Route; 27] = [
    route(Method::POST, "/accounts/{accountId}/backups", Operation::CreateBackup),
    route(Method::GET, "/accounts/{accountId}/backups", Operation::ListBackups),
    route(Method::GET, "/accounts/{accountId}/backups/{backupId}", Operation::ReadBackup),
    route(Method::POST, "/accounts/{accountId}/backups/{backupId}/cancel", Operation::CancelBackup),
    route(Method::DELETE, "/accounts/{accountId}/backups/{backupId}", Operation::DeleteBackup),
    route(Method::GET, "/accounts/{accountId}/backups/{backupId}/download", Operation::DownloadBackup),
    route(Method::GET, "/accounts/{accountId}/backup-schedule", Operation::ReadSchedule),
    route(Method::PUT, "/accounts/{accountId}/backup-schedule", Operation::ChangeSchedule),
    route(Method::POST, "/accounts/{accountId}/restores", Operation::CreateRestore),
    route(Method::GET, "/accounts/{accountId}/restores", Operation::ListRestores),
    route(Method::GET, "/accounts/{accountId}/restores/{restoreId}", Operation::ReadRestore),
    route(Method::GET, "/accounts/{accountId}/restores/{restoreId}/skipped.csv", Operation::DownloadSkipped),
    route(Method::POST, "/accounts/{accountId}/restores/{restoreId}/confirm", Operation::ConfirmRestore),
    route(Method::POST, "/accounts/{accountId}/restores/{restoreId}/cancel", Operation::CancelRestore),
    route(Method::POST, "/accounts/{accountId}/restores/{restoreId}/stop", Operation::StopRestore),
    route(Method::POST, "/accounts/{accountId}/restores/{restoreId}/undo", Operation::UndoRestore),
    route(Method::GET, "/accounts/{accountId}/imports", Operation::ListImports),
    route(Method::GET, "/accounts/{accountId}/imports/{importId}", Operation::ReadImport),
    route(Method::GET, "/accounts/{accountId}/imports/{importId}/errors.csv", Operation::DownloadErrors),
    route(Method::GET, "/accounts/{accountId}/notifications", Operation::ListNotifications),
    route(Method::GET, "/accounts/{accountId}/notifications/{notificationId}", Operation::ReadNotification),
    route(Method::PATCH, "/accounts/{accountId}/notifications/{notificationId}", Operation::MarkNotification),
    route(Method::GET, "/accounts/{accountId}/audit-log", Operation::ListAuditLog),
    route(Method::GET, "/accounts/{accountId}/audit-log.csv", Operation::ExportAuditLog),
    route(Method::GET, "/accounts/{accountId}", Operation::ReadAccount),
    route(Method::PUT, "/accounts/{accountId}", Operation::ChangeAccount),
    route(Method::GET, "/openapi.json", Operation::ReadDescription),
];

/// The route of a request, with the parameters of its path as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchedRoute<'a> {
    pub operation: Operation,
    /// Empty if the path names no account.
    pub account: &'a str,
    item: &'a str,
}

impl MatchedRoute<'_> {
    /// The id of the backup in the path.
    ///
    /// # Errors
    /// A 404 problem if the id is invalid: the account has no such backup.
    pub fn backup_id(&self) -> Result<BackupId, Problem> {
        BackupId::parse(self.item).map_err(|_| Problem::backup_unknown())
    }

    /// The id of the restore in the path.
    ///
    /// # Errors
    /// A 404 problem if the id is invalid: the account has no such restore.
    pub fn restore_id(&self) -> Result<RestoreId, Problem> {
        RestoreId::parse(self.item).map_err(|_| Problem::restore_unknown())
    }

    /// The id of the notification in the path.
    ///
    /// # Errors
    /// A 404 problem if the id is invalid: the account has no such notification.
    pub fn notification_id(&self) -> Result<NotificationId, Problem> {
        NotificationId::parse(self.item).map_err(|_| Problem::notification_unknown())
    }

    /// The id in the path besides the account's. None if the text there does not have the form of an id.
    pub fn item_id(&self) -> Option<&str> {
        // All ids but those of accounts have one form.
        Some(self.item).filter(|item| BackupId::parse(item).is_ok())
    }

    /// The id of the import in the path, which is the id of its restore.
    ///
    /// # Errors
    /// A 404 problem if the id is invalid: the account has no such import.
    pub fn import_id(&self) -> Result<RestoreId, Problem> {
        RestoreId::parse(self.item).map_err(|_| Problem::import_unknown())
    }
}

/// Finds a request's route.
///
/// # Errors
/// A 404 problem if no route has the path; a 405 problem with `Allow` if the path only has other methods.
pub fn find<'a>(method: &Method, path: &'a str) -> Result<MatchedRoute<'a>, Problem> {
    let mut allowed = Vec::new();
    // HEAD is answered like GET, without the body.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    for route in &ROUTES {
        let Some((account, item)) = match_path(route.path, path) else { continue };
        if route.method == *method {
            return Ok(MatchedRoute { operation: route.operation, account, item });
        }
        allowed.push(route.method.as_str());
        allowed.extend((route.method == Method::GET).then_some("HEAD"));
    }
    if allowed.is_empty() {
        return Err(Problem::path_unknown());
    }
    let allowed = allowed.join(", ");
    let problem = Problem::new(catalogue::METHOD_UNSUPPORTED, format!("This path supports {allowed} only."));
    Err(match HeaderValue::from_str(&allowed) {
        Ok(value) => problem.header(ALLOW, value),
        Err(_) => problem,
    })
}

/// The account's id and the other id in `path`, if it matches.
fn match_path<'a>(template: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut account, mut item) = ("", "");
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some((account, item)),
            (Some("{accountId}"), Some(segment)) if !segment.is_empty() => account = segment,
            (Some(parameter), Some(segment)) if parameter.starts_with('{') && !segment.is_empty() => item = segment,
            (Some(literal), Some(segment)) if literal == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_with_its_parameters() {
        for route in &ROUTES {
            let mut path = route.path.replace("{accountId}", "42");
            for parameter in ["{backupId}", "{restoreId}", "{importId}", "{notificationId}"] {
                path = path.replace(parameter, "i");
            }
            assert!(!path.contains('{'), "{path}");
            let found = find(&route.method, &path).expect("a route");
            assert_eq!(found.operation, route.operation);
            assert_eq!(found.account, if route.path.contains("{accountId}") { "42" } else { "" });
            assert_eq!(found.item, if path.split('/').any(|segment| segment == "i") { "i" } else { "" });
        }
    }

    #[test]
    fn an_unknown_path_gets_404_and_a_wrong_method_405() {
        let paths =
            ["", "/", "/accounts", "/accounts/", "/accounts//backups", "/accounts/1/backups/", "/Accounts/1", "/x/y"];
        for path in paths {
            let problem = find(&Method::GET, path).expect_err("no route");
            assert_eq!(problem.kind(), catalogue::PATH_UNKNOWN, "{path}");
        }
        let problem = find(&Method::DELETE, "/accounts/1/backups").expect_err("no such method");
        assert_eq!(problem.kind(), catalogue::METHOD_UNSUPPORTED);
        assert_eq!(problem.headers().get(ALLOW).expect("an Allow header"), "POST, GET, HEAD");
    }

    #[test]
    fn an_invalid_id_is_unknown() {
        let found = find(&Method::GET, "/accounts/1/backups/..").expect("a route");
        assert_eq!(found.backup_id().expect_err("malformed").kind(), catalogue::BACKUP_UNKNOWN);
        let found = find(&Method::GET, "/accounts/1/restores/0").expect("a route");
        assert_eq!(found.restore_id().expect_err("malformed").kind(), catalogue::RESTORE_UNKNOWN);
        let found = find(&Method::GET, "/accounts/1/imports/x/errors.csv").expect("a route");
        assert_eq!(found.import_id().expect_err("malformed").kind(), catalogue::IMPORT_UNKNOWN);
    }
}
