//! Problem documents (RFC 9457), the form of every error of the HTTP API.
//!
//! `type` is a URN, `urn:crm-backup:problem:{slug}`. It is the same in every deployment and never changes; programs
//! distinguish errors only by it. `title` belongs to the type, `detail` is a sentence about this occurrence, `errors`
//! lists the invalid fields, and `instance` contains the request id of the logs. Some types have more members, which
//! the OpenAPI document describes.

pub mod catalogue;
mod occurrences;

use std::fmt::Display;

use domain::ports::ledger::LedgerError;
use domain::ports::secrets::SecretsError;
use domain::ports::storage::StorageError;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

/// A type of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemType {
    /// The last part of the URN.
    pub slug: &'static str,
    pub status: StatusCode,
    /// The type in a few words.
    pub title: &'static str,
}

impl ProblemType {
    /// The `type` member of the problem document.
    pub fn uri(&self) -> String {
        format!("urn:crm-backup:problem:{}", self.slug)
    }
}

/// An invalid field, parameter or header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// The path in the body, such as `crmConnection.baseUrl`, or the name of a parameter or header.
    pub field: String,
    /// A sentence about the fault, which does not repeat the value.
    pub detail: String,
}

impl FieldFault {
    /// A fault of `field`, with a sentence.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// One occurrence of a problem. Small, since it is the error of most functions here.
#[derive(Debug, Clone)]
pub struct Problem(Box<Occurrence>);

#[derive(Debug, Clone)]
struct Occurrence {
    kind: ProblemType,
    detail: String,
    errors: Vec<FieldFault>,
    members: Map<String, Value>,
    headers: HeaderMap,
    cause: Option<String>,
}

impl Problem {
    /// A problem of type `kind`; `detail` is a sentence about this occurrence, for people.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let (errors, members, headers) = (Vec::new(), Map::new(), HeaderMap::new());
        Self(Box::new(Occurrence { kind, detail: detail.into(), errors, members, headers, cause: None }))
    }

    /// The sentence about this occurrence, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Adds an invalid field.
    #[must_use]
    pub fn fault(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldFault::new(field, detail));
        self
    }

    /// Adds a member that belongs to the type.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Adds `Retry-After`: the seconds after which the request may succeed.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(http::header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds the cause, which is logged and not shown to the caller.
    #[must_use]
    pub fn caused_by(mut self, cause: &(impl Display + ?Sized)) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// The type, which determines `type`, `status` and `title`.
    pub fn kind(&self) -> ProblemType {
        self.0.kind
    }

    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The problem document (RFC 9457).
    pub fn document(&self, request_id: &str) -> Value {
        let mut document = self.0.members.clone();
        document.insert("type".into(), self.0.kind.uri().into());
        document.insert("title".into(), self.0.kind.title.into());
        document.insert("status".into(), self.0.kind.status.as_u16().into());
        document.insert("detail".into(), self.0.detail.clone().into());
        document.insert("instance".into(), format!("urn:crm-backup:request:{request_id}").into());
        if !self.0.errors.is_empty() {
            let errors = self.0.errors.iter().map(|error| {
                let field = ("field".to_owned(), error.field.clone().into());
                let detail = ("detail".to_owned(), error.detail.clone().into());
                Value::Object(Map::from_iter([field, detail]))
            });
            document.insert("errors".into(), errors.collect());
        }
        Value::Object(document)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Conflict | LedgerError::Unavailable(_) => Self::unavailable(&error),
            LedgerError::Unreadable(..) => Self::unreadable(&error),
            LedgerError::Refused(_) => Self::internal(&error),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unreadable(..) => Self::unreadable(&error),
            error if error.is_retryable() => Self::unavailable(&error),
            error => Self::internal(&error),
        }
    }
}

impl From<SecretsError> for Problem {
    fn from(error: SecretsError) -> Self {
        Self::unavailable(&error)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::backup::BackupState;
    use expect_test::expect_file;
    use jiff::Timestamp;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_names_type_fields_and_request_but_not_the_cause() {
        let problem = Problem::input_invalid(vec![FieldFault::new("callShare.burstPercent", "It is 0.")])
            .member("nextAllowedAt", "2026-11-23T00:00:00Z")
            .caused_by("secret");
        assert_eq!(
            problem.document("r-1"),
            json!({
                "type": "urn:crm-backup:problem:input-invalid",
                "title": "The request body has invalid fields.",
                "status": 422,
                "detail": "The body has invalid fields: callShare.burstPercent.",
                "instance": "urn:crm-backup:request:r-1",
                "errors": [{"field": "callShare.burstPercent", "detail": "It is 0."}],
                "nextAllowedAt": "2026-11-23T00:00:00Z",
            })
        );
    }

    /// The documents as people read them. After a wanted change: `UPDATE_EXPECT=1 cargo test -p http-api problem`.
    #[test]
    fn problem_documents_read_as_in_the_snapshot() {
        let at = Timestamp::UNIX_EPOCH;
        let fields = |count: usize| (0..count).map(|field| FieldFault::new(format!("f{field}"), "It is 0.")).collect();
        let problems = [
            Problem::unavailable("timed out"),
            Problem::unreadable("format 7"),
            Problem::internal("a bug"),
            Problem::path_unknown(),
            Problem::account_unknown(),
            Problem::backup_unknown(),
            Problem::input_invalid(fields(1)),
            Problem::input_invalid(fields(12)),
            Problem::parameters_unknown(&["colour"], &["limit", "after"]),
            Problem::parameters_unknown(&["colour"], &[]),
            Problem::parameter_invalid("limit", "It must be from 1 to 100."),
            Problem::idempotency_key_taken(),
            Problem::token_unsuitable("The token has expired. Sign in again."),
            Problem::restore_unknown(),
            Problem::import_unknown(),
            Problem::notification_unknown(),
            Problem::account_not_connected(),
            Problem::backup_not_completed(BackupState::Exporting),
            Problem::archive_expired(at),
            Problem::archive_deleted(at),
        ];
        expect_file!["../../tests/snapshots/problems.txt"].assert_eq(&crate::testing::shown(problems));
    }

    #[test]
    fn every_type_has_its_own_slug() {
        let slugs: BTreeSet<_> = catalogue::ALL.iter().map(|kind| kind.slug).collect();
        assert_eq!(slugs.len(), catalogue::ALL.len());
    }
}
