//! Descriptions of failed calls: the operation and the service's error code, or how the connection failed. They omit
//! the services' messages, which can quote the request.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use domain::ports::outlets::OutletError;

/// Error codes about the service or the deployment and not about the request, with any status: throttling, quotas, a
/// pause, a missing permission, expired credentials, and the service's own failures. They can pass.
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

/// The service's error code, if the service answered with an error.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The status of the service's answer, if it answered with an error.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    match error {
        SdkError::ServiceError(answer) => Some(answer.raw().status().as_u16()),
        _ => None,
    }
}

/// Classifies a failed send: `Refused` for a 4xx that is neither throttling nor a permission problem. Otherwise
/// `Unavailable`, since the message may have been delivered.
pub(crate) fn outlet<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> OutletError {
    let why = describe(operation, error);
    let passing = match status(error) {
        Some(408 | 429) => true,
        Some(400..=499) => code(error).is_some_and(passes),
        _ => true,
    };
    if passing { OutletError::Unavailable(why) } else { OutletError::Refused(why) }
}

/// Like [`outlet`], for an entry with the error code `code` in a successful answer.
pub(crate) fn outlet_entry(operation: &str, code: Option<&str>) -> OutletError {
    match code {
        Some(code) if !passes(code) => OutletError::Refused(format!("{operation}: {code}")),
        code => OutletError::Unavailable(format!("{operation}: {}", code.unwrap_or("no error code"))),
    }
}

fn passes(code: &str) -> bool {
    PASSING.contains(&code)
}
