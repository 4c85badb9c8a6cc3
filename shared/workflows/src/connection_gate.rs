//! The call gate of the first call of connecting an account to its CRM.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::account::Account;
use domain::budget::{CallBudget, CallKind};
use domain::lease::WaitReason;
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use jiff::{SignedDuration, Timestamp};

use crate::call_gate::LedgerCallGate;
use crate::crm_session::policy_of;

/// A person waits for the answer, so the call waits no longer than this. It is long enough to get a slot beside a
/// backup that may use a tenth of the rate. If no slot comes in time, the answer is when to try again.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(15);

/// After a day's calls are used up, a pause of at most this length was not requested by the CRM. The CRM then does not
/// say when its day ends.
const UNASKED_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// Admits the call, with all retries of the client.
///
/// A connected account already has a call budget, and the call keeps to its rate. It ignores a used-up day: a revoked
/// token must be replaceable at any time, and it is only one call. A first connection has no budget, since the limits
/// are only known from the answer.
///
/// The limits in the answer are not passed on to the budget: until the answer is read, the token may belong to another
/// account.
pub(crate) struct ConnectionGate {
    clock: Arc<dyn Clock>,
    budget: Option<LedgerCallGate>,
    latest: Timestamp,
    /// When the CRM's day ends, if the account's time zone is known.
    day_ends_at: Option<Timestamp>,
    /// The consequence of the latest refusal of the call.
    paused: Mutex<Option<GateClosed>>,
}

impl ConnectionGate {
    /// A gate for connecting `present`, or an account that does not exist yet. It closes at `deadline` at the latest.
    pub(crate) fn new(
        ledger: &Arc<dyn Ledger>,
        clock: &Arc<dyn Clock>,
        present: Option<&Account>,
        deadline: Timestamp,
    ) -> Self {
        let latest = deadline.min(clock.now() + LONGEST_WAIT);
        let known = present.and_then(|account| {
            let policy = policy_of(account, account.crm_connection.as_ref()?);
            let day_ends_at = CallBudget::unused(account.account_id.clone(), &policy, clock.now()).day_ends_at;
            let gate = LedgerCallGate::new(ledger.clone(), clock.clone(), account.account_id.clone(), policy, latest);
            Some((gate, day_ends_at))
        });
        let (budget, day_ends_at) = known.unzip();
        Self { clock: clock.clone(), budget, latest, day_ends_at, paused: Mutex::default() }
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
        let paused_until = self.clock.now() + pause;
        let (until, reason) = match policy {
            RefusedPolicy::Daily if pause <= UNASKED_PAUSE => {
                (self.day_ends_at.unwrap_or(paused_until), WaitReason::DailyLimit)
            }
            RefusedPolicy::Daily => (paused_until, WaitReason::DailyLimit),
            RefusedPolicy::Rate | RefusedPolicy::Searches => (paused_until, WaitReason::RateLimit),
        };
        let closed = GateClosed { until, reason };
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(closed);
    }

    async fn daily_remaining(&self, _: u32) {}
}

#[cfg(test)]
mod tests {
    use in_memory::{ManualClock, MemoryLedger};

    use super::*;
    use crate::samples::{self, NOW};

    /// D4: the answer after HubSpot has refused the call because of a limit.
    #[tokio::test]
    async fn a_used_up_day_ends_at_the_accounts_midnight_or_when_the_crm_says() {
        let (ledger, clock): (Arc<dyn Ledger>, Arc<dyn Clock>) =
            (Arc::new(MemoryLedger::new()), Arc::new(ManualClock::at(NOW)));
        let berlin = samples::connected_account("42");
        let (minutes, hours) = (SignedDuration::from_mins, SignedDuration::from_hours);
        // 8 o'clock UTC is 9 o'clock in Berlin.
        for (present, policy, pause, until) in [
            (Some(&berlin), RefusedPolicy::Daily, minutes(15), NOW + hours(15)),
            (Some(&berlin), RefusedPolicy::Daily, hours(3), NOW + hours(3)),
            (None, RefusedPolicy::Daily, minutes(15), NOW + minutes(15)),
            (Some(&berlin), RefusedPolicy::Rate, minutes(2), NOW + minutes(2)),
        ] {
            let gate = ConnectionGate::new(&ledger, &clock, present, NOW + minutes(1));
            gate.refused(policy, pause).await;
            let closed = gate.admit(CallKind::Ordinary).await.expect_err("closed for longer than anybody waits");
            let reason = match policy {
                RefusedPolicy::Daily => WaitReason::DailyLimit,
                RefusedPolicy::Rate | RefusedPolicy::Searches => WaitReason::RateLimit,
            };
            assert_eq!(closed, GateClosed { until, reason });
        }
    }
}
