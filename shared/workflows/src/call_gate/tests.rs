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
    assert!(used >= 1_105, "{used} of 1,140 calls, with a pause of a second");
}

/// A second of pause for all calls costs a backup more than the search was worth.
#[tokio::test]
async fn a_refused_search_delays_no_other_call() {
    let (ledger, clock): (Arc<dyn Ledger>, Arc<dyn Clock>) =
        (Arc::new(MemoryLedger::new()), Arc::new(ManualClock::at(NOW)));
    let run_ends = NOW + SignedDuration::from_secs(1);
    let gate = || LedgerCallGate::new(ledger.clone(), clock.clone(), samples::account_id("42"), policy(100), run_ends);
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
