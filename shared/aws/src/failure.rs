//! What may be said about a failed call: the operation and the service's error code, or how the connection failed.
//! Messages of services can quote what was sent, so they are left out.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use domain::ports::outlets::OutletError;

/// Error codes that speak of the service or the deployment and not of the request, whatever status they come with: calls
/// that are too fast or over a quota, a pause, a permission that somebody may grant, credentials that have just expired,
/// and failures of the service's own.
const PASSING: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredTokenException",
    "InternalException",
    "InternalFailure",
    "LimitExceededException",
    "SendingPausedException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// One line about `error`, fit for logs.
pub(crate) fn describe<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            format!("{operation}: {} (HTTP {status})", answer.err().code().unwrap_or("no error code"))
        }
        SdkError::TimeoutError(_) => format!("{operation}: timed out"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => format!("{operation}: timed out"),
        SdkError::DispatchFailure(failure) if failure.is_io() => format!("{operation}: connection failed"),
        SdkError::DispatchFailure(_) => format!("{operation}: not sent"),
        SdkError::ResponseError(_) => format!("{operation}: unreadable answer"),
        _ => format!("{operation}: request could not be made"),
    }
}

/// The service's error code, when the service answered with an error.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The status of the service's answer, when it answered with an error.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    match error {
        SdkError::ServiceError(answer) => Some(answer.raw().status().as_u16()),
        _ => None,
    }
}

/// What became of something that should have left, when sending it failed with `error`: refused by an answer with a
/// status of 400 to 499 that says nothing of waiting, else perhaps delivered.
pub(crate) fn outlet<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> OutletError {
    let why = describe(operation, error);
    let passing = match status(error) {
        Some(408 | 429) => true,
        Some(400..=499) => code(error).is_some_and(passes),
        _ => true,
    };
    if passing { OutletError::Unavailable(why) } else { OutletError::Refused(why) }
}

/// Like [`outlet`], for an entry with the error code `code` in an answer that is none itself.
pub(crate) fn outlet_entry(operation: &str, code: Option<&str>) -> OutletError {
    match code {
        Some(code) if !passes(code) => OutletError::Refused(format!("{operation}: {code}")),
        code => OutletError::Unavailable(format!("{operation}: {}", code.unwrap_or("no error code"))),
    }
}

fn passes(code: &str) -> bool {
    PASSING.contains(&code)
}
