//! A ledger on which functions of two versions work while a deployment is under way, and one with records of a later
//! version.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use in_memory::lock;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The member that the next version adds to every object that it writes.
const LATER: &str = "fromNextVersion";

/// Members whose value is no object of members: maps by data, and variants.
const NOT_OBJECTS: [&str; 4] = ["cursor", "remembered", "hiddenValues", "refusals"];

/// Members that the present version leaves out where it sees nothing in them.
const LEFT_OUT: [&str; 2] = ["trouble", "closeTrouble"];

/// Every other commit, as a seed decides, is by the next version, which adds a member at every depth of every record
/// that it writes. All others are by the present version, which must lose none of them.
pub struct TwoVersions {
    ledger: Arc<dyn Ledger>,
    random: Mutex<fastrand::Rng>,
    commits: AtomicU64,
    kept: AtomicU64,
    lost: Mutex<Vec<String>>,
}

impl TwoVersions {
    /// Two versions on `ledger`, in the order of `seed`.
    pub fn new(ledger: Arc<dyn Ledger>, seed: u64) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { ledger, random, commits: 0.into(), kept: 0.into(), lost: Mutex::default() }
    }

    /// How many members of the next version the present one has written back.
    ///
    /// # Panics
    /// When it has lost any.
    pub fn kept(&self) -> u64 {
        let lost = lock(&self.lost);
        assert!(
            lost.is_empty(),
            "the present version has lost {} members: {:#?}",
            lost.len(),
            &lost[..lost.len().min(9)]
        );
        self.kept.load(Ordering::Relaxed)
    }

    /// Notes which members of the next version `change` would lose.
    async fn look_for_losses(&self, change: &Change) -> Result<(), LedgerError> {
        let Some(after) = &change.body else { return Ok(()) };
        let Some(before) = self.ledger.get(&change.key).await? else { return Ok(()) };
        if Some(before.version) == change.expected {
            let at = format!("{}/{}", change.key.partition, change.key.sort);
            let mut losses = Losses { kept: 0, lost: Vec::new() };
            losses.compare(&before.body, after, &at);
            self.kept.fetch_add(losses.kept, Ordering::Relaxed);
            lock(&self.lost).extend(losses.lost);
        }
        Ok(())
    }
}

struct Losses {
    kept: u64,
    lost: Vec<String>,
}

impl Losses {
    fn compare(&mut self, before: &Value, after: &Value, at: &str) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                for (name, value) in before {
                    let at = format!("{at}.{name}");
                    match after.get(name) {
                        Some(after) if name == LATER && after == value => self.kept += 1,
                        Some(after) if name != LATER => self.compare(value, after, &at),
                        None if name != LATER && !LEFT_OUT.contains(&name.as_str()) => {}
                        _ => self.lost.push(at),
                    }
                }
            }
            (Value::Array(before), Value::Array(after)) => {
                for (place, (before, after)) in before.iter().zip(after).enumerate() {
                    // An element that has changed may be another one.
                    if without(before) == without(after) {
                        self.compare(before, after, &format!("{at}[{place}]"));
                    }
                }
            }
            _ => {}
        }
    }
}

/// `value` without what the next version has added.
fn without(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let known = members.iter().filter(|(name, _)| *name != LATER);
            known.map(|(name, value)| (name.clone(), without(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(without).collect(),
        other => other.clone(),
    }
}

/// `value`, which has this name, with what the next version adds in its commit of that number.
fn with_more(value: &Value, name: &str, number: u64) -> Value {
    match value {
        Value::Object(members) => {
            let mut all: serde_json::Map<_, _> =
                members.iter().map(|(name, value)| (name.clone(), with_more(value, name, number))).collect();
            if !NOT_OBJECTS.contains(&name) {
                all.insert(LATER.to_owned(), json!({ "commit": number }));
            }
            Value::Object(all)
        }
        Value::Array(elements) => elements.iter().map(|element| with_more(element, name, number)).collect(),
        other => other.clone(),
    }
}

#[async_trait]
impl Ledger for TwoVersions {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.ledger.get(key).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        self.ledger.list(request).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        if lock(&self.random).bool() {
            for change in changes {
                self.look_for_losses(change).await?;
            }
            return self.ledger.commit(changes).await;
        }
        let more = |change: &Change| Change {
            body: change.body.as_ref().map(|body| with_more(body, "", number)),
            ..change.clone()
        };
        self.ledger.commit(&changes.iter().map(more).collect::<Vec<_>>()).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.ledger.due(list, shard, now, limit).await
    }
}

/// A ledger of which the present version cannot read some records for a while, as if a later version had written them.
pub struct LaterRecords {
    ledger: Arc<dyn Ledger>,
    which: fn(&Key) -> bool,
    is_later: AtomicBool,
}

impl LaterRecords {
    /// `ledger`, with those records that `which` picks. All of them can be read at first.
    pub fn new(ledger: Arc<dyn Ledger>, which: fn(&Key) -> bool) -> Self {
        Self { ledger, which, is_later: false.into() }
    }

    /// Makes them unreadable, or readable again.
    pub fn set_later(&self, is_later: bool) {
        self.is_later.store(is_later, Ordering::Relaxed);
    }

    fn shown(&self, stored: Stored) -> Stored {
        let is_later = self.is_later.load(Ordering::Relaxed) && (self.which)(&stored.key);
        Stored { format: if is_later { u32::MAX } else { stored.format }, ..stored }
    }
}

#[async_trait]
impl Ledger for LaterRecords {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        Ok(self.ledger.get(key).await?.map(|stored| self.shown(stored)))
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        let page = self.ledger.list(request).await?;
        Ok(ListPage { records: page.records.into_iter().map(|stored| self.shown(stored)).collect(), ..page })
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.ledger.commit(changes).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.ledger.due(list, shard, now, limit).await
    }
}
