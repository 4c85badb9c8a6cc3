//! The call gate of the one question that connecting an account to its CRM begins with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::account::Account;
use domain::budget::{CallKind, WaitReason};
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use jiff::{SignedDuration, Timestamp};

use crate::call_gate::LedgerCallGate;
use crate::crm_session::policy_of;

/// Whoever connects an account waits for an answer, so the question is not held up for longer. Long enough to get a slot
/// beside eight workers that use a tenth of the rate; with less than that, the answer is when to try again.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(15);

/// Admits the question, as often as the client has to send it.
///
/// An account that is connected already has a call budget, whose rate the question keeps to. It is not held up by a day
/// that is used up: a token that was revoked must be replaceable at any time, and one call more is one call. On a first
/// connection there is no budget, as the limits are only known from the answer.
///
/// What the answer says about limits is not passed on to the budget, since until it is understood the token may be
/// another account's.
pub(crate) struct ConnectionGate {
    clock: Arc<dyn Clock>,
    budget: Option<LedgerCallGate>,
    /// When to give up.
    latest: Timestamp,
    /// What the latest refusal of the question leads to.
    paused: Mutex<Option<GateClosed>>,
}

impl ConnectionGate {
    /// A gate for connecting `present`, or an account that does not exist yet; it closes at `deadline` at the latest.
    pub(crate) fn new(
        ledger: &Arc<dyn Ledger>,
        clock: &Arc<dyn Clock>,
        present: Option<&Account>,
        deadline: Timestamp,
    ) -> Self {
        let latest = deadline.min(clock.now() + LONGEST_WAIT);
        let budget = present.and_then(|account| {
            let policy = policy_of(account, account.crm_connection.as_ref()?);
            Some(LedgerCallGate::new(ledger.clone(), clock.clone(), account.account_id.clone(), policy, latest))
        });
        Self { clock: clock.clone(), budget, latest, paused: Mutex::default() }
    }

    fn paused(&self) -> Option<GateClosed> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl CallGate for ConnectionGate {
    async fn admit(&self, kind: CallKind) -> Result<(), GateClosed> {
        if let Some(closed) = self.paused() {
            if closed.until > self.latest {
                return Err(closed);
            }
            let left = Duration::try_from(closed.until.duration_since(self.clock.now())).unwrap_or_default();
            tokio::time::sleep(left).await;
        }
        let Some(budget) = &self.budget else { return Ok(()) };
        match budget.admit(kind).await {
            Err(closed) if closed.reason == WaitReason::DailyLimit => Ok(()),
            admitted => admitted,
        }
    }

    async fn refused(&self, policy: RefusedPolicy, pause: SignedDuration) {
        let reason = match policy {
            RefusedPolicy::Daily => WaitReason::DailyLimit,
            RefusedPolicy::Rate => WaitReason::RateLimit,
        };
        let closed = GateClosed { until: self.clock.now() + pause, reason };
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(closed);
    }

    async fn daily_remaining(&self, _: u32) {}
}
