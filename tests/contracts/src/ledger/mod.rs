//! The contract of every ledger. See [`domain::ports::ledger`].

mod audit;
mod commits;
mod due;
mod lists;
mod records;
mod versions;

pub use audit::*;
pub use commits::*;
pub use due::*;
pub use lists::*;
pub use records::*;
pub use versions::*;

use domain::ports::ledger::{Change, DueList, Key, Ledger, Stored};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A change that writes `body` under `key`.
fn write(key: &Key, expected: Option<u64>, body: Value) -> Change {
    Change {
        key: key.clone(),
        expected,
        body: Some(body),
        format: 1,
        due_at: None,
        due_in: DueList::Work,
        forget_at: None,
    }
}

/// A change that only checks `expected`.
fn check(key: &Key, expected: Option<u64>) -> Change {
    Change { key: key.clone(), expected, body: None, format: 1, due_at: None, due_in: DueList::Work, forget_at: None }
}

/// A change that writes a body under `key`, due at `due_at`.
fn due(key: &Key, expected: Option<u64>, due_at: Option<Timestamp>) -> Change {
    Change { due_at, ..write(key, expected, json!({})) }
}

async fn get(ledger: &dyn Ledger, key: &Key) -> Option<Stored> {
    ledger.get(key).await.expect("the ledger answers")
}

async fn version(ledger: &dyn Ledger, key: &Key) -> Option<u64> {
    get(ledger, key).await.map(|stored| stored.version)
}

async fn commit(ledger: &dyn Ledger, changes: &[Change]) {
    ledger.commit(changes).await.expect("committed");
}
