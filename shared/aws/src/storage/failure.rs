//! S3's errors as the port's errors.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use domain::ports::storage::{ETag, StorageError};

use crate::failure;

/// The precondition of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Precondition<'a> {
    /// The request has none.
    Nothing,
    /// The blob must not exist yet.
    Target,
    /// The source of a copy, with this key, must be unchanged.
    Source(&'a str),
}

/// Error codes with a 4xx status that are about the connection or the moment and not about the request.
const PASSING: [&str; 7] = [
    "BadDigest",
    "ConditionalRequestConflict",
    "ExpiredToken",
    "IncompleteBody",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeTooSkewed",
];

/// The error of the port for a failed `operation` on `key`.
pub(super) fn storage_error<E: ProvideErrorMetadata>(
    operation: &str,
    key: &str,
    met: Precondition<'_>,
    error: &SdkError<E, HttpResponse>,
) -> StorageError {
    let sentence = failure::describe(operation, error);
    let code = failure::code(error).unwrap_or_default();
    match (code, failure::status(error), met) {
        (code, _, _) if PASSING.contains(&code) || code.contains("Throttl") => StorageError::Unavailable(sentence),
        ("NoSuchUpload", _, _) => StorageError::Absent(key.to_owned()),
        ("NoSuchBucket", _, _) => StorageError::Refused(sentence),
        ("PreconditionFailed", _, Precondition::Target) | (_, Some(412), Precondition::Target) => {
            StorageError::AlreadyExists(key.to_owned())
        }
        ("PreconditionFailed", _, Precondition::Source(source)) | (_, Some(412), Precondition::Source(source)) => {
            StorageError::Changed(source.to_owned())
        }
        ("NoSuchKey", _, Precondition::Source(source)) | (_, Some(404), Precondition::Source(source)) => {
            StorageError::Absent(source.to_owned())
        }
        ("NoSuchKey", _, _) | (_, Some(404), _) => StorageError::Absent(key.to_owned()),
        (_, Some(429), _) => StorageError::Unavailable(sentence),
        // Completing and copying can answer 200 with an error in the body.
        (code, Some(200), _) if REFUSALS.contains(&code) => StorageError::Refused(sentence),
        (_, Some(400..=499), _) => StorageError::Refused(sentence),
        _ => StorageError::Unavailable(sentence),
    }
}

/// Refusals that can come with status 200.
const REFUSALS: [&str; 5] = ["EntityTooSmall", "InvalidArgument", "InvalidPart", "InvalidPartOrder", "InvalidRequest"];

/// The `ETag` of a successful answer.
pub(super) fn etag(operation: &str, found: Option<String>) -> Result<ETag, StorageError> {
    found.map(ETag).ok_or_else(|| StorageError::Unavailable(format!("{operation}: answer without an ETag")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn of(status: u16, code: &str, met: Precondition<'_>) -> StorageError {
        let metadata = ErrorMetadata::builder().code(code).message("names 'key' and a value").build();
        let raw = HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty());
        storage_error("Op", "key", met, &SdkError::service_error(metadata, raw))
    }

    fn is_unavailable(error: &StorageError) -> bool {
        matches!(error, StorageError::Unavailable(_))
    }

    fn is_refused(error: &StorageError) -> bool {
        matches!(error, StorageError::Refused(_))
    }

    #[test]
    fn failed_preconditions_name_the_blob() {
        assert_eq!(of(412, "PreconditionFailed", Precondition::Target), StorageError::AlreadyExists("key".into()));
        assert_eq!(of(412, "PreconditionFailed", Precondition::Source("from")), StorageError::Changed("from".into()));
        assert_eq!(of(200, "PreconditionFailed", Precondition::Target), StorageError::AlreadyExists("key".into()));
    }

    #[test]
    fn an_absent_blob_or_upload_is_named() {
        assert_eq!(of(404, "", Precondition::Nothing), StorageError::Absent("key".into()));
        assert_eq!(of(404, "NoSuchKey", Precondition::Source("from")), StorageError::Absent("from".into()));
        assert_eq!(of(404, "NoSuchUpload", Precondition::Source("from")), StorageError::Absent("key".into()));
        assert!(is_refused(&of(404, "NoSuchBucket", Precondition::Nothing)));
    }

    #[test]
    fn only_errors_that_can_pass_are_retried() {
        for (status, code) in [
            (503, "SlowDown"),
            (500, "InternalError"),
            (200, "InternalError"),
            (409, "ConditionalRequestConflict"),
            (429, "TooManyRequests"),
            (400, "RequestTimeout"),
            (400, "ThrottlingException"),
        ] {
            assert!(is_unavailable(&of(status, code, Precondition::Target)), "{status} {code}");
        }
        for (status, code) in
            [(403, "AccessDenied"), (400, "EntityTooSmall"), (200, "EntityTooSmall"), (416, "InvalidRange")]
        {
            assert!(is_refused(&of(status, code, Precondition::Target)), "{status} {code}");
        }
        let timed_out = SdkError::<ErrorMetadata, _>::timeout_error("slow");
        assert!(is_unavailable(&storage_error("Op", "key", Precondition::Nothing, &timed_out)));
    }

    #[test]
    fn sentences_have_the_code_but_not_the_message() {
        assert_eq!(
            of(403, "AccessDenied", Precondition::Nothing).to_string(),
            "object storage refused: Op: AccessDenied (HTTP 403)"
        );
    }
}
