//! A ledger that takes its time, so that workers that run at once meet at different places every time.

use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::ledger::{Change, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use jiff::Timestamp;

use crate::lock;

/// How long one way to the ledger takes, in milliseconds.
const MILLIS: Range<u64> = 0..8;

/// A ledger behind a wire. For tokio's paused clock; the same seed gives the same delays.
#[derive(Debug)]
pub struct Latent<L> {
    ledger: L,
    random: Mutex<fastrand::Rng>,
}

impl<L: Ledger> Latent<L> {
    /// `ledger` with delays that follow from `seed`.
    pub fn new(ledger: L, seed: u64) -> Self {
        Self { ledger, random: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// One call: on its way for a while, or its answer.
    async fn wire<T>(&self, call: impl Future<Output = T> + Send) -> T {
        let (millis, there) = {
            let mut random = lock(&self.random);
            (random.u64(MILLIS), random.bool())
        };
        let wire = tokio::time::sleep(Duration::from_millis(millis));
        if there {
            wire.await;
            call.await
        } else {
            let answer = call.await;
            wire.await;
            answer
        }
    }
}

#[async_trait]
impl<L: Ledger> Ledger for Latent<L> {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.wire(self.ledger.get(key)).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        self.wire(self.ledger.list(request)).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        self.wire(self.ledger.commit(changes)).await
    }

    async fn due(&self, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.wire(self.ledger.due(shard, now, limit)).await
    }
}
