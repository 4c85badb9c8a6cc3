//! A call of a port fails, or its answer is lost, or the worker dies there: at every call of a round in turn. The rule
//! fires again a minute later, and what is forgotten after all is recovered.

use std::sync::Arc;

use domain::ids::{AccountId, BackupId};
use domain::ports::ledger::Ledger;
use faults::samples;
use in_memory::faults::{Fault, Faults, Sweep};
use in_memory::{ManualClock, MemoryDeadLetters, MemoryLedger, MemoryQueue};
use jiff::{SignedDuration, Timestamp, Unit};
use workflows::recover::Recover;

use crate::accounts::{accounts, assert_one_backup_each, due_after, ends, starter, switch_on};

/// How often the rule fires; the last time without a fault.
const ROUNDS: usize = 3;

struct Due {
    ledger: Arc<dyn Ledger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
    accounts: Vec<AccountId>,
    since: Timestamp,
}

impl Due {
    async fn some() -> Self {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let (accounts, minute) = (accounts(1..6), samples::beginning().round(Unit::Minute).expect("in range"));
        switch_on(&*ledger, &accounts, minute).await;
        let since = due_after(minute);
        let clock = Arc::new(ManualClock::at(since));
        let queue = Arc::new(MemoryQueue::new(clock.clone()));
        Self { ledger, queue, clock, accounts, since }
    }

    /// One firing of the rule, which may fail or die.
    async fn round(&self, faults: &Arc<Faults>) {
        let worker = faults.worker();
        let starter = starter(worker.wrap(self.ledger.clone()), worker.wrap(self.queue.clone()), &self.clock);
        drop(worker.run(starter.round(ends(&self.clock))).await);
        self.clock.advance(SignedDuration::from_mins(1));
    }

    /// Looks, an hour later, for backups whose message was lost with the worker.
    async fn recover(&self) {
        self.clock.advance(SignedDuration::from_hours(1));
        let recover = Recover {
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            dead_letters: Arc::new(MemoryDeadLetters::new()),
        };
        recover.round().await.expect("memory answers");
    }
}

#[tokio::test]
async fn a_fault_at_any_call_leaves_one_backup_of_each_schedule() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(45);
        sweep
            .of(fault, async |faults| {
                let due = Due::some().await;
                for _ in 0..ROUNDS {
                    due.round(&faults).await;
                }
                let backups = assert_one_backup_each(&*due.ledger, &due.accounts, due.since).await;
                assert_eq!(backups.len(), due.accounts.len(), "{:?}", faults.struck());
                due.recover().await;
                let queued: Vec<_> = due.queue.queued().into_iter().map(|queued| queued.work).collect();
                let begins = |(account, id): (&AccountId, &BackupId)| {
                    queued.iter().any(|work| work.account_id() == account && work.run_id() == id.as_str())
                };
                assert!(backups.iter().all(begins), "{:?}", faults.struck());
            })
            .await;
    }
}
