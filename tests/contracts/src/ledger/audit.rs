//! Records of the audit log: created, listed, and never replaced; those about strangers are replaced.

use domain::ports::ledger::{
    AUDIT_PARTITIONS, Key, Ledger, LedgerError, ListRequest, MAX_CHANGES, STRANGER_PARTITIONS,
};
use serde_json::json;

use super::{check, commit, get, version, write};

fn entry(account: &str, sort: &str) -> Key {
    Key::new(format!("{AUDIT_PARTITIONS}{account}"), sort)
}

fn newest_first(account: &str) -> ListRequest {
    ListRequest {
        partition: entry(account, "").partition,
        prefix: String::new(),
        after: None,
        newest_first: true,
        limit: 2,
    }
}

/// Created records can be read, and list newest first, page by page, without those of other accounts and without
/// records of the same names in other partitions.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn audit_records_list_newest_first(ledger: &dyn Ledger) {
    for sort in ["02", "01", "03"] {
        commit(ledger, &[write(&entry("42", sort), None, json!({ "action": sort }))]).await;
    }
    let elsewhere = [Key::new("ACCOUNT#42", "02"), entry("421", "04"), entry("4", "05")];
    commit(ledger, &elsewhere.map(|key| write(&key, None, json!({})))).await;

    assert_eq!(get(ledger, &entry("42", "02")).await.expect("created").body, json!({ "action": "02" }));
    let first = ledger.list(&newest_first("42")).await.expect("the ledger answers");
    let rest = ListRequest { after: Some("02".to_owned()), ..newest_first("42") };
    let rest = ledger.list(&rest).await.expect("the ledger answers");
    let listed: Vec<_> = first.records.iter().chain(&rest.records).map(|stored| stored.key.clone()).collect();
    assert_eq!(listed, [entry("42", "03"), entry("42", "02"), entry("42", "01")]);
    assert!(first.more && !rest.more);
}

/// A transaction of records of both kinds changes all of them or none, whichever condition fails.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn audit_records_share_a_transaction_with_others(ledger: &dyn Ledger) {
    let (changed, taken) = (Key::new("ACCOUNT#42", "ALLOWANCE"), entry("42", "00"));
    commit(ledger, &[write(&changed, None, json!({ "n": 1 })), write(&taken, None, json!({}))]).await;
    let seen = version(ledger, &changed).await.expect("written");
    let replaced = |expected| write(&changed, Some(expected), json!({ "n": 2 }));
    let created = |sort: &str| write(&entry("42", sort), None, json!({}));

    let stale = ledger.commit(&[replaced(seen + 1), created("01")]).await;
    let again = ledger.commit(&[replaced(seen), created("00"), created("01")]).await;
    assert_eq!([stale, again], [Err(LedgerError::Conflict), Err(LedgerError::Conflict)]);
    assert_eq!((version(ledger, &changed).await, version(ledger, &entry("42", "01")).await), (Some(seen), None));

    commit(ledger, &[replaced(seen), created("01"), check(&taken, Some(1))]).await;
    assert_eq!(get(ledger, &changed).await.expect("written").body, json!({ "n": 2 }));
    assert!(version(ledger, &entry("42", "01")).await.is_some());
}

/// An entry of the audit log never changes: it is replaced neither alone nor in a transaction, even by a caller that
/// has read it. Other changes in that transaction are not made either.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn audit_records_are_never_replaced(ledger: &dyn Ledger) {
    let (key, other) = (entry("42", "01"), Key::new("ACCOUNT#42", "BACKUP#1"));
    commit(ledger, &[write(&key, None, json!({ "outcome": "refused" }))]).await;
    let stored = get(ledger, &key).await.expect("created");
    let replaced = |expected| write(&key, expected, json!({ "outcome": "succeeded" }));
    let among = |change, count: usize| {
        let others = (1..count).map(|n| write(&Key::new(other.partition.as_str(), n.to_string()), None, json!({})));
        others.chain([change]).collect::<Vec<_>>()
    };

    for count in [1, 2, MAX_CHANGES] {
        let rewritten = ledger.commit(&among(replaced(Some(stored.version)), count)).await;
        assert!(matches!(rewritten, Err(LedgerError::Refused(_))), "{rewritten:?}");
        assert_eq!(ledger.commit(&among(replaced(None), count)).await, Err(LedgerError::Conflict));
    }

    assert_eq!(get(ledger, &key).await, Some(stored));
    assert_eq!(version(ledger, &Key::new(other.partition, "1")).await, None);
}

/// An entry about a stranger counts requests: it is replaced by whoever has read it, and by nobody else. It is in no list
/// of the account's own entries.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn entries_about_strangers_are_replaced(ledger: &dyn Ledger) {
    let key = Key::new(format!("{STRANGER_PARTITIONS}42"), "01");
    commit(ledger, &[write(&key, None, json!({ "requests": 1 }))]).await;
    let seen = version(ledger, &key).await.expect("created");
    commit(ledger, &[write(&key, Some(seen), json!({ "requests": 2 }))]).await;
    let stale = ledger.commit(&[write(&key, Some(seen), json!({ "requests": 2 }))]).await;
    let anew = ledger.commit(&[write(&key, None, json!({ "requests": 1 }))]).await;
    assert_eq!([stale, anew], [Err(LedgerError::Conflict), Err(LedgerError::Conflict)]);
    assert_eq!(get(ledger, &key).await.expect("created").body, json!({ "requests": 2 }));
    let listed = ledger.list(&ListRequest { partition: key.partition, ..newest_first("42") }).await;
    assert_eq!(listed.expect("the ledger answers").records.len(), 1);
    assert!(ledger.list(&newest_first("42")).await.expect("the ledger answers").records.is_empty());
}
