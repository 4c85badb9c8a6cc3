//! The call gate of one run: leases slots from the account's call budget in the ledger and sleeps until they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// A run leases as many slots as it used within this time. It leases no more than the rate has in it: they are lost to
/// others if it ends.
const LEASE_AHEAD: SignedDuration = SignedDuration::from_secs(1);

/// A slot missed by more than this is given up. Otherwise all late calls would be sent at the same time.
const LATEST_USE: SignedDuration = SignedDuration::from_millis(500);

/// The longest wait of a writing run's call for its slot, unless slots are even further apart.
const LONGEST_WAIT_TO_WRITE: Duration = Duration::from_secs(10);

/// When to ask again after the ledger did not answer.
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
    ordinary: Queue,
    search: Queue,
    calls: AtomicU64,
    /// Milliseconds that all calls together have waited for their slots.
    waited: AtomicU64,
    calls_refused: AtomicU64,
    /// An `f64`, stored as its bits.
    budget_used_percent: AtomicU64,
}

/// Calls that went through a gate.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GateUsage {
    pub calls: u64,
    /// How long they waited for their slots, all together.
    pub waited: Duration,
    /// Of these, calls that the CRM refused with 429.
    pub calls_refused: u64,
    /// The used share of the account's daily calls, by all runs together.
    pub budget_used_percent: f64,
}

/// Slots of one kind that the run has.
#[derive(Default)]
struct Slots {
    held: VecDeque<Timestamp>,
    /// The latest admissions.
    admitted: VecDeque<Timestamp>,
}

impl Slots {
    /// How many slots to lease, if `waiting` calls wait for one now: at most `most`, the slots within [`LEASE_AHEAD`].
    fn wanted(&mut self, waiting: usize, most: u32, now: Timestamp) -> u32 {
        while self.admitted.front().is_some_and(|at| now.duration_since(*at) >= LEASE_AHEAD) {
            self.admitted.pop_front();
        }
        u32::try_from(self.admitted.len().max(waiting)).unwrap_or(most).clamp(1, most)
    }

    fn admitted(&mut self, now: Timestamp) {
        self.admitted.push_back(now);
    }
}

/// A kind of calls at the gate.
#[derive(Default)]
struct Queue {
    slots: Mutex<Slots>,
    /// Calls that wait for a slot.
    waiting: AtomicUsize,
}

/// Counts a call as waiting until it is dropped.
struct QueuedCall<'a>(&'a AtomicUsize);

impl<'a> QueuedCall<'a> {
    fn at(queue: &'a Queue) -> Self {
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        Self(&queue.waiting)
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LedgerCallGate {
    /// A gate for `account` under `policy`. It admits no call after `run_ends`.
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
            ordinary: Queue::default(),
            search: Queue::default(),
            calls: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            calls_refused: AtomicU64::new(0),
            budget_used_percent: AtomicU64::new(0),
        }
    }

    /// The gate of a run that may write: it admits a call only if the lease outlasts the longest answer.
    pub(crate) fn fenced(self, lease: Arc<LeaseEnd>) -> Self {
        Self { fence: Some(lease), ..self }
    }

    /// Calls that went through the gate so far.
    pub fn usage(&self) -> GateUsage {
        GateUsage {
            calls: self.calls.load(Ordering::Relaxed),
            waited: Duration::from_millis(self.waited.load(Ordering::Relaxed)),
            calls_refused: self.calls_refused.load(Ordering::Relaxed),
            budget_used_percent: f64::from_bits(self.budget_used_percent.load(Ordering::Relaxed)),
        }
    }

    /// Returns when an ordinary call could be sent at once. Its slot is kept for the next call.
    ///
    /// # Errors
    /// [`GateClosed`] if that is after the end of the run.
    pub(crate) async fn slot_comes(&self) -> Result<(), GateClosed> {
        let _waiting = QueuedCall::at(&self.ordinary);
        let mut slots = self.ordinary.slots.lock().await;
        let slot = self.next_slot(CallKind::Ordinary, &mut slots).await?;
        let came = self.pass_until(slot).await;
        slots.held.push_front(slot);
        came
    }

    /// The number of calls that the account's budget admits within `time` on average.
    pub(crate) fn calls_within(&self, time: Duration) -> f64 {
        self.policy.calls_per_second() * time.as_secs_f64()
    }

    /// Checks that at least `wanted` calls are left today or, if the daily limit is smaller than that, most of the
    /// day's calls.
    ///
    /// # Errors
    /// [`GateClosed`], with the end of the day.
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

    /// Changes the account's budget, even if others change it at the same time.
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

    /// Waits for a slot. A call of a writing run does not wait long: the value that it is about to overwrite may change
    /// meanwhile.
    async fn pass_until(&self, slot: Timestamp) -> Result<(), GateClosed> {
        let Ok(ahead) = Duration::try_from(slot.duration_since(self.clock.now())) else { return Ok(()) };
        let longest = LONGEST_WAIT_TO_WRITE.max(Duration::from_secs_f64(3.0 / self.policy.calls_per_second()));
        if self.fence.is_some() && ahead > longest {
            return Err(GateClosed { until: slot, reason: WaitReason::RateLimit });
        }
        tokio::time::sleep(ahead).await;
        Ok(())
    }

    fn queue(&self, kind: CallKind) -> &Queue {
        match kind {
            CallKind::Ordinary => &self.ordinary,
            CallKind::Search => &self.search,
        }
    }

    async fn next_slot(&self, kind: CallKind, slots: &mut Slots) -> Result<Timestamp, GateClosed> {
        loop {
            let now = self.clock.now();
            while let Some(slot) = slots.held.pop_front() {
                if now.duration_since(slot) <= LATEST_USE {
                    return Ok(slot);
                }
            }
            let most = self.policy.slots_within(kind, LEASE_AHEAD);
            let wanted = slots.wanted(self.queue(kind).waiting.load(Ordering::Relaxed), most, now);
            match self.lease(kind, wanted).await {
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
        let came = self.clock.now();
        let queue = self.queue(kind);
        let _waiting = QueuedCall::at(queue);
        let mut slots = queue.slots.lock().await;
        let slot = self.next_slot(kind, &mut slots).await?;
        if let Err(closed) = self.pass_until(slot).await {
            // Kept for the next call, which is refused too: each slot leased in vain delays all others.
            slots.held.push_front(slot);
            return Err(closed);
        }
        let now = self.clock.now();
        if self.fence.as_ref().is_some_and(|lease| !lease.outlasts(now, WRITE_MARGIN)) {
            return Err(GateClosed { until: now, reason: WaitReason::RunsEnding });
        }
        slots.admitted(now);
        let waited = u64::try_from(now.duration_since(came).as_millis()).unwrap_or(0);
        self.waited.fetch_add(waited, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The client has logged the refusal, with its call.
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
        // Last, since calls that wait for their slot hold these locks.
        if policy != RefusedPolicy::Searches {
            self.ordinary.slots.lock().await.held.clear();
        }
        self.search.slots.lock().await.held.clear();
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
    async fn a_refused_search_delays_no_other_call() {
        let (ledger, clock): (Arc<dyn Ledger>, Arc<dyn Clock>) =
            (Arc::new(MemoryLedger::new()), Arc::new(ManualClock::at(NOW)));
        let policy = BudgetPolicy {
            limits: CallLimits::in_ten_seconds(100, 250_000),
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
