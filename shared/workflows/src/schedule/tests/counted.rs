//! A ledger that counts how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use in_memory::MemoryLedger;
use jiff::Timestamp;

/// The ledger, and how often it was asked.
pub(super) struct Counted {
    ledger: Arc<MemoryLedger>,
    gets: AtomicUsize,
    lists: AtomicUsize,
    commits: AtomicUsize,
    dues: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counted {
    pub(super) fn over(ledger: &Arc<MemoryLedger>) -> Arc<Self> {
        let [gets, lists, commits, dues] = Default::default();
        Arc::new(Self { ledger: ledger.clone(), gets, lists, commits, dues })
    }

    /// Gets, lists, commits and looks at what is due.
    pub(super) fn counts(&self) -> [usize; 4] {
        [&self.gets, &self.lists, &self.commits, &self.dues].map(|counter| counter.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Ledger for Counted {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        count(&self.gets);
        self.ledger.get(key).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        count(&self.lists);
        self.ledger.list(request).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        count(&self.commits);
        self.ledger.commit(changes).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        count(&self.dues);
        self.ledger.due(list, shard, now, limit).await
    }
}
