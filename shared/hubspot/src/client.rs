//! The client of one account: it sends calls through the call gate until an answer can be used. Nothing else in this
//! crate sends anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::lease::WaitReason;
use domain::ports::call_gate::{CallGate, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::crm::{CrmError, CrmErrorKind};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method};
use secrecy::ExposeSecret;

use crate::answers::Unusable;
use crate::body;
use crate::body_room::BodyRoom;
use crate::call::{Answer, Call, CallError, number_in};
use crate::endpoints::Endpoints;
use crate::habits::{AccountKey, Habits};
use crate::refusal::Refusal;
use crate::retry::{Retries, RetryPolicy};
use crate::server::Server;
use crate::trouble::{Cause, Trouble};

/// A write is given up if its rate limit asks for a longer pause.
const LONGEST_PAUSE_OF_A_WRITE: Duration = Duration::from_secs(5);

/// One HubSpot account during one run; see [`domain::ports::crm::Crm`].
pub(crate) struct HubSpot {
    pub(crate) client: Client,
    pub(crate) habits: Arc<Habits>,
    pub(crate) room: Arc<BodyRoom>,
    pub(crate) account: AccountKey,
    pub(crate) retry_policy: RetryPolicy,
    /// Whether to ask for compressed answers.
    pub(crate) compression: bool,
    pub(crate) endpoints: Endpoints,
    pub(crate) server: Server,
    pub(crate) gate: Arc<dyn CallGate>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The client waits for no answer and no retry beyond this time.
    pub(crate) deadline: Timestamp,
    /// Counts the answers that named how many calls are left today.
    pub(crate) counted_answers: AtomicU32,
}

impl HubSpot {
    /// Sends `call` until `read` can use its answer, and gives up as [`crate::retry`] describes.
    pub(crate) async fn fetch<T: Send>(
        &self,
        call: &Call,
        read: impl FnMut(&Answer) -> Result<T, Unusable> + Send,
    ) -> Result<T, CrmError> {
        self.try_fetch(call, Retries::default(), read).await.map_err(|error| error.into_error(call))
    }

    /// As [`HubSpot::fetch`], for callers that have another way if the call fails.
    pub(crate) async fn try_fetch<T: Send>(
        &self,
        call: &Call,
        retries: Retries,
        read: impl FnMut(&Answer) -> Result<T, Unusable> + Send,
    ) -> Result<T, CallError> {
        self.try_send(call, retries, &mut None, read).await
    }

    /// As [`HubSpot::try_fetch`]. Whatever the result, `unanswered` becomes the time of the latest request without a
    /// usable answer: the CRM may have carried it out.
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
            self.wait_after(call, trouble, &mut retries).await?;
        }
    }

    /// Waits before a caller asks again for the records that an answer to `call` failed for.
    ///
    /// # Errors
    /// After the last retry.
    pub(crate) async fn back_off(&self, call: &Call, retries: &mut Retries) -> Result<(), CrmError> {
        let waited = self.wait_after(call, Cause::InPart.into(), retries).await;
        waited.map_err(|error| error.into_error(call))
    }

    /// Returns when the call should be sent again.
    async fn wait_after(&self, call: &Call, trouble: Trouble, retries: &mut Retries) -> Result<(), CallError> {
        match trouble {
            Trouble::Refused(refusal) => self.wait_after_refusal(call, refusal, retries).await,
            Trouble::RateLimited { policy, asked, window } => {
                let (pause, again) = retries.after_rate_limit(policy, asked, window);
                // After a long pause the write could overwrite a newer value.
                let again = again && !(call.writes && pause > LONGEST_PAUSE_OF_A_WRITE);
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let sent = retries.sent();
                tracing::warn!(endpoint = call.endpoint, status = 429, sent, ?policy, pause_ms, "crm.call.limited");
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
                self.gate.refused(policy, pause).await;
                if again { Ok(()) } else { Err(CallError::GaveUp(self.rate_limited(policy, pause))) }
            }
            Trouble::Failed { cause, at_least } => self.wait_after_failure(call, cause, at_least, retries).await,
        }
    }

    async fn wait_after_refusal(&self, call: &Call, refusal: Refusal, retries: &mut Retries) -> Result<(), CallError> {
        let again = refusal
            .may_be_temporary(call.body.is_some())
            .then(|| retries.after_refusal(&self.retry_policy, fastrand::f64(), self.time_left()))
            .flatten();
        let category = refusal.details.category.as_deref();
        let retry_ms = again.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        tracing::warn!(endpoint = call.endpoint, status = refusal.status, category, retry_ms, "crm.call.refused");
        let Some(wait) = again else { return Err(CallError::Refused(refusal)) };
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn wait_after_failure(
        &self,
        call: &Call,
        cause: Cause,
        at_least: Duration,
        retries: &mut Retries,
    ) -> Result<(), CallError> {
        let mut wait = retries.after_failure(&self.retry_policy, at_least, fastrand::f64(), self.time_left());
        wait = wait.filter(|_| !matches!(cause, Cause::TooLarge));
        let (sent, reason, status, at_byte) = (retries.sent(), cause.slug(), cause.status(), cause.at_byte());
        let retry_ms = wait.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        tracing::warn!(endpoint = call.endpoint, status, reason, at_byte, sent, retry_ms, "crm.call.failed");
        let Some(wait) = wait else {
            let gave_up = if matches!(cause, Cause::TooLarge) { CallError::TooLarge } else { CallError::GaveUp };
            return Err(gave_up(cause.into_error(call, sent, at_least)));
        };
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn rate_limited(&self, policy: RefusedPolicy, pause: SignedDuration) -> CrmError {
        let until = self.clock.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        let (reason, limit) = match policy {
            RefusedPolicy::Daily => (WaitReason::DailyLimit, "calls per day"),
            RefusedPolicy::Rate => (WaitReason::RateLimit, "calls per ten seconds"),
            RefusedPolicy::Searches => (WaitReason::RateLimit, "searches per second"),
        };
        let sentence = format!("This and other apps have used up HubSpot's limit of {limit}. Wait until {until}.");
        CrmError::new(CrmErrorKind::NoBudget { until, reason }, sentence)
    }

    pub(crate) fn time_left(&self) -> Duration {
        Duration::try_from(self.deadline.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
    }

    /// Whether there is time for a whole answer. If not, a call may fail because of the deadline alone.
    pub(crate) fn has_time(&self) -> bool {
        self.time_left() > self.retry_policy.answer_timeout
    }

    /// Sends the call once.
    async fn attempt(&self, call: &Call) -> Result<Answer, Trouble> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self
            .client
            .request(method, self.server.url(call))
            .bearer_auth(self.server.token.expose_secret())
            .header(ACCEPT, "application/json")
            .timeout(self.retry_policy.answer_timeout.min(self.time_left()));
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
            let body = body::read(response, call.longest_answer, &self.room).await?;
            return Ok(Answer { headers, body: body.bytes, wire_bytes: body.wire_bytes, _place: body.place });
        }
        Err(Trouble::of(call, response, &self.room).await)
    }

    /// Reports to the gate how many calls are left today: after the first answer, since other apps may have used up the
    /// limit, and then after every 50th, or every 5th if few are left. Each report costs a write to the ledger, which
    /// counts this app's own calls anyway.
    async fn note_daily_remaining(&self, headers: &HeaderMap) {
        const FEW: u32 = 1_000;
        let Some(remaining) = number_in(headers, "x-hubspot-ratelimit-daily-remaining") else { return };
        let answers = self.counted_answers.fetch_add(1, Ordering::Relaxed);
        let every = if remaining < FEW { 5 } else { 50 };
        if answers.is_multiple_of(every) || remaining == 0 {
            self.gate.daily_remaining(remaining).await;
        }
    }
}
