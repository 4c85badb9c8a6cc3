//! Thousands of accounts that are due in the same minute.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use domain::ports::ledger::{DUE_SHARDS, Ledger};
use faults::{Latent, Pace, samples};
use in_memory::{CountingLedger, LedgerCalls, ManualClock, MemoryLedger, MemoryQueue};
use jiff::{SignedDuration, Timestamp, ToSpan, Unit};
use workflows::schedule::Started;

use crate::accounts::{accounts, assert_one_backup_each, assert_one_message_each, due_after, ends, starter, switch_on};

/// How many are due at once.
const DUE: u64 = 2_000;

/// How many the list of what is due names at most in one answer.
const PAGE: u64 = 100;

const FEW: SignedDuration = SignedDuration::from_secs(30);

fn first_minute() -> Timestamp {
    samples::beginning().round(Unit::Minute).expect("in range")
}

/// Two times as many accounts as are due at once, half of them due an hour after the others: one worker starts the
/// first ones, two workers at the same time the others.
async fn every_schedule_starts_one_backup(ledger: Arc<dyn Ledger>) {
    let (first, second) = (accounts(1_000_000..1_000_000 + DUE), accounts(2_000_000..2_000_000 + DUE));
    let begun = [first_minute(), first_minute() + 1.hour()];
    switch_on(&*ledger, &first, begun[0]).await;
    switch_on(&*ledger, &second, begun[1]).await;
    let due = begun.map(due_after);
    let clock = Arc::new(ManualClock::at(due[0] + FEW));
    let queue = Arc::new(MemoryQueue::new(clock.clone()));
    let counting = Arc::new(CountingLedger::new(ledger.clone()));
    let worker = || starter(counting.clone(), queue.clone(), &clock);

    let round = worker().round(ends(&clock)).await.expect("the list of what is due can be read");
    assert_eq!(round, Started { started: DUE, ..Started::default() });
    assert_reads_are_bounded(counting.calls());
    let messages = assert_one_message_each(&queue, &first);
    assert_eq!(assert_one_backup_each(&*ledger, &first, due[0]).await, messages);

    clock.set(due[1] + FEW);
    let (one, other) = (worker(), worker());
    let (one, other) = tokio::join!(one.round(ends(&clock)), other.round(ends(&clock)));
    let (one, other) = (one.expect("can be read"), other.expect("can be read"));
    println!("two workers: {one:?} {other:?}, {:?} with the round before", counting.calls());
    assert_eq!(one.started + other.started, DUE, "{one:?} {other:?}");
    assert_eq!((one.skipped + other.skipped, one.waiting + other.waiting), (0, 0), "{one:?} {other:?}");
    let messages = assert_one_message_each(&queue, &second);
    assert_eq!(assert_one_backup_each(&*ledger, &second, due[1]).await, messages);
}

/// Three reads and one transaction for each backup, and a look at each page of each shard, however many accounts there
/// are that are not due.
fn assert_reads_are_bounded(calls: LedgerCalls) {
    println!("{DUE} scheduled backups: {calls:?}");
    let LedgerCalls { gets, lists, commits, dues, .. } = calls;
    assert!(gets <= 3 * DUE, "{calls:?}");
    assert_eq!((lists, commits), (0, DUE));
    assert!(dues <= DUE / PAGE + u64::from(DUE_SHARDS), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn every_schedule_starts_one_backup_in_memory() {
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
    every_schedule_starts_one_backup(Arc::new(Latent::new(ledger, Pace::Simulated, 1))).await;
}

#[tokio::test]
async fn every_schedule_starts_one_backup_on_dynamodb_local() {
    // Boxed, as the SDK's futures are large.
    Box::pin(with_tables(DYNAMODB_LOCAL, async |ledger, _| every_schedule_starts_one_backup(Arc::new(ledger)).await))
        .await;
}
