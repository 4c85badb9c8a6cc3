//! What faults do to the calls of a worker.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError};
use in_memory::MemoryLedger;
use in_memory::faults::{Armed, Fault, Faults, Sweep};

fn change(sort: &str) -> Change {
    let body = Some(serde_json::json!({}));
    Change {
        key: Key::new("p", sort),
        expected: None,
        body,
        format: 1,
        due_at: None,
        due_in: DueList::Work,
        forget_at: None,
    }
}

async fn put_two(ledger: &dyn Ledger) -> Result<(), LedgerError> {
    ledger.commit(&[change("1")]).await?;
    ledger.commit(&[change("2")]).await
}

fn sorts(ledger: &MemoryLedger) -> Vec<String> {
    ledger.all().into_iter().map(|stored| stored.key.sort).collect()
}

#[tokio::test]
async fn a_failed_call_does_nothing_and_its_worker_learns_of_it() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::at(2, Fault::CallFails);

    let worker = faults.worker();
    let outcome = worker.run(put_two(&*worker.wrap(ledger.clone()))).await;

    assert!(matches!(outcome, Some(Err(LedgerError::Unavailable(_)))));
    assert_eq!(sorts(&ledger), ["1"]);
    assert_eq!(faults.struck()[0].call, "Ledger::commit");
}

#[tokio::test]
async fn a_lost_answer_leaves_the_effect() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::at(1, Fault::AnswerLost);

    let worker = faults.worker();
    let outcome = worker.run(put_two(&*worker.wrap(ledger.clone()))).await;

    assert!(matches!(outcome, Some(Err(LedgerError::Unavailable(_)))));
    assert_eq!(sorts(&ledger), ["1"]);
}

#[tokio::test]
async fn a_dead_worker_gets_nothing_through_and_the_next_one_does() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::at(2, Fault::WorkerDies);

    let worker = faults.worker();
    let wrapped = worker.wrap(ledger.clone());
    assert_eq!(worker.run(put_two(&*wrapped)).await, None);
    let detached = tokio::spawn(async move { wrapped.commit(&[change("3")]).await });
    tokio::task::yield_now().await;
    assert!(!detached.is_finished());
    detached.abort();
    assert_eq!(sorts(&ledger), ["1"]);

    let next = faults.worker();
    let outcome = next.run(next.wrap(ledger.clone()).commit(&[change("4")])).await;
    assert_eq!(outcome, Some(Ok(())));
    assert_eq!(sorts(&ledger), ["1", "4"]);
}

#[tokio::test]
async fn a_held_call_is_made_when_it_is_released() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::at(1, Fault::CallHeld);

    let frozen = faults.worker();
    let wrapped = frozen.wrap(ledger.clone());
    let changes = [change("1")];
    let (late, ()) = tokio::join!(frozen.run(wrapped.commit(&changes)), async {
        faults.until_struck().await;
        let other = faults.worker();
        assert_eq!(other.run(other.wrap(ledger.clone()).commit(&[change("1")])).await, Some(Ok(())));
        faults.release();
    });

    assert_eq!(late, Some(Err(LedgerError::Conflict)));
}

#[tokio::test]
async fn calls_are_counted_over_all_workers() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::none();

    for _ in 0..2 {
        let worker = faults.worker();
        drop(worker.run(put_two(&*worker.wrap(ledger.clone()))).await);
    }

    assert_eq!(faults.calls(), 3);
    assert_eq!(faults.struck(), []);
}

#[tokio::test]
async fn an_armed_fault_counts_the_calls_that_it_names_from_then_on() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::none();
    let worker = faults.worker();
    let wrapped = worker.wrap(ledger.clone());
    wrapped.commit(&[change("1")]).await.expect("nothing is armed");
    faults.arm(vec![Armed { call: Some("Ledger::commit".to_owned()), nth: 2, fault: Fault::WorkerDiesAfterwards }]);

    let work = async {
        wrapped.get(&Key::new("p", "1")).await?;
        wrapped.commit(&[change("2")]).await?;
        wrapped.commit(&[change("3")]).await?;
        wrapped.commit(&[change("4")]).await
    };
    assert_eq!(worker.run(work).await, None);

    assert_eq!(sorts(&ledger), ["1", "2", "3"], "the last call was made, and its worker is gone");
    assert_eq!((faults.struck().len(), faults.struck()[0].nth), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_worker_goes_on_after_a_while() {
    let ledger = Arc::new(MemoryLedger::new());
    let faults = Faults::at(2, Fault::WorkerFrozen(Duration::from_secs(70)));
    let worker = faults.worker();
    let begun = tokio::time::Instant::now();
    let outcome = worker.run(put_two(&*worker.wrap(ledger.clone()))).await;
    assert!(matches!(outcome, Some(Ok(()))));
    assert_eq!((begun.elapsed().as_secs(), sorts(&ledger).len()), (70, 2));
}

#[tokio::test]
async fn a_sweep_tries_every_call_of_the_calm_run() {
    let (mut struck, mut runs) = (Vec::new(), 0);
    let sweep = Sweep::expecting(2);
    sweep
        .of(Fault::CallFails, async |faults| {
            let worker = faults.worker();
            drop(worker.run(put_two(&*worker.wrap(Arc::new(MemoryLedger::new())))).await);
            struck.extend(faults.struck().into_iter().map(|struck| struck.nth));
            runs += 1;
        })
        .await;
    assert_eq!((struck, runs), (vec![1, 2], 4), "the calm run, two with a fault, and one that was spared");
}

#[tokio::test]
#[should_panic(expected = "0 faults struck, 2 are expected")]
async fn a_sweep_over_a_port_that_is_not_wrapped_fails() {
    let sweep = Sweep::expecting(2);
    sweep.of(Fault::CallFails, async |_| put_two(&MemoryLedger::new()).await.expect("no fault strikes")).await;
}

#[tokio::test]
#[should_panic(expected = "0 faults struck, 1 are expected")]
async fn a_sweep_that_begins_behind_the_last_call_fails() {
    let sweep = Sweep::expecting(1).after(2);
    sweep
        .of(Fault::CallFails, async |faults| {
            let worker = faults.worker();
            drop(worker.run(put_two(&*worker.wrap(Arc::new(MemoryLedger::new())))).await);
        })
        .await;
}

#[tokio::test]
#[should_panic(expected = "1 faults struck of 2")]
async fn a_sweep_that_misses_a_call_fails() {
    Sweep::expecting(1).up_to(2).at_calls(async |nth| nth == 1).await;
}
