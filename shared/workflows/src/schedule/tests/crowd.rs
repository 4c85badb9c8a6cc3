//! Many accounts that are due in the same minute.

use std::collections::BTreeMap;

use domain::ports::ledger::{DUE_SHARDS, MAX_CHANGES};

use super::counted::Counted;
use super::*;

const ACCOUNTS: usize = 2_000;

/// Accounts whose schedules are all due at [`first_run`].
async fn crowd() -> World {
    let world = World::with(&Account { account_id: samples::account_id("1"), ..enterprise() }).await;
    let mut changes = Vec::new();
    for nth in 0..ACCOUNTS {
        let account = Account { account_id: samples::account_id(&(1_000 + nth).to_string()), ..enterprise() };
        let schedule = Schedule::off(account.account_id.clone());
        let schedule = schedule.switched_on(Cadence::Week, &samples::requester(), "Europe/Berlin", samples::NOW);
        changes.extend([Change::create(&account), Change::create(&schedule)]);
    }
    for batch in changes.chunks(MAX_CHANGES) {
        world.ledger.commit(batch).await.expect("new accounts");
    }
    world.clock.set(first_run());
    world
}

#[tokio::test]
async fn two_thousand_accounts_start_in_the_same_minute_at_three_reads_each() {
    let world = crowd().await;
    let counted = Counted::over(&world.ledger);
    let starting = StartScheduled { ledger: counted.clone(), ..world.starting() };

    let started = starting.round(world.round_ends()).await.expect("readable");

    assert_eq!(started, Started { started: ACCOUNTS as u64, ..Started::default() });
    let mut backups = BTreeMap::new();
    for discovery in world.discoveries() {
        *backups.entry(discovery.account_id).or_insert(0) += 1;
    }
    assert_eq!((backups.len(), backups.values().max()), (ACCOUNTS, Some(&1)), "each account once");
    let [gets, lists, commits, dues] = counted.counts();
    assert_eq!((lists, commits), (0, ACCOUNTS));
    assert!(gets <= 3 * ACCOUNTS, "{gets} reads");
    // A page of a hundred each, and the last one of each shard is not full.
    assert!(dues <= ACCOUNTS / 100 + usize::from(DUE_SHARDS), "{dues} looks at what is due");

    let again = starting.round(world.round_ends()).await.expect("readable");

    assert_eq!(again, Started::default());
    assert_eq!(counted.counts(), [gets, lists, commits, dues + usize::from(DUE_SHARDS)], "nothing is due any more");
}
