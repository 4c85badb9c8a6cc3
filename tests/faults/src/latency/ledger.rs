//! The ledger behind a wire.

use async_trait::async_trait;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use jiff::Timestamp;

use super::Latent;

#[async_trait]
impl<L: Ledger + ?Sized> Ledger for Latent<L> {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.wire(self.port.get(key)).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        self.wire(self.port.list(request)).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.wire(self.port.commit(changes)).await
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.wire(self.port.due(list, shard, now, limit)).await
    }
}
