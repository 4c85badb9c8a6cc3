//! Why one request did not succeed, and how long HubSpot asks to wait before the next one.

use std::time::Duration;

use domain::budget::CallKind;
use domain::ports::call_gate::RefusedPolicy;
use domain::ports::crm::CrmError;
use reqwest::Response;
use reqwest::header::RETRY_AFTER;

use crate::answers::Unusable;
use crate::body::{self, MAX_ERROR, Unread};
use crate::body_room::BodyRoom;
use crate::call::{Call, number_in};
use crate::error_document;
use crate::errors;
use crate::refusal::{self, Refusal};
use crate::scan::Malformed;

/// The shortest wait after status 423 that HubSpot documents.
const LOCKED_WAIT: Duration = Duration::from_secs(2);
/// The wait after status 477 without `Retry-After`.
const MIGRATION_WAIT: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is believed.
const LONGEST_RETRY_AFTER_SECONDS: u64 = 86_400;

/// How one request failed.
pub(crate) enum Trouble {
    Refused(Refusal),
    RateLimited {
        policy: RefusedPolicy,
        /// The pause that HubSpot asked for.
        asked: Option<Duration>,
        /// The length of the limit's window.
        window: Duration,
    },
    /// A failure that may be over soon.
    Failed {
        cause: Cause,
        /// The shortest wait that HubSpot accepts.
        at_least: Duration,
    },
}

/// Why a request failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    Status(u16),
    /// No answer, or an answer that broke off.
    Connection(&'static str),
    /// The answer breaks the rules of the API.
    Malformed(Malformed),
    /// The answer reports that the CRM failed for some of the records.
    InPart,
    /// The answer is too long to read, and would be as long again.
    TooLarge,
}

/// There was no connection, so nothing was sent.
const NO_CONNECTION: &str = "no connection";

impl Trouble {
    /// The trouble behind an answer to `call` that has no good status.
    pub(crate) async fn of(call: &Call, response: Response, room: &BodyRoom) -> Self {
        let status = response.status().as_u16();
        let asked: Option<u64> = number_in(response.headers(), RETRY_AFTER.as_str());
        let asked = asked.map(|seconds| Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER_SECONDS)));
        let failed = |at_least: Duration| Self::Failed {
            cause: Cause::Status(status),
            at_least: asked.unwrap_or_default().max(at_least),
        };
        match status {
            423 => failed(LOCKED_WAIT),
            477 => failed(if asked.is_some() { Duration::ZERO } else { MIGRATION_WAIT }),
            408 | 425 | 500..=599 => failed(Duration::ZERO),
            429 => {
                let window = number_in(response.headers(), "x-hubspot-ratelimit-interval-milliseconds");
                let window = window.map_or(default_window(call.kind), Duration::from_millis);
                // The status alone says enough, so a document that cannot be read does no harm.
                let body = body::read(response, MAX_ERROR, room).await.unwrap_or_default();
                Self::RateLimited { policy: refusal::policy(call.kind, &body.bytes), asked, window }
            }
            _ => match body::read(response, MAX_ERROR, room).await {
                // Only the document shows what was refused, and the call may be sent again.
                Err(lost @ (Unread::Lost(_) | Unread::Broken { .. })) => lost.into(),
                // HubSpot refuses with JSON. An HTML page comes from a proxy in front of it, and is temporary.
                Ok(page) if status == 403 && error_document::is_html(&page.bytes) => failed(Duration::ZERO),
                body if call.writes => Self::Refused(Refusal::of_write(status, &body.unwrap_or_default().bytes)),
                body => Self::Refused(Refusal::of_read(status, &body.unwrap_or_default().bytes)),
            },
        }
    }
}

/// The window of a rate limit whose answer names no window. Answers to searches never name it.
const fn default_window(kind: CallKind) -> Duration {
    match kind {
        CallKind::Ordinary => Duration::from_secs(10),
        CallKind::Search => Duration::from_secs(1),
    }
}

impl From<Cause> for Trouble {
    fn from(cause: Cause) -> Self {
        Self::Failed { cause, at_least: Duration::ZERO }
    }
}

impl From<Unusable> for Cause {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Malformed(malformed) => Self::Malformed(malformed),
            Unusable::InPart => Self::InPart,
        }
    }
}

impl From<Unread> for Trouble {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Lost(error) => error.into(),
            Unread::TooLarge => Cause::TooLarge.into(),
            Unread::Broken { at } => Cause::Malformed(Malformed { at }).into(),
        }
    }
}

impl From<reqwest::Error> for Trouble {
    /// Keeps only the kind of error: its text contains the URL.
    fn from(error: reqwest::Error) -> Self {
        let kind = if error.is_timeout() {
            "time-out"
        } else if error.is_connect() {
            NO_CONNECTION
        } else {
            "connection lost"
        };
        Cause::Connection(kind).into()
    }
}

impl Cause {
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::Status(_) => "server-error",
            Self::Connection(kind) => kind,
            Self::Malformed(_) => "malformed",
            Self::InPart => "failed in part",
            Self::TooLarge => "too large",
        }
    }

    /// Whether the CRM may have carried the call out, or may still do so.
    pub(crate) fn may_be_done(self) -> bool {
        !matches!(self, Self::Connection(NO_CONNECTION))
    }

    pub(crate) fn status(self) -> Option<u16> {
        if let Self::Status(status) = self { Some(status) } else { None }
    }

    /// The place in the answer at which it turned out to be malformed.
    pub(crate) fn at_byte(self) -> Option<usize> {
        if let Self::Malformed(malformed) = self { Some(malformed.at) } else { None }
    }

    /// The error after the last retry. `sent` counts the requests.
    pub(crate) fn into_error(self, call: &Call, sent: u32, at_least: Duration) -> CrmError {
        let why = match self {
            Self::Malformed(_) => return errors::malformed(&call.about, sent),
            Self::TooLarge => return errors::too_large(&call.about, call.longest_answer),
            Self::Status(status) => format!("status {status}"),
            Self::Connection(kind) => kind.to_owned(),
            Self::InPart => "it failed for some of the records".to_owned(),
        };
        errors::unavailable(&call.about, &why, sent, at_least)
    }
}
