//! Commits: conditions, transactions, races.

use domain::ports::ledger::{Change, Key, Ledger, LedgerError, MAX_CHANGES};
use futures_util::future::join_all;
use serde_json::json;

use super::{check, commit, get, version, write};

/// A commit without changes succeeds.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn an_empty_commit_succeeds(ledger: &dyn Ledger) {
    assert_eq!(ledger.commit(&[]).await, Ok(()));
}

/// A record that exists is not created again, and stays unchanged.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn an_existing_record_is_not_created_again(ledger: &dyn Ledger) {
    let key = Key::new("p", "s");
    commit(ledger, &[write(&key, None, json!({ "by": "first" }))]).await;

    let again = ledger.commit(&[write(&key, None, json!({ "by": "second" }))]).await;

    assert_eq!(again, Err(LedgerError::Conflict));
    let stored = get(ledger, &key).await.expect("written");
    assert_eq!(stored.body, json!({ "by": "first" }));
}

/// Only a caller that has read the present version replaces it, and every commit raises the version.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_replacement_needs_the_present_version(ledger: &dyn Ledger) {
    let key = Key::new("p", "s");
    commit(ledger, &[write(&key, None, json!({ "n": 1 }))]).await;
    let first = version(ledger, &key).await.expect("written");
    commit(ledger, &[write(&key, Some(first), json!({ "n": 2 }))]).await;
    let second = version(ledger, &key).await.expect("written");
    assert!(second > first);

    for stale in [Some(first), Some(second + 1), None] {
        assert_eq!(ledger.commit(&[write(&key, stale, json!({ "n": 3 }))]).await, Err(LedgerError::Conflict));
    }
    let absent = write(&Key::new("p", "absent"), Some(1), json!({}));
    assert_eq!(ledger.commit(&[absent]).await, Err(LedgerError::Conflict));

    let stored = get(ledger, &key).await.expect("written");
    assert_eq!((stored.version, stored.body), (second, json!({ "n": 2 })));
}

/// If one condition fails, the whole transaction fails.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_transaction_changes_all_or_nothing(ledger: &dyn Ledger) {
    let (old, new, other) = (Key::new("p", "old"), Key::new("p", "new"), Key::new("q", "other"));
    commit(ledger, &[write(&old, None, json!({ "n": 1 })), write(&other, None, json!({}))]).await;
    let seen = version(ledger, &old).await;
    let replace = |expected| [write(&new, None, json!({})), write(&old, expected, json!({ "n": 2 }))];

    let lost = ledger.commit(&replace(seen.map(|version| version + 1))).await;
    assert_eq!(lost, Err(LedgerError::Conflict));
    assert_eq!((version(ledger, &old).await, version(ledger, &new).await), (seen, None));

    commit(ledger, &replace(seen)).await;
    assert_eq!(get(ledger, &old).await.expect("written").body, json!({ "n": 2 }));
    assert!(version(ledger, &new).await.is_some());
}

/// A change without a body only checks a record's version and leaves the record unchanged.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_condition_alone_changes_nothing(ledger: &dyn Ledger) {
    let (held, absent, new) = (Key::new("p", "held"), Key::new("p", "absent"), Key::new("q", "new"));
    commit(ledger, &[write(&held, None, json!({}))]).await;
    let seen = version(ledger, &held).await;
    let stale = seen.map(|version| version + 1);

    assert_eq!(ledger.commit(&[check(&held, seen)]).await, Ok(()));
    assert_eq!(ledger.commit(&[check(&absent, None)]).await, Ok(()));
    assert_eq!(ledger.commit(&[check(&held, seen), check(&absent, None)]).await, Ok(()));
    for broken in [check(&held, stale), check(&held, None), check(&absent, Some(1))] {
        assert_eq!(ledger.commit(std::slice::from_ref(&broken)).await, Err(LedgerError::Conflict));
        let with_write = [write(&new, None, json!({})), broken];
        assert_eq!(ledger.commit(&with_write).await, Err(LedgerError::Conflict));
    }

    assert_eq!(version(ledger, &new).await, None);
    commit(ledger, &[write(&new, None, json!({})), check(&held, seen), check(&absent, None)]).await;
    assert!(version(ledger, &new).await.is_some());
    assert_eq!((version(ledger, &held).await, version(ledger, &absent).await), (seen, None));
}

/// A transaction accepts [`MAX_CHANGES`] changes, and refuses more.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn the_size_of_a_transaction_is_bounded(ledger: &dyn Ledger) {
    let place = |n: usize| Key::new(format!("p{}", n % 7), format!("{n:03}"));
    let changes = |count: usize| (0..count).map(|n| write(&place(n), None, json!({ "n": n }))).collect::<Vec<_>>();

    let too_many = ledger.commit(&changes(MAX_CHANGES + 1)).await;
    assert!(matches!(too_many, Err(LedgerError::Refused(_))), "{too_many:?}");
    assert_eq!(version(ledger, &place(0)).await, None);

    commit(ledger, &changes(MAX_CHANGES)).await;
    assert!(version(ledger, &place(MAX_CHANGES - 1)).await.is_some());
}

/// A transaction cannot contain one record twice. DynamoDB Local does not enforce it.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn one_record_twice_is_refused(ledger: &dyn Ledger) {
    let key = Key::new("p", "s");
    let twice = ledger.commit(&[write(&key, None, json!({})), check(&key, None)]).await;
    assert!(matches!(twice, Err(LedgerError::Refused(_))), "{twice:?}");
    assert_eq!(version(ledger, &key).await, None);
}

const ROUNDS: u64 = 25;
const RIVALS: usize = 4;

/// Of several simultaneous replacements of one version exactly one wins, every time.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn one_of_several_at_once_wins(ledger: &dyn Ledger) {
    let key = Key::new("p", "s");
    let mut expected = None;
    for round in 0..ROUNDS {
        let winner = race(ledger, |rival| vec![write(&key, expected, json!({ "rival": rival, "round": round }))]).await;
        let stored = get(ledger, &key).await.expect("somebody won");
        assert_eq!(stored.body, json!({ "rival": winner, "round": round }));
        expected = Some(stored.version);
    }
}

/// The same for transactions that share one record.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn one_of_several_transactions_at_once_wins(ledger: &dyn Ledger) {
    let shared = Key::new("p", "shared");
    let own = |round: u64, rival: usize| Key::new("q", format!("{round}-{rival}"));
    let mut expected = None;
    for round in 0..ROUNDS {
        let changes = |rival| {
            vec![write(&own(round, rival), None, json!({})), write(&shared, expected, json!({ "rival": rival }))]
        };
        let winner = race(ledger, changes).await;
        let stored = get(ledger, &shared).await.expect("somebody won");
        assert_eq!(stored.body, json!({ "rival": winner }));
        for rival in 0..RIVALS {
            assert_eq!(version(ledger, &own(round, rival)).await.is_some(), rival == winner);
        }
        expected = Some(stored.version);
    }
}

/// The index of the winner among [`RIVALS`]. All others must have got a conflict.
async fn race(ledger: &dyn Ledger, changes: impl Fn(usize) -> Vec<Change>) -> usize {
    let attempts: Vec<_> = (0..RIVALS).map(&changes).collect();
    let outcomes = join_all(attempts.iter().map(|changes| ledger.commit(changes))).await;
    let winners: Vec<_> = (0..RIVALS).filter(|rival| outcomes[*rival].is_ok()).collect();
    let losers = outcomes.iter().filter(|outcome| **outcome == Err(LedgerError::Conflict)).count();
    assert_eq!((winners.len(), losers), (1, RIVALS - 1), "{outcomes:?}");
    winners[0]
}
