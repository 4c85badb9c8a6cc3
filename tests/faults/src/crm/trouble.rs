//! What can be wrong with a CRM for a while, and when.

use std::ops::Range;

use domain::ids::ObjectType;
use domain::lease::WaitReason;
use domain::ports::crm::{CrmError, CrmErrorKind};
use jiff::{SignedDuration, Timestamp};

/// When something is wrong.
#[derive(Debug, Clone)]
pub enum Period {
    /// For a span of time.
    Times(Range<Timestamp>),
    /// For a number of calls, counted from 1 over all methods.
    Calls(Range<u64>),
    /// For a number of the calls of a method of [`Crm`](domain::ports::crm::Crm), such as `update_batch`, counted from
    /// 1.
    CallsOf(&'static str, Range<u64>),
}

impl Period {
    /// Whether it holds the `nth` of all calls, which is the one with the number `of_method` of `method`.
    pub(super) fn contains(&self, nth: u64, (method, of_method): (&str, u64), now: Timestamp) -> bool {
        match self {
            Self::Times(times) => times.contains(&now),
            Self::Calls(calls) => calls.contains(&nth),
            Self::CallsOf(name, calls) => *name == method && calls.contains(&of_method),
        }
    }
}

/// Which call something happens at. Calls that meet trouble count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// One of all calls, counted from 1 over all methods.
    Call(u64),
    /// One of the calls of a method of [`Crm`](domain::ports::crm::Crm), such as `update_batch`, counted from 1.
    CallOf(&'static str, u64),
}

impl Moment {
    pub(super) fn is(self, nth: u64, method: &str, of_method: u64) -> bool {
        match self {
            Self::Call(call) => call == nth,
            Self::CallOf(name, call) => name == method && call == of_method,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every call fails, for longer than a client retries.
    Unavailable,
    /// Answers are not what they should be, for longer than a client retries.
    Malformed,
    /// 429 because of the limit per ten seconds, with the wish for this pause.
    RateLimit(SignedDuration),
    /// 429 because of the limit per day.
    DailyLimit,
    /// The token was revoked.
    TokenRefused,
    /// 403 for want of a scope.
    ScopeMissing,
    /// 403 for another reason.
    Forbidden,
    NotFound,
    /// What is asked for is done, and the answer is lost on its way. The client sends the call again.
    AnswerLost,
    /// No answer comes for as long as the client waits, and then it sends the call again. What was to be written is
    /// written so long after the call was sent, even if the client has given up: at most [`LATEST_LANDING`].
    Late(SignedDuration),
}

/// The longest time between sending a write and its landing, as the CRM ends a call before that. Restores rely on it.
pub const LATEST_LANDING: SignedDuration = SignedDuration::from_secs(24);

/// When the client of a CRM that is down suggests another attempt.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(30);

fn error(kind: CrmErrorKind, sentence: impl Into<String>) -> CrmError {
    CrmError::new(kind, sentence.into())
}

pub(super) fn unavailable() -> CrmError {
    error(CrmErrorKind::Unavailable { retry_after: RETRY_AFTER }, "The CRM does not answer; try again later.")
}

pub(super) fn malformed() -> CrmError {
    error(CrmErrorKind::Malformed, "The CRM's answer is not what its API promises.")
}

pub(super) fn no_budget(until: Timestamp) -> CrmError {
    error(CrmErrorKind::NoBudget { until, reason: WaitReason::RateLimit }, "The CRM asks for a pause.")
}

pub(super) fn token_refused() -> CrmError {
    error(CrmErrorKind::TokenRefused, "The CRM refuses the token; connect the account again.")
}

pub(super) fn forbidden() -> CrmError {
    error(CrmErrorKind::Forbidden, "The CRM refuses the call.")
}

pub(super) fn nothing_there() -> CrmError {
    error(CrmErrorKind::NotFound, "The CRM has no such object type.")
}

pub(super) fn not_found(object: &ObjectType) -> CrmError {
    error(CrmErrorKind::NotFound, format!("The CRM has no object type {object}."))
}

pub(super) fn scopes_missing(scopes: &[String]) -> CrmError {
    error(CrmErrorKind::MissingScopes(scopes.to_vec()), format!("The token lacks {}.", scopes.join(", ")))
}

pub(super) fn refused(kind: CrmErrorKind) -> CrmError {
    error(kind, "The CRM does not show these records.")
}

pub(super) fn values_hidden(scopes: &[String]) -> CrmError {
    error(CrmErrorKind::HiddenValues(scopes.to_vec()), "Values are hidden.")
}

pub(super) fn cursor_refused() -> CrmError {
    error(CrmErrorKind::Refused, "The CRM does not know the cursor.")
}
