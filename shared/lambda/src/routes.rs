//! The API's routes: one table, which the handlers, the OpenAPI document and the 404 and 405 answers agree with.

use domain::ids::BackupId;
use http::Method;
use http::header::{ALLOW, HeaderValue};

use crate::problem::{Problem, catalogue};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Start a backup.
    CreateBackup,
    /// List an account's backups.
    ListBackups,
    /// Read one with its progress.
    ReadBackup,
    /// End a running one.
    CancelBackup,
    /// Get a download link.
    DownloadBackup,
    /// Read an account's settings.
    ReadAccount,
    /// Create an account or change its settings.
    ChangeAccount,
    /// Read this API's description.
    ReadDescription,
}

/// A method and path, and what they ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; a segment in braces is a parameter.
    pub path: &'static str,
    /// What it asks for.
    pub operation: Operation,
}

const fn route(method: Method, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation }
}

/// Every route there is.
pub static ROUTES: [Route; 8] = [
    route(Method::POST, "/accounts/{accountId}/backups", Operation::CreateBackup),
    route(Method::GET, "/accounts/{accountId}/backups", Operation::ListBackups),
    route(Method::GET, "/accounts/{accountId}/backups/{backupId}", Operation::ReadBackup),
    route(Method::POST, "/accounts/{accountId}/backups/{backupId}/cancel", Operation::CancelBackup),
    route(Method::GET, "/accounts/{accountId}/backups/{backupId}/download", Operation::DownloadBackup),
    route(Method::GET, "/accounts/{accountId}", Operation::ReadAccount),
    route(Method::PUT, "/accounts/{accountId}", Operation::ChangeAccount),
    route(Method::GET, "/openapi.json", Operation::ReadDescription),
];

/// A request's route with the parameters of its path, as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// What the request asks for.
    pub operation: Operation,
    /// The account it is about; empty where the path names none.
    pub account: &'a str,
    backup: &'a str,
}

impl Found<'_> {
    /// The backup that the path names.
    ///
    /// # Errors
    /// A 404 problem: what is no backup's id is no backup of the account.
    pub fn backup_id(&self) -> Result<BackupId, Problem> {
        BackupId::parse(self.backup).map_err(|_| Problem::backup_unknown())
    }
}

/// Finds a request's route.
///
/// # Errors
/// A 404 problem when no route has the path, a 405 problem with `Allow` when only other methods have it.
pub fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Problem> {
    let mut allowed = Vec::new();
    for route in &ROUTES {
        let Some((account, backup)) = match_path(route.path, path) else { continue };
        if route.method == *method {
            return Ok(Found { operation: route.operation, account, backup });
        }
        allowed.push(route.method.as_str());
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

fn match_path<'a>(template: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut account, mut backup) = ("", "");
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some((account, backup)),
            (Some("{accountId}"), Some(segment)) if !segment.is_empty() => account = segment,
            (Some("{backupId}"), Some(segment)) if !segment.is_empty() => backup = segment,
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
            let path = route.path.replace("{accountId}", "42").replace("{backupId}", "b");
            let found = find(&route.method, &path).expect("a route");
            assert_eq!(found.operation, route.operation);
            assert_eq!(found.account, if route.path.contains("{accountId}") { "42" } else { "" });
            assert_eq!(found.backup, if route.path.contains("{backupId}") { "b" } else { "" });
        }
    }

    #[test]
    fn unknown_paths_and_wrong_methods_are_told_apart() {
        let paths =
            ["", "/", "/accounts", "/accounts/", "/accounts//backups", "/accounts/1/backups/", "/Accounts/1", "/x/y"];
        for path in paths {
            let problem = find(&Method::GET, path).expect_err("no route");
            assert_eq!(problem.kind(), catalogue::PATH_UNKNOWN, "{path}");
        }
        let problem = find(&Method::DELETE, "/accounts/1/backups").expect_err("no such method");
        assert_eq!(problem.kind(), catalogue::METHOD_UNSUPPORTED);
        assert_eq!(problem.headers().get(ALLOW).expect("says what is allowed"), "POST, GET");
    }

    #[test]
    fn what_is_no_backup_id_is_an_unknown_backup() {
        let found = find(&Method::GET, "/accounts/1/backups/..").expect("a route");
        assert_eq!(found.backup_id().expect_err("malformed").kind(), catalogue::BACKUP_UNKNOWN);
    }
}
