//! What may be said about a failed call: the operation and the service's error code, or how the connection failed.
//! Messages of services can quote what was sent, so they are left out.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

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
