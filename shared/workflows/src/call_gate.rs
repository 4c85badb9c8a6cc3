//! The call gate of one run: leases slots from the account's call budget in the ledger and sleeps until they come.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
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

/// A slot missed by more than this is given back: if the run uses at least half of the rate, or less. A call that is sent
/// later than its slot leaves the CRM's window later than it is counted. With half a second, one call in two hundred was
/// refused when the window was full.
const LATEST_USE: SignedDuration = SignedDuration::from_millis(150);
const LATEST_USE_OF_FEW: SignedDuration = SignedDuration::from_millis(500);

/// The same for searches, whose window is a second. Their slots leave 80 ms of a second free.
const LATEST_USE_TO_SEARCH: SignedDuration = SignedDuration::from_millis(70);

/// The longest time that leasing slots is expected to take.
const LONGEST_LEASING: SignedDuration = SignedDuration::from_secs(1);

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
    /// Slots that no call will use. The budget gets them back with the next lease.
    unused: Vec<Timestamp>,
    /// How long the latest lease took. The next one is for slots that come after it.
    leasing_took: SignedDuration,
    /// The latest admissions.
    admitted: VecDeque<Timestamp>,
}

impl Slots {
    /// How many slots to lease, if `waiting` calls wait for one now: at most `most`, the slots within [`LEASE_AHEAD`].
    fn wanted(&mut self, waiting: u32, most: u32, now: Timestamp) -> u32 {
        while self.admitted.front().is_some_and(|at| now.duration_since(*at) >= LEASE_AHEAD) {
            self.admitted.pop_front();
        }
        u32::try_from(self.admitted.len()).unwrap_or(most).max(waiting).clamp(1, most)
    }

    fn admitted(&mut self, now: Timestamp) {
        self.admitted.push_back(now);
    }

    /// How late a slot may be used, if the rate has `most` slots within [`LEASE_AHEAD`].
    fn latest_use(&self, kind: CallKind, most: u32) -> SignedDuration {
        let uses_half = self.admitted.len() * 2 >= usize::try_from(most).unwrap_or(usize::MAX);
        match kind {
            CallKind::Search => LATEST_USE_TO_SEARCH,
            CallKind::Ordinary if uses_half => LATEST_USE,
            CallKind::Ordinary => LATEST_USE_OF_FEW,
        }
    }

    /// Uses none of the slots that the run has.
    fn give_up(&mut self) {
        self.unused.extend(self.held.drain(..));
    }
}

/// A kind of calls at the gate.
#[derive(Default)]
struct Queue {
    slots: Mutex<Slots>,
    waiting: std::sync::Mutex<WaitingCalls>,
}

/// The calls that wait for a slot.
#[derive(Debug, Clone, Copy, Default)]
struct WaitingCalls {
    calls: u32,
    /// The sum of the times, in milliseconds, at which they came.
    came: i64,
}

impl WaitingCalls {
    /// How long the present calls have waited so far, all together.
    fn waited(self, now: Timestamp) -> Duration {
        let millis = i64::from(self.calls).saturating_mul(now.as_millisecond()).saturating_sub(self.came);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, WaitingCalls> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call as waiting until it is dropped.
struct QueuedCall<'a> {
    queue: &'a Queue,
    came: Timestamp,
}

impl<'a> QueuedCall<'a> {
    fn at(queue: &'a Queue, came: Timestamp) -> Self {
        let mut waiting = queue.waiting();
        waiting.calls += 1;
        waiting.came += came.as_millisecond();
        drop(waiting);
        Self { queue, came }
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting();
        waiting.calls -= 1;
        waiting.came -= self.came.as_millisecond();
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

    /// Calls that went through the gate so far. The time that calls have waited includes those that still wait, so that
    /// a pause shows at once.
    pub fn usage(&self) -> GateUsage {
        let now = self.clock.now();
        let waiting = [&self.ordinary, &self.search].map(|queue| queue.waiting().waited(now));
        let waited = Duration::from_millis(self.waited.load(Ordering::Relaxed));
        GateUsage {
            calls: self.calls.load(Ordering::Relaxed),
            waited: waiting.into_iter().fold(waited, Duration::saturating_add),
            calls_refused: self.calls_refused.load(Ordering::Relaxed),
            budget_used_percent: f64::from_bits(self.budget_used_percent.load(Ordering::Relaxed)),
        }
    }

    /// Returns when an ordinary call could be sent at once. Its slot is kept for the next call.
    ///
    /// # Errors
    /// [`GateClosed`] if that is after the end of the run.
    pub(crate) async fn slot_comes(&self) -> Result<(), GateClosed> {
        let _waiting = QueuedCall::at(&self.ordinary, self.clock.now());
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

    /// Leases slots that come after the time that leasing takes, and gives back those that no call has used.
    async fn lease(
        &self,
        kind: CallKind,
        wanted: u32,
        unused: &[Timestamp],
        takes: SignedDuration,
    ) -> Result<Grant, LedgerError> {
        // In a second attempt, the first one may be stored.
        let is_first = AtomicBool::new(true);
        let (grant, used) = self
            .change(|budget, now| {
                let unused = if is_first.swap(false, Ordering::Relaxed) { unused } else { &[] };
                let budget = budget.given_back(&self.policy, kind, unused);
                let (next, grant) = budget.lease(&self.policy, kind, wanted, now + takes, self.run_ends);
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
            let most = self.policy.slots_within(kind, LEASE_AHEAD);
            let latest_use = slots.latest_use(kind, most);
            while let Some(slot) = slots.held.pop_front() {
                if now.duration_since(slot) <= latest_use {
                    return Ok(slot);
                }
                slots.unused.push(slot);
            }
            let waiting = self.queue(kind).waiting().calls;
            let wanted = slots.wanted(waiting, most, now);
            // Forgotten in any case: a slot that is given back twice would be one too many.
            let unused = std::mem::take(&mut slots.unused);
            let leased = self.lease(kind, wanted, &unused, slots.leasing_took).await;
            slots.leasing_took = self.clock.now().duration_since(now).clamp(SignedDuration::ZERO, LONGEST_LEASING);
            match leased {
                Ok(Grant::Slots(granted)) => {
                    slots.held.extend(granted);
                    // Even if it is late: with a slow ledger, no call would be sent otherwise.
                    if let Some(slot) = slots.held.pop_front() {
                        return Ok(slot);
                    }
                }
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
        let _waiting = QueuedCall::at(queue, came);
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
            self.ordinary.slots.lock().await.give_up();
        }
        self.search.slots.lock().await.give_up();
    }

    async fn daily_remaining(&self, remaining: u32) {
        let changed = self.change(|budget, now| (budget.daily_remaining(&self.policy, remaining, now), ())).await;
        if let Err(error) = changed {
            tracing::warn!(%error, "call-budget.unavailable");
        }
    }
}

#[cfg(test)]
mod tests;
