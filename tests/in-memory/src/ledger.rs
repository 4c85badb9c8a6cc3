//! The ledger in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use domain::ports::ledger::{
    Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, MAX_CHANGES, Stored, due_shard,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::lock;

/// `DynamoDB`'s limit for one item, in bytes.
const MAX_RECORD: usize = 400 * 1024;
/// `DynamoDB`'s limit for all items of one transaction, in bytes.
const MAX_TRANSACTION: usize = 4 * 1024 * 1024;

/// Keeps records in an ordered map. A commit holds the one lock, so it is atomic and isolated.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    items: Mutex<BTreeMap<Key, Item>>,
}

#[derive(Debug, Clone)]
struct Item {
    version: u64,
    body: Value,
    format: u32,
    due_at: Option<Timestamp>,
    due_in: DueList,
}

impl MemoryLedger {
    pub fn new() -> Self {
        Self::default()
    }

    /// Every record of every partition, in order of partition and sort key.
    pub fn all(&self) -> Vec<Stored> {
        lock(&self.items).iter().map(stored).collect()
    }
}

fn stored((key, item): (&Key, &Item)) -> Stored {
    Stored { key: key.clone(), version: item.version, body: item.body.clone(), format: item.format }
}

/// Refuses the changes that `DynamoDB` refuses independently of its content.
fn check(changes: &[Change]) -> Result<(), LedgerError> {
    let refused = |why: &str| Err(LedgerError::Refused(why.to_owned()));
    if changes.len() > MAX_CHANGES {
        return refused("more changes than one transaction takes");
    }
    if changes.iter().any(Change::rewrites_the_audit_log) {
        return refused("the audit log is never rewritten");
    }
    let keys: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    if keys.len() < changes.len() {
        return refused("one record twice in a transaction");
    }
    if keys.iter().any(|key| key.partition.is_empty() || key.sort.is_empty()) {
        return refused("an empty key");
    }
    let sizes = || changes.iter().filter_map(|change| change.body.as_ref()).map(|body| body.to_string().len());
    if sizes().any(|size| size > MAX_RECORD) {
        return refused("a record larger than 400 KB");
    }
    if changes.len() > 1 && sizes().sum::<usize>() > MAX_TRANSACTION {
        return refused("a transaction larger than 4 MB");
    }
    Ok(())
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        Ok(lock(&self.items).get_key_value(key).map(stored))
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        let behind = |sort: &str, after: &str| if request.newest_first { sort < after } else { sort > after };
        let items = lock(&self.items);
        let mut found: Vec<_> = items
            .range(Key::new(&request.partition, &request.prefix)..)
            .take_while(|(key, _)| key.partition == request.partition && key.sort.starts_with(&request.prefix))
            .filter(|(key, _)| request.after.as_ref().is_none_or(|after| behind(&key.sort, after)))
            .collect();
        if request.newest_first {
            found.reverse();
        }
        let more = found.len() > request.limit as usize;
        let records = found.into_iter().take(request.limit as usize).map(stored).collect();
        Ok(ListPage { records, more })
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        check(changes)?;
        let mut items = lock(&self.items);
        if changes.iter().any(|change| items.get(&change.key).map(|item| item.version) != change.expected) {
            return Err(LedgerError::Conflict);
        }
        for change in changes {
            if let Some(body) = &change.body {
                let version = change.expected.unwrap_or(0) + 1;
                let Change { format, due_at, due_in, .. } = *change;
                items.insert(change.key.clone(), Item { version, body: body.clone(), format, due_at, due_in });
            }
        }
        Ok(())
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        let items = lock(&self.items);
        let here = items.iter().filter(|(key, item)| item.due_in == list && due_shard(key) == shard);
        let due = here.filter_map(|(key, item)| item.due_at.filter(|at| *at <= now).map(|at| (at, key)));
        let mut due: Vec<_> = due.collect();
        due.sort();
        Ok(due.into_iter().take(limit as usize).map(|(_, key)| key.clone()).collect())
    }
}
