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
    fn latest_use(&self, most: u32) -> SignedDuration {
        let uses_half = self.admitted.len() * 2 >= usize::try_from(most).unwrap_or(usize::MAX);
        if uses_half { LATEST_USE } else { LATEST_USE_OF_FEW }
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
            let latest_use = slots.latest_use(most);
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
mod tests {
    use domain::budget::{CallLimits, CallShare};
    use domain::ports::ledger::{DueList, Key, ListPage, ListRequest, Stored};
    use in_memory::{ManualClock, MemoryLedger};

    use super::*;
    use crate::samples::{self, NOW};

    /// A clock that moves with tokio's.
    struct Elapsed(tokio::time::Instant);

    impl Clock for Elapsed {
        fn now(&self) -> Timestamp {
            NOW + SignedDuration::try_from(self.0.elapsed()).expect("short")
        }
    }

    /// A ledger that takes its time with each call.
    struct SlowLedger(MemoryLedger, Duration);

    #[async_trait]
    impl Ledger for SlowLedger {
        async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
            tokio::time::sleep(self.1).await;
            self.0.get(key).await
        }

        async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
            self.0.list(request).await
        }

        async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
            tokio::time::sleep(self.1).await;
            self.0.commit(changes).await
        }

        async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
            self.0.due(list, shard, now, limit).await
        }
    }

    /// Slots have come and gone when a slow ledger answers.
    #[tokio::test(start_paused = true)]
    async fn a_slow_ledger_holds_up_no_call_for_good() {
        for (lanes, millis, least) in [(1, 100, 100), (1, 300, 40), (8, 150, 500), (8, 300, 300)] {
            let clock: Arc<dyn Clock> = Arc::new(Elapsed(tokio::time::Instant::now()));
            let ledger: Arc<dyn Ledger> = Arc::new(SlowLedger(MemoryLedger::new(), Duration::from_millis(millis)));
            let gate = LedgerCallGate::new(
                ledger,
                clock.clone(),
                samples::account_id("42"),
                policy(190),
                NOW + SignedDuration::from_mins(2),
            );
            let lane = || async {
                while clock.now() < NOW + SignedDuration::from_mins(1) {
                    gate.admit(CallKind::Ordinary).await.expect("the run goes on");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            };
            futures_util::future::join_all((0..lanes).map(|_| lane())).await;
            let calls = gate.usage().calls;
            assert!(calls >= least, "{calls} calls of {lanes} lanes, {millis} ms");
        }
    }

    fn policy(per_ten_seconds: u32) -> BudgetPolicy {
        BudgetPolicy {
            limits: CallLimits::in_ten_seconds(per_ten_seconds, 250_000),
            share: CallShare::default(),
            time_zone: jiff::tz::TimeZone::UTC,
        }
    }

    /// Lanes with a slow CRM keep to the limit and use it up, even after a refused call.
    #[tokio::test(start_paused = true)]
    async fn a_refused_call_costs_no_more_than_its_pause() {
        const LIMIT: u32 = 190;
        let clock: Arc<dyn Clock> = Arc::new(Elapsed(tokio::time::Instant::now()));
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let run_ends = NOW + SignedDuration::from_mins(2);
        let gate = LedgerCallGate::new(ledger, clock.clone(), samples::account_id("42"), policy(LIMIT), run_ends);
        let lane = |lane: u64| {
            let (gate, clock) = (&gate, &clock);
            async move {
                let mut sent = Vec::new();
                for call in lane.. {
                    gate.admit(CallKind::Ordinary).await.expect("the run goes on");
                    let at = clock.now().duration_since(NOW).as_millis();
                    if at > 80_000 {
                        return sent;
                    }
                    if lane == 0 && at > 40_000 && sent.last().is_some_and(|before| *before <= 40_000) {
                        gate.refused(RefusedPolicy::Rate, SignedDuration::from_secs(1)).await;
                    }
                    sent.push(at);
                    tokio::time::sleep(Duration::from_millis(800 + call * 37 % 61 + call % 7 * 40)).await;
                }
                sent
            }
        };
        let mut sent = futures_util::future::join_all((0..22).map(lane)).await.concat();
        sent.sort_unstable();
        let most = (0..sent.len()).map(|n| sent[n..].partition_point(|at| *at < sent[n] + 10_000)).max();
        assert!(most <= Some(LIMIT as usize), "{most:?} calls in ten seconds");
        let used = sent.iter().filter(|at| (20_000..80_000).contains(*at)).count();
        assert!(used >= 1_117, "{used} of 1,140 calls, with a pause of a second");
    }

    /// A second of pause for all calls costs a backup more than the search was worth.
    #[tokio::test]
    async fn a_refused_search_delays_no_other_call() {
        let (ledger, clock): (Arc<dyn Ledger>, Arc<dyn Clock>) =
            (Arc::new(MemoryLedger::new()), Arc::new(ManualClock::at(NOW)));
        let run_ends = NOW + SignedDuration::from_secs(1);
        let gate =
            || LedgerCallGate::new(ledger.clone(), clock.clone(), samples::account_id("42"), policy(100), run_ends);
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
