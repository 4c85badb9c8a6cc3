//! One call to HubSpot, from the call gate to an answer that was understood. Nothing else in this crate sends anything.

use std::time::Duration;

use bytes::Bytes;
use domain::budget::CallKind;
use domain::lease::WaitReason;
use domain::ports::call_gate::RefusedPolicy;
use domain::ports::crm::{CrmError, CrmErrorKind};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::answers::Unusable;
use crate::body::{self, MAX_ANSWER, MAX_ERROR, Unread};
use crate::connector::HubSpot;
use crate::documents;
use crate::endpoints::Query;
use crate::refusal::{self, Refusal};
use crate::retry::Retries;
use crate::scan::Malformed;

/// HubSpot asks for at least this after 423.
const LOCKED_WAIT: Duration = Duration::from_secs(2);
/// After 477 without `Retry-After`.
const MIGRATION_WAIT: Duration = Duration::from_secs(10);

/// A write that is to wait longer for its rate is given up.
const LONGEST_PAUSE_OF_A_WRITE: Duration = Duration::from_secs(5);

/// The window of a rate limit that does not name its own. Searches never do.
const fn window_of(kind: CallKind) -> Duration {
    match kind {
        CallKind::Ordinary => Duration::from_secs(10),
        CallKind::Search => Duration::from_secs(1),
    }
}

/// A request, as often as it takes.
#[derive(Debug)]
pub(crate) struct Call {
    /// Method and path template, for logs: never the URL, which can hold cursors.
    pub(crate) endpoint: &'static str,
    /// What is asked for, in the words of a sentence, such as `the list of contacts`.
    pub(crate) about: String,
    pub(crate) kind: CallKind,
    pub(crate) path: String,
    pub(crate) query: Query,
    /// JSON; a call with a body is a POST.
    pub(crate) body: Option<Bytes>,
    /// It changes records, and HubSpot's words about it can quote their values.
    pub(crate) writes: bool,
    /// The scope that is missing when HubSpot answers 403 and names none.
    pub(crate) scope: String,
}

impl Call {
    pub(crate) fn get(endpoint: &'static str, about: String, path: String, query: Query, scope: String) -> Self {
        Self { endpoint, about, kind: CallKind::Ordinary, path, query, body: None, writes: false, scope }
    }

    pub(crate) fn post(endpoint: &'static str, about: String, path: String, body: Bytes, scope: String) -> Self {
        Self { body: Some(body), ..Self::get(endpoint, about, path, Query::default(), scope) }
    }
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body's length on the wire.
    pub(crate) wire_bytes: u64,
}

impl Answer {
    /// The body as a JSON document. Not for pages of records, see [`crate::records`].
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        documents::read(&self.body)
    }
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// HubSpot refused it, and would again.
    Refused(Refusal),
    /// Everything else, after all retries that made sense.
    GaveUp(CrmError),
}

impl CallError {
    pub(crate) fn into_error(self, call: &Call) -> CrmError {
        match self {
            Self::Refused(refusal) => refusal.into_error(&call.about, &call.scope),
            Self::GaveUp(error) => error,
        }
    }
}

/// What became of one request that did not succeed.
enum Trouble {
    Refused(Refusal),
    Limited {
        policy: RefusedPolicy,
        asked: Option<Duration>,
        window: Duration,
    },
    /// Anything that may be over soon.
    Failed {
        cause: Cause,
        at_least: Duration,
    },
}

/// Why a request failed.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Status(u16),
    /// No answer, or half of one.
    Connection(&'static str),
    /// An answer that is not what the API promises.
    Malformed(Malformed),
    /// An answer that says itself that the CRM failed for a part of it.
    InPart,
    /// An answer that does not fit. It would be as large again.
    TooLarge,
}

/// The word of a request for which there was no connection, so that nothing was sent.
const NO_CONNECTION: &str = "no connection";

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

impl From<Cause> for Trouble {
    fn from(cause: Cause) -> Self {
        Self::Failed { cause, at_least: Duration::ZERO }
    }
}

impl From<reqwest::Error> for Trouble {
    /// A word for what the error is. Its own text holds the URL.
    fn from(error: reqwest::Error) -> Self {
        let word = if error.is_timeout() {
            "time-out"
        } else if error.is_connect() {
            NO_CONNECTION
        } else {
            "connection lost"
        };
        Cause::Connection(word).into()
    }
}

impl Cause {
    fn slug(self) -> &'static str {
        match self {
            Self::Status(_) => "server-error",
            Self::Connection(word) => word,
            Self::Malformed(_) => "malformed",
            Self::InPart => "failed in part",
            Self::TooLarge => "too large",
        }
    }

    /// Whether the CRM may have done what was asked for, or may still be doing it.
    fn may_be_done(self) -> bool {
        !matches!(self, Self::Connection(NO_CONNECTION))
    }

    fn status(self) -> Option<u16> {
        if let Self::Status(status) = self { Some(status) } else { None }
    }

    /// Where in the answer it was noticed.
    fn at_byte(self) -> Option<usize> {
        if let Self::Malformed(malformed) = self { Some(malformed.at) } else { None }
    }

    /// The error after the last retry.
    fn into_error(self, call: &Call, sent: u32, at_least: Duration) -> CrmError {
        let why = match self {
            Self::Malformed(_) => return refusal::malformed(&call.about, sent),
            Self::TooLarge => return refusal::too_large(&call.about),
            Self::Status(status) => format!("status {status}"),
            Self::Connection(word) => word.to_owned(),
            Self::InPart => "it failed for a part of it".to_owned(),
        };
        refusal::unavailable(&call.about, &why, sent, at_least)
    }
}

impl HubSpot {
    /// Sends `call` until `read` understands its answer, and gives up as [`crate::retry`] says.
    pub(crate) async fn fetch<T: Send>(
        &self,
        call: &Call,
        read: impl FnMut(&Answer) -> Result<T, Unusable> + Send,
    ) -> Result<T, CrmError> {
        self.try_fetch(call, Retries::default(), read).await.map_err(|error| error.into_error(call))
    }

    /// As [`HubSpot::fetch`], for calls whose failure is part of the plan.
    pub(crate) async fn try_fetch<T: Send>(
        &self,
        call: &Call,
        retries: Retries,
        read: impl FnMut(&Answer) -> Result<T, Unusable> + Send,
    ) -> Result<T, CallError> {
        self.try_send(call, retries, &mut None, read).await
    }

    /// As [`HubSpot::try_fetch`]. However it ends, `unanswered` is when the latest request was sent that got no usable
    /// answer: what it asked for may be done.
    pub(crate) async fn try_send<T: Send>(
        &self,
        call: &Call,
        mut retries: Retries,
        unanswered: &mut Option<Timestamp>,
        mut read: impl FnMut(&Answer) -> Result<T, Unusable> + Send,
    ) -> Result<T, CallError> {
        loop {
            self.gate.admit(call.kind).await.map_err(|closed| CallError::GaveUp(closed.into()))?;
            let sent_at = self.clock.now();
            let trouble = match self.attempt(call).await {
                Ok(answer) => match read(&answer) {
                    Ok(value) => return Ok(value),
                    Err(unusable) => Cause::from(unusable).into(),
                },
                Err(trouble) => trouble,
            };
            if matches!(trouble, Trouble::Failed { cause, .. } if cause.may_be_done()) {
                *unanswered = Some(sent_at);
            }
            self.retry_after(call, trouble, &mut retries).await?;
        }
    }

    /// Waits before the records that an answer to `call` has failed for are asked for again.
    ///
    /// # Errors
    /// When they have been asked for often enough.
    pub(crate) async fn back_off(&self, call: &Call, retries: &mut Retries) -> Result<(), CrmError> {
        let waited = self.retry_after(call, Cause::InPart.into(), retries).await;
        waited.map_err(|error| error.into_error(call))
    }

    /// Returns when the call should be sent again.
    async fn retry_after(&self, call: &Call, trouble: Trouble, retries: &mut Retries) -> Result<(), CallError> {
        match trouble {
            Trouble::Refused(refusal) => {
                let again = refusal
                    .may_pass(call.body.is_some())
                    .then(|| retries.doubted(&self.patience, fastrand::f64(), self.time_left()))
                    .flatten();
                let category = refusal.details.category.as_deref();
                let retry_ms = again.and_then(|wait| u64::try_from(wait.as_millis()).ok());
                tracing::warn!(
                    endpoint = call.endpoint,
                    status = refusal.status,
                    category,
                    retry_ms,
                    "crm.call.refused"
                );
                let Some(wait) = again else { return Err(CallError::Refused(refusal)) };
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Trouble::Limited { policy, asked, window } => {
                let (pause, again) = retries.refused(policy, asked, window);
                // What a write would overwrite may be another value after that.
                let again = again && !(call.writes && pause > LONGEST_PAUSE_OF_A_WRITE);
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let sent = retries.sent();
                tracing::warn!(endpoint = call.endpoint, status = 429, sent, ?policy, pause_ms, "crm.call.limited");
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
                self.gate.refused(policy, pause).await;
                if again { Ok(()) } else { Err(CallError::GaveUp(self.limited(policy, pause))) }
            }
            Trouble::Failed { cause, at_least } => {
                let mut wait = retries.failed(&self.patience, at_least, fastrand::f64(), self.time_left());
                wait = wait.filter(|_| !matches!(cause, Cause::TooLarge));
                let (sent, reason, status, at_byte) = (retries.sent(), cause.slug(), cause.status(), cause.at_byte());
                let retry_ms = wait.and_then(|wait| u64::try_from(wait.as_millis()).ok());
                tracing::warn!(endpoint = call.endpoint, status, reason, at_byte, sent, retry_ms, "crm.call.failed");
                let Some(wait) = wait else {
                    return Err(CallError::GaveUp(cause.into_error(call, sent, at_least)));
                };
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    fn limited(&self, policy: RefusedPolicy, pause: SignedDuration) -> CrmError {
        let until = self.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        let (reason, limit) = match policy {
            RefusedPolicy::Daily => (WaitReason::DailyLimit, "day"),
            RefusedPolicy::Rate => (WaitReason::RateLimit, "ten seconds"),
            RefusedPolicy::Searches => (WaitReason::RateLimit, "second for searches"),
        };
        let sentence =
            format!("HubSpot's limit of calls per {limit} is used up by this and other apps. Wait until {until}.");
        refusal::error(CrmErrorKind::NoBudget { until, reason }, sentence)
    }

    pub(crate) fn time_left(&self) -> Duration {
        Duration::try_from(self.deadline.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Trouble> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self
            .client
            .request(method, self.server.url(call))
            .bearer_auth(self.server.token.expose_secret())
            .header(ACCEPT, "application/json")
            .timeout(self.patience.answer.min(self.time_left()));
        if self.compression {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await?;
        self.note_daily_remaining(response.headers()).await;
        if response.status().is_success() {
            let headers = response.headers().clone();
            let body = body::read(response, MAX_ANSWER).await?;
            return Ok(Answer { headers, body: body.bytes, wire_bytes: body.wire_bytes });
        }
        Err(trouble_of(call, response).await)
    }

    /// Tells the gate how many calls are left today: with the first answer, since other apps may have used the limit
    /// up, and then with every 50th, or every 5th when few are left. Each report costs a write to the ledger, and our
    /// own calls are counted there anyway.
    async fn note_daily_remaining(&self, headers: &HeaderMap) {
        const FEW: u32 = 1_000;
        let Some(remaining) = number(headers, "x-hubspot-ratelimit-daily-remaining") else { return };
        let answers = self.answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let every = if remaining < FEW { 5 } else { 50 };
        if answers.is_multiple_of(every) || remaining == 0 {
            self.gate.daily_remaining(remaining).await;
        }
    }
}

async fn trouble_of(call: &Call, response: Response) -> Trouble {
    let status = response.status().as_u16();
    let asked: Option<u64> = number(response.headers(), RETRY_AFTER.as_str());
    let asked = asked.map(|seconds| Duration::from_secs(seconds.min(86_400)));
    let failed = |at_least: Duration| Trouble::Failed {
        cause: Cause::Status(status),
        at_least: asked.unwrap_or_default().max(at_least),
    };
    match status {
        423 => failed(LOCKED_WAIT),
        477 => failed(if asked.is_some() { Duration::ZERO } else { MIGRATION_WAIT }),
        408 | 425 | 500..=599 => failed(Duration::ZERO),
        429 => {
            let window = number(response.headers(), "x-hubspot-ratelimit-interval-milliseconds");
            let window = window.map_or(window_of(call.kind), Duration::from_millis);
            // The status alone says enough, so a document that cannot be read is none.
            let body = body::read(response, MAX_ERROR).await.unwrap_or_default();
            Trouble::Limited { policy: refusal::policy(call.kind, &body.bytes), asked, window }
        }
        _ => match body::read(response, MAX_ERROR).await {
            // What was refused is known only from the document, and the call may be sent again.
            Err(lost @ (Unread::Lost(_) | Unread::Broken { .. })) => lost.into(),
            // HubSpot refuses with JSON: a page for people comes from something before it, and passes.
            Ok(page) if status == 403 && refusal::is_html(&page.bytes) => failed(Duration::ZERO),
            body if call.writes => Trouble::Refused(Refusal::of_write(status, &body.unwrap_or_default().bytes)),
            body => Trouble::Refused(Refusal::of_read(status, &body.unwrap_or_default().bytes)),
        },
    }
}

/// A header's decimal number.
pub(crate) fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
