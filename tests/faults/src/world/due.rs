//! recover-stalled, every minute in which something is due.

use domain::backup::Backup;
use domain::chunk::Chunk;
use domain::notification::Notification;
use domain::notification::delivery::Delivery;
use domain::object::ObjectExport;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, DUE_SHARDS, DueList, Key, Record, Stored};
use domain::restore::Restore;
use domain::restore::slice::RestoreSlice;
use in_memory::lock;
use jiff::{SignedDuration, Timestamp};
use workflows::recover::{LOOK_AHEAD, Recover};

use super::World;

/// recover-stalled runs once in this time.
const EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Nobody waits for longer than this. What is due later are notices that archives expire, of other worlds of the ledger
/// too.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 10);

impl World {
    /// When recover-stalled will next find something to do.
    pub(super) async fn next_recovery(&self) -> Option<Timestamp> {
        let due = self.next_due().await?;
        Some((due - LOOK_AHEAD).max(self.next_round()))
    }

    fn next_round(&self) -> Timestamp {
        *lock(&self.recovered_at) + EVERY
    }

    pub(super) async fn recover_if_due(&self) {
        if self.next_round() > self.clock.now() {
            return;
        }
        if self.next_due().await.is_some_and(|due| due <= self.clock.now() + LOOK_AHEAD) {
            self.recover().await;
        }
    }

    pub async fn recover(&self) {
        *lock(&self.recovered_at) = self.clock.now();
        let worker = self.settings.faults.worker();
        let recover = Recover {
            ledger: worker.wrap(self.ledger.clone()),
            queue: worker.wrap(self.queue.clone()),
            clock: self.clock.clone(),
            dead_letters: worker.wrap(self.outlets.dead_letters.clone()),
        };
        // It fails or dies like everything else; what was due is due in the next round too.
        drop(worker.run(recover.round()).await);
    }

    /// The earliest time at which anything is due, apart from notices that archives expire.
    async fn next_due(&self) -> Option<Timestamp> {
        let horizon = self.clock.now() + HORIZON;
        let mut earliest: Option<Timestamp> = None;
        for shard in 0..DUE_SHARDS {
            for key in self.ledger.due(DueList::Work, shard, horizon, 1_000).await.expect("the ledger answers") {
                if let Some(at) = self.due_at(&key).await {
                    earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
                }
            }
        }
        earliest
    }

    async fn due_at(&self, key: &Key) -> Option<Timestamp> {
        let stored = self.ledger.get(key).await.expect("the ledger answers")?;
        due_at(stored)
    }
}

/// The due time that a record was stored with; None where only a notice that an archive expires is due.
///
/// # Panics
/// When recover-stalled does not know what to do with the record.
pub(super) fn due_at(stored: Stored) -> Option<Timestamp> {
    fn of<T: Record>(stored: Stored) -> Option<Timestamp> {
        // What cannot be read stays due.
        ledger::read::<T>(stored).map_or(Some(Timestamp::UNIX_EPOCH), |loaded| loaded.record.due_at())
    }
    let sort = stored.key.sort.as_str();
    if sort.starts_with("CHUNK#") {
        of::<Chunk>(stored)
    } else if sort.starts_with(ObjectExport::PREFIX) {
        of::<ObjectExport>(stored)
    } else if sort.starts_with(RestoreSlice::PREFIX) {
        of::<RestoreSlice>(stored)
    } else if sort.starts_with(Restore::PREFIX) {
        of::<Restore>(stored)
    } else if sort.starts_with(Notification::PREFIX) {
        of::<Notification>(stored)
    } else if sort.starts_with(Delivery::PREFIX) {
        of::<Delivery>(stored)
    } else if sort.starts_with(Backup::PREFIX) {
        let Ok(loaded) = ledger::read::<Backup>(stored) else { return Some(Timestamp::UNIX_EPOCH) };
        loaded.record.due_at().filter(|_| loaded.record.swept_at.is_none())
    } else {
        panic!("{sort} is due, and nobody looks at it")
    }
}
