//! One call to HubSpot, from the call gate to an answer that was understood. Nothing else in this crate sends anything.

use std::time::Duration;

use bytes::Bytes;
use domain::budget::{CallKind, WaitReason};
use domain::ports::call_gate::RefusedPolicy;
use domain::ports::crm::{CrmError, CrmErrorKind};
use jiff::SignedDuration;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::connector::HubSpot;
use crate::endpoints::Query;
use crate::refusal::{self, Refusal};
use crate::retry::Retries;
use crate::scan::Malformed;

/// No page of a hundred records comes near this; it keeps a broken answer from using the memory up.
const MAX_ANSWER: usize = 128 << 20;
/// What is read of an error document. One about a hundred records can quote all of their values.
const MAX_ERROR: usize = 8 << 20;
/// HubSpot asks for at least this after 423.
const LOCKED_WAIT: Duration = Duration::from_secs(2);
/// After 477 without `Retry-After`.
const MIGRATION_WAIT: Duration = Duration::from_secs(10);

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
    /// Method and path template, for logs and errors: never the URL, which can hold cursors.
    pub(crate) endpoint: &'static str,
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
    pub(crate) fn get(endpoint: &'static str, path: String, query: Query, scope: String) -> Self {
        Self { endpoint, kind: CallKind::Ordinary, path, query, body: None, writes: false, scope }
    }

    pub(crate) fn post(endpoint: &'static str, path: String, body: Bytes, scope: String) -> Self {
        Self { body: Some(body), ..Self::get(endpoint, path, Query::default(), scope) }
    }
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as a JSON document. Not for pages of records, see [`crate::records`].
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        serde_json::from_slice(&self.body).map_err(|error| Malformed { at: error.column() })
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
            Self::Refused(refusal) => refusal.into_error(call.endpoint, &call.scope),
            Self::GaveUp(error) => error,
        }
    }
}

/// What became of one request that did not succeed.
enum Trouble {
    Refused(Refusal),
    /// 429.
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
            "no connection"
        } else {
            "connection lost"
        };
        Cause::Connection(word).into()
    }
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::Status(_) => "server-error",
            Self::Connection(word) => word,
            Self::Malformed(_) => "malformed",
        }
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
            Self::Malformed(_) => return refusal::malformed(call.endpoint, sent),
            Self::Status(status) => format!("status {status}"),
            Self::Connection(word) => word.to_owned(),
        };
        refusal::unavailable(call.endpoint, &why, sent, at_least)
    }
}

impl HubSpot {
    /// Sends `call` until `read` understands its answer, and gives up as [`crate::retry`] says.
    pub(crate) async fn fetch<T: Send>(
        &self,
        call: &Call,
        read: impl FnMut(&Answer) -> Result<T, Malformed> + Send,
    ) -> Result<T, CrmError> {
        self.try_fetch(call, read).await.map_err(|error| error.into_error(call))
    }

    /// As [`HubSpot::fetch`], for calls whose refusal is part of the plan.
    pub(crate) async fn try_fetch<T: Send>(
        &self,
        call: &Call,
        mut read: impl FnMut(&Answer) -> Result<T, Malformed> + Send,
    ) -> Result<T, CallError> {
        let mut retries = Retries::default();
        loop {
            self.gate.admit(call.kind).await.map_err(|closed| CallError::GaveUp(closed.into()))?;
            let trouble = match self.attempt(call).await {
                Ok(answer) => match read(&answer) {
                    Ok(value) => return Ok(value),
                    Err(malformed) => Cause::Malformed(malformed).into(),
                },
                Err(trouble) => trouble,
            };
            self.retry_after(call, trouble, &mut retries).await?;
        }
    }

    /// Returns when the call should be sent again.
    async fn retry_after(&self, call: &Call, trouble: Trouble, retries: &mut Retries) -> Result<(), CallError> {
        match trouble {
            Trouble::Refused(refusal) => {
                let category = refusal.details.category.as_deref();
                tracing::warn!(endpoint = call.endpoint, status = refusal.status, category, "crm.call.refused");
                Err(CallError::Refused(refusal))
            }
            Trouble::Limited { policy, asked, window } => {
                let (pause, again) = retries.refused(policy, asked, window);
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let sent = retries.sent();
                tracing::warn!(endpoint = call.endpoint, status = 429, sent, ?policy, pause_ms, "crm.call.limited");
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
                self.gate.refused(policy, pause).await;
                if again { Ok(()) } else { Err(CallError::GaveUp(self.limited(policy, pause))) }
            }
            Trouble::Failed { cause, at_least } => {
                let wait = retries.failed(&self.patience, at_least, fastrand::f64(), self.time_left());
                let (sent, reason, status, at_byte) = (retries.sent(), cause.word(), cause.status(), cause.at_byte());
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
        let until = self.clock.now().checked_add(pause).unwrap_or(jiff::Timestamp::MAX);
        let (reason, limit) = match policy {
            RefusedPolicy::Daily => (WaitReason::DailyLimit, "day"),
            RefusedPolicy::Rate => (WaitReason::RateLimit, "ten seconds"),
        };
        let sentence =
            format!("HubSpot's limit of calls per {limit} is used up by this and other apps. Wait until {until}.");
        refusal::error(CrmErrorKind::NoBudget { until, reason }, sentence)
    }

    fn time_left(&self) -> Duration {
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
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await?;
        self.note_daily_remaining(response.headers()).await;
        if response.status().is_success() {
            let headers = response.headers().clone();
            let body = read_body(response, MAX_ANSWER).await?;
            return Ok(Answer { headers, body });
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
            let body = read_body(response, MAX_ERROR).await.unwrap_or_default();
            Trouble::Limited { policy: refusal::policy(&body), asked, window }
        }
        _ => match read_body(response, MAX_ERROR).await {
            // Which value was refused is known only from the document, and the call may be sent again.
            Err(lost @ Trouble::Failed { cause: Cause::Connection(_), .. }) if call.writes => lost,
            body if call.writes => Trouble::Refused(Refusal::of_write(status, &body.unwrap_or_default())),
            body => Trouble::Refused(Refusal::of_read(status, &body.unwrap_or_default())),
        },
    }
}

async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, Trouble> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(announced.unwrap_or(64 << 10).min(limit));
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > limit {
            return Err(Cause::Malformed(Malformed { at: limit }).into());
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// A header's decimal number.
pub(crate) fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
