//! Two versions of the code on one ledger.

use domain::format::Format;
use domain::ports::ledger::{self, Change, Key, Ledger, LedgerError, ListRequest, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{commit, get, write};

/// A record as the present code knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    name: String,
    lease: Option<Lease>,
    steps: Vec<Lease>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    number: u32,
}

impl Record for Known {
    const FORMAT: Format = Format { writes: 2, reads: 3 };

    fn key(&self) -> Key {
        key(&self.name)
    }
}

fn key(name: &str) -> Key {
    Key::new("p", name)
}

/// Writes `body` under `name`, in `format`.
async fn stored(ledger: &dyn Ledger, name: &str, format: u32, body: Value) {
    commit(ledger, &[Change { format, ..write(&key(name), None, body) }]).await;
}

/// A record has the format in which it was last written, alone and in lists.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_record_keeps_its_format(ledger: &dyn Ledger) {
    stored(ledger, "a", 7, json!({})).await;
    stored(ledger, "b", 1, json!({})).await;
    assert_eq!(get(ledger, &key("a")).await.expect("written").format, 7);

    commit(ledger, &[Change { format: 8, ..write(&key("a"), Some(1), json!({})) }, write(&key("c"), None, json!({}))])
        .await;

    let all = ListRequest { partition: "p".into(), prefix: String::new(), after: None, newest_first: false, limit: 9 };
    let listed = ledger.list(&all).await.expect("the ledger answers");
    assert_eq!(listed.records.iter().map(|record| record.format).collect::<Vec<_>>(), [8, 1, 1]);
}

/// A format above those that the present code reads is an error of its own. A record stored in a later format than the
/// present code writes does not go back to an earlier one.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn a_record_of_a_later_format_is_unreadable(ledger: &dyn Ledger) {
    for format in 1..=4 {
        let name = format.to_string();
        stored(ledger, &name, format, json!({ "name": name, "lease": null, "steps": [] })).await;
        let loaded = ledger::load::<Known>(ledger, &key(&name)).await;
        if format > 3 {
            assert!(matches!(&loaded, Err(LedgerError::Unreadable(..))), "{loaded:?}");
            continue;
        }
        let loaded = loaded.expect("readable").expect("written");
        commit(ledger, &[Change::replace(&loaded, &loaded.record)]).await;
        assert_eq!(get(ledger, &key(&name)).await.expect("written").format, format.max(2));
    }
    commit(ledger, &[Change::create(&Known { name: "new".into(), lease: None, steps: Vec::new() })]).await;
    assert_eq!(get(ledger, &key("new")).await.expect("written").format, 2);
}

/// Unknown members of a record are written back when it changes, and are removed with the value that contains them.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn members_added_by_a_later_version_stay(ledger: &dyn Ledger) {
    let body = json!({
        "name": "a",
        "lease": { "number": 1, "renewedBy": { "host": "ü" } },
        "steps": [{ "number": 1, "late": true }, { "number": 2, "late": false }],
        "labels": ["x", null, 18_446_744_073_709_551_615_u64],
    });
    stored(ledger, "a", 1, body).await;

    let loaded = ledger::load::<Known>(ledger, &key("a")).await.expect("readable").expect("written");
    let next =
        Known { lease: Some(Lease { number: 2 }), steps: loaded.record.steps[1..].to_vec(), ..loaded.record.clone() };
    commit(ledger, &[Change::replace(&loaded, &next)]).await;
    let expected = json!({
        "name": "a",
        "lease": { "number": 2, "renewedBy": { "host": "ü" } },
        "steps": [{ "number": 2, "late": false }],
        "labels": ["x", null, 18_446_744_073_709_551_615_u64],
    });
    assert_eq!(get(ledger, &key("a")).await.expect("written").body, expected);

    let listed = ledger::list::<Known>(ledger, "p", "").await.expect("readable");
    let next = Known { lease: None, steps: Vec::new(), ..listed[0].record.clone() };
    commit(ledger, &[Change::replace(&listed[0], &next), write(&key("b"), None, json!({}))]).await;
    let expected = json!({
        "name": "a", "lease": null, "steps": [], "labels": ["x", null, 18_446_744_073_709_551_615_u64],
    });
    assert_eq!(get(ledger, &key("a")).await.expect("written").body, expected);
}

/// A list contains the key of an unreadable record, and all other records.
///
/// # Panics
/// If the ledger breaks its contract.
pub async fn an_unreadable_record_delays_no_other(ledger: &dyn Ledger) {
    let known = |name: &str| Known { name: name.to_owned(), lease: None, steps: Vec::new() };
    commit(ledger, &[Change::create(&known("a")), Change::create(&known("c"))]).await;
    stored(ledger, "b", 9, json!({ "name": "b" })).await;

    let each = ledger::list_each::<Known>(ledger, "p", "").await.expect("the ledger answers");

    let [Ok(first), Err(LedgerError::Unreadable(at, _)), Ok(last)] = each.as_slice() else { panic!("{each:?}") };
    assert_eq!((first.record.name.as_str(), at.as_str(), last.record.name.as_str()), ("a", "p/b", "c"));
    assert!(matches!(ledger::list::<Known>(ledger, "p", "").await, Err(LedgerError::Unreadable(..))));
}
