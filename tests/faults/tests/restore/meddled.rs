//! A ledger that a test changes just before a commit, or instead of it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use in_memory::MemoryLedger;
use jiff::Timestamp;

/// What happens to commits.
#[async_trait]
pub(crate) trait Meddling: Send + Sync {
    /// Does something to the ledger before `changes` are committed.
    ///
    /// # Errors
    /// Then they are not.
    async fn before(&self, ledger: &MemoryLedger, changes: &[Change]) -> Result<(), LedgerError>;
}

/// A ledger in memory behind that.
pub(crate) struct Meddled<M> {
    ledger: MemoryLedger,
    meddling: M,
}

impl<M: Meddling> Meddled<M> {
    pub(crate) fn new(meddling: M) -> Arc<Self> {
        Arc::new(Self { ledger: MemoryLedger::new(), meddling })
    }
}

#[async_trait]
impl<M: Meddling> Ledger for Meddled<M> {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.ledger.get(key).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        self.ledger.list(request).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.meddling.before(&self.ledger, changes).await?;
        self.ledger.commit(changes).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.ledger.due(list, shard, now, limit).await
    }
}
