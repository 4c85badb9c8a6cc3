//! The call gate of one run: leases slots from the account's call budget in the ledger and sleeps until they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::budget::{BudgetPolicy, CallBudget, CallKind, Grant};
use domain::ids::AccountId;
use domain::lease::WRITE_MARGIN;
use domain::lease::WaitReason;
use domain::ports::call_gate::{CallGate, GateClosed, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::contention::{self, Attempt};
use crate::held_lease::LeaseEnd;

/// The most slots leased at once. A run that sends a call every 300 ms uses four in about a second.
const MOST_SLOTS: u32 = 4;

/// A run leases as many slots as it will use within this time.
const LEASE_AHEAD: SignedDuration = SignedDuration::from_secs(1);

/// A slot that has been missed by more than this is given up: calls that all come late would come at once.
const LATEST_USE: SignedDuration = SignedDuration::from_secs(2);

/// A call of a run that writes waits for its slot no longer, unless slots are still farther apart.
const LONGEST_WAIT_TO_WRITE: Duration = Duration::from_secs(10);

/// When to ask again for a ledger that does not answer.
const CLOSED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Admits the calls of one run.
pub struct LedgerCallGate {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    account: AccountId,
    policy: BudgetPolicy,
    run_ends: Timestamp,
    /// The lease under which calls may write.
    fence: Option<Arc<LeaseEnd>>,
    ordinary: Mutex<Slots>,
    search: Mutex<Slots>,
    calls: AtomicU64,
    calls_refused: AtomicU64,
    /// An `f64` by its bits.
    budget_used_percent: AtomicU64,
}

/// What went through a gate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GateUsage {
    pub calls: u64,
    /// Of these, calls that the CRM refused with 429.
    pub calls_refused: u64,
    /// Share of the account's calls of the day that is used, by all runs together.
    pub budget_used_percent: f64,
}

/// Slots of one kind that the run holds.
#[derive(Default)]
struct Slots {
    held: VecDeque<Timestamp>,
    last_admitted: Option<Timestamp>,
    /// Time between the latest two admissions.
    pace: Option<SignedDuration>,
}

impl Slots {
    fn wanted(&self) -> u32 {
        let Some(pace) = self.pace else { return 1 };
        let fitting = LEASE_AHEAD.as_millis() / pace.as_millis().max(1);
        u32::try_from(fitting).unwrap_or(MOST_SLOTS).clamp(1, MOST_SLOTS)
    }

    fn admitted(&mut self, now: Timestamp) {
        self.pace = self.last_admitted.map(|last| now.duration_since(last));
        self.last_admitted = Some(now);
    }
}

impl LedgerCallGate {
    /// A gate for `account` under `policy`; no call is admitted after `run_ends`.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        account: AccountId,
        policy: BudgetPolicy,
        run_ends: Timestamp,
    ) -> Self {
        Self {
            ledger,
            clock,
            account,
            policy,
            run_ends,
            fence: None,
            ordinary: Mutex::default(),
            search: Mutex::default(),
            calls: AtomicU64::new(0),
            calls_refused: AtomicU64::new(0),
            budget_used_percent: AtomicU64::new(0),
        }
    }

    /// The gate of a run that may write: it admits calls only while the lease outlives the longest answer.
    pub(crate) fn fenced(self, lease: Arc<LeaseEnd>) -> Self {
        Self { fence: Some(lease), ..self }
    }

    /// What went through the gate so far.
    pub fn usage(&self) -> GateUsage {
        GateUsage {
            calls: self.calls.load(Ordering::Relaxed),
            calls_refused: self.calls_refused.load(Ordering::Relaxed),
            budget_used_percent: f64::from_bits(self.budget_used_percent.load(Ordering::Relaxed)),
        }
    }

    /// Returns when an ordinary call could be sent at once. Its slot is kept for the next one.
    ///
    /// # Errors
    /// [`GateClosed`] when that would be later than the run lasts.
    pub(crate) async fn slot_comes(&self) -> Result<(), GateClosed> {
        let mut slots = self.ordinary.lock().await;
        let slot = self.next_slot(CallKind::Ordinary, &mut slots).await?;
        let came = self.pass_until(slot).await;
        slots.held.push_front(slot);
        came
    }

    /// Calls that the account's budget admits within `time` in the long run.
    pub(crate) fn calls_within(&self, time: Duration) -> f64 {
        self.policy.calls_per_second() * time.as_secs_f64()
    }

    /// Checks that at least `wanted` calls are left today, or that most of the day's are, where it has fewer in all.
    ///
    /// # Errors
    /// [`GateClosed`], with when the day ends.
    pub(crate) async fn check_left_today(&self, wanted: u32) -> Result<(), GateClosed> {
        let now = self.clock.now();
        let loaded = ledger::load::<CallBudget>(&*self.ledger, &CallBudget::key_of(&self.account)).await;
        let budget = match loaded {
            Ok(Some(loaded)) => loaded.record,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "call-budget.unavailable");
                return Err(GateClosed { until: now + CLOSED_FOR, reason: WaitReason::RateLimit });
            }
        };
        let enough = wanted.min(self.policy.calls_per_day() / 2);
        match budget.left_today(&self.policy, enough, now) {
            (left, _) if left >= enough => Ok(()),
            (_, until) => Err(GateClosed { until, reason: WaitReason::DailyLimit }),
        }
    }

    async fn lease(&self, kind: CallKind, wanted: u32) -> Result<Grant, LedgerError> {
        let (grant, used) = self
            .change(|budget, now| {
                let (next, grant) = budget.lease(&self.policy, kind, wanted, now, self.run_ends);
                let used = next.used_percent(&self.policy);
                (next, (grant, used))
            })
            .await?;
        self.budget_used_percent.store(used.to_bits(), Ordering::Relaxed);
        Ok(grant)
    }

    /// Changes the account's budget, whoever else does so at the same time.
    async fn change<T>(&self, change: impl Fn(&CallBudget, Timestamp) -> (CallBudget, T)) -> Result<T, LedgerError> {
        contention::retry(|| async {
            let now = self.clock.now();
            let loaded = ledger::load::<CallBudget>(&*self.ledger, &CallBudget::key_of(&self.account)).await?;
            let (write, value) = if let Some(loaded) = loaded {
                let (next, value) = change(&loaded.record, now);
                if next == loaded.record {
                    return Ok(Attempt::Settled(value));
                }
                (Change::replace(&loaded, &next), value)
            } else {
                let unused = CallBudget::unused(self.account.clone(), &self.policy, now);
                let (next, value) = change(&unused, now);
                (Change::create(&next), value)
            };
            contention::settle(self.ledger.commit(&[write]).await, value)
        })
        .await
    }

    /// Waits for a slot. Of a run that writes no call waits for long: what it is about to overwrite may change meanwhile.
    async fn pass_until(&self, slot: Timestamp) -> Result<(), GateClosed> {
        let Ok(ahead) = Duration::try_from(slot.duration_since(self.clock.now())) else { return Ok(()) };
        let longest = LONGEST_WAIT_TO_WRITE.max(Duration::from_secs_f64(3.0 / self.policy.calls_per_second()));
        if self.fence.is_some() && ahead > longest {
            return Err(GateClosed { until: slot, reason: WaitReason::RateLimit });
        }
        tokio::time::sleep(ahead).await;
        Ok(())
    }

    async fn next_slot(&self, kind: CallKind, slots: &mut Slots) -> Result<Timestamp, GateClosed> {
        loop {
            let now = self.clock.now();
            while let Some(slot) = slots.held.pop_front() {
                if now.duration_since(slot) <= LATEST_USE {
                    return Ok(slot);
                }
            }
            match self.lease(kind, slots.wanted()).await {
                Ok(Grant::Slots(granted)) => slots.held.extend(granted),
                Ok(Grant::Wait { until, reason }) => return Err(GateClosed { until, reason }),
                Err(error) => {
                    tracing::warn!(%error, "call-budget.unavailable");
                    return Err(GateClosed { until: now + CLOSED_FOR, reason: WaitReason::RateLimit });
                }
            }
        }
    }
}

#[async_trait]
impl CallGate for LedgerCallGate {
    async fn admit(&self, kind: CallKind) -> Result<(), GateClosed> {
        let mut slots = match kind {
            CallKind::Ordinary => self.ordinary.lock().await,
            CallKind::Search => self.search.lock().await,
        };
        let slot = self.next_slot(kind, &mut slots).await?;
        if let Err(closed) = self.pass_until(slot).await {
            // For whoever asks next, who is refused as well: each slot that is leased in vain puts off all others.
            slots.held.push_front(slot);
            return Err(closed);
        }
        let now = self.clock.now();
        if self.fence.as_ref().is_some_and(|lease| !lease.outlasts(now, WRITE_MARGIN)) {
            return Err(GateClosed { until: now, reason: WaitReason::RunsEnding });
        }
        slots.admitted(now);
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The client has logged the refusal, with the call that it was for.
    async fn refused(&self, policy: RefusedPolicy, pause: SignedDuration) {
        self.calls_refused.fetch_add(1, Ordering::Relaxed);
        let changed = self
            .change(|budget, now| match policy {
                RefusedPolicy::Daily => (budget.daily_remaining(&self.policy, 0, now), ()),
                RefusedPolicy::Rate => (budget.paused(now + pause), ()),
                RefusedPolicy::Searches => (budget.searches_paused(now + pause), ()),
            })
            .await;
        if let Err(error) = changed {
            tracing::warn!(%error, "call-budget.unavailable");
        }
        // Last, since calls that wait for their slot hold these.
        if policy != RefusedPolicy::Searches {
            self.ordinary.lock().await.held.clear();
        }
        self.search.lock().await.held.clear();
    }

    async fn daily_remaining(&self, remaining: u32) {
        let changed = self.change(|budget, now| (budget.daily_remaining(&self.policy, remaining, now), ())).await;
        if let Err(error) = changed {
            tracing::warn!(%error, "call-budget.unavailable");
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::budget::{CallLimits, CallShare};
    use in_memory::{ManualClock, MemoryLedger};

    use super::*;
    use crate::samples::{self, NOW};

    /// A second of pause for all calls costs a backup more than the search was worth.
    #[tokio::test]
    async fn a_refused_search_holds_up_no_other_call() {
        let (ledger, clock): (Arc<dyn Ledger>, Arc<dyn Clock>) =
            (Arc::new(MemoryLedger::new()), Arc::new(ManualClock::at(NOW)));
        let policy = BudgetPolicy {
            limits: CallLimits::LOWEST,
            share: CallShare::default(),
            time_zone: jiff::tz::TimeZone::UTC,
        };
        let run_ends = NOW + SignedDuration::from_secs(1);
        let gate =
            || LedgerCallGate::new(ledger.clone(), clock.clone(), samples::account_id("42"), policy.clone(), run_ends);
        let (one, other) = (gate(), gate());
        one.refused(RefusedPolicy::Searches, SignedDuration::from_secs(5)).await;
        for gate in [&one, &other] {
            gate.admit(CallKind::Ordinary).await.expect("nothing is said about ordinary calls");
            let closed = gate.admit(CallKind::Search).await.expect_err("the pause is longer than the run");
            assert_eq!(closed.until, NOW + SignedDuration::from_secs(5));
        }
        one.refused(RefusedPolicy::Rate, SignedDuration::from_secs(3)).await;
        let closed = other.admit(CallKind::Ordinary).await.expect_err("all calls pause");
        assert_eq!(closed.until, NOW + SignedDuration::from_secs(3));
    }
}
