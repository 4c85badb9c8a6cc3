//! A ledger that counts what it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use jiff::Timestamp;

/// Calls of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerCalls {
    pub gets: u64,
    pub lists: u64,
    /// Records that those lists gave.
    pub listed: u64,
    pub commits: u64,
    pub dues: u64,
}

/// Counts what it is asked for, and hands it on to another ledger.
pub struct CountingLedger {
    port: Arc<dyn Ledger>,
    gets: AtomicU64,
    lists: AtomicU64,
    listed: AtomicU64,
    commits: AtomicU64,
    dues: AtomicU64,
}

impl CountingLedger {
    /// One that has counted nothing yet.
    pub fn new(port: Arc<dyn Ledger>) -> Self {
        let [gets, lists, listed, commits, dues] = [(); 5].map(|()| AtomicU64::new(0));
        Self { port, gets, lists, listed, commits, dues }
    }

    /// How often it was asked so far.
    pub fn calls(&self) -> LedgerCalls {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LedgerCalls {
            gets: of(&self.gets),
            lists: of(&self.lists),
            listed: of(&self.listed),
            commits: of(&self.commits),
            dues: of(&self.dues),
        }
    }
}

#[async_trait]
impl Ledger for CountingLedger {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.port.get(key).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let page = self.port.list(request).await?;
        self.listed.fetch_add(page.records.len() as u64, Ordering::Relaxed);
        Ok(page)
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.port.commit(changes).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.dues.fetch_add(1, Ordering::Relaxed);
        self.port.due(list, shard, now, limit).await
    }
}
