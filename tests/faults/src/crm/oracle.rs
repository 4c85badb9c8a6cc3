//! What must be true at every write that lands in the CRM, as the ledger has it at that moment: a restore of the
//! account holds the restore lock, one of its runs may still write, and nothing is begun once it was stopped or has
//! failed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use domain::ids::{AccountId, RecordId, RestoreId};
use domain::ports::crm_batch::RecordUpdate;
use domain::ports::ledger::{Key, Ledger, ListRequest, Record, Stored};
use domain::restore::lock::RestoreLock;
use domain::restore::slice::RestoreSlice;
use domain::restore::{Restore, RestoreState};
use domain::work::RestoreRef;
use in_memory::lock;
use jiff::{SignedDuration, Timestamp};

/// Batches that one run has under way at the same time, and may finish after a stop.
const UNDER_WAY: usize = 8;

/// What one run has read and written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The restore that held the lock when it first wrote.
    restore: Option<RestoreId>,
    /// By which of its reads it has come to know a record first.
    read_by: HashMap<RecordId, u64>,
    reads: u64,
    /// When it last read each record.
    seen: HashMap<RecordId, Timestamp>,
    /// Reads of which records were written after the restore was over.
    late: BTreeSet<u64>,
}

impl Writer {
    /// It has read these records.
    pub(super) fn reads(&mut self, ids: &[RecordId], now: Timestamp) {
        self.reads += 1;
        for id in ids {
            self.read_by.entry(*id).or_insert(self.reads);
            self.seen.insert(*id, now);
        }
    }

    /// The client writes these records now. Returns how long ago it read the one that it read first.
    pub(super) fn writes(&mut self, updates: &[RecordUpdate], now: Timestamp) -> SignedDuration {
        let ago =
            updates.iter().filter_map(|update| self.seen.insert(update.id, now)).map(|seen| now.duration_since(seen));
        ago.max().unwrap_or_default()
    }

    /// The read by which the run has come to know the records of a write.
    fn batch_of(&self, updates: &[RecordUpdate]) -> u64 {
        updates.iter().find_map(|update| self.read_by.get(&update.id)).copied().unwrap_or_default()
    }
}

/// Looks the restore lock up at every write.
pub(super) struct Oracle {
    ledger: Arc<dyn Ledger>,
    account: AccountId,
    /// Values that a restore has cleared. To give them one again is no new batch.
    cleared: Mutex<HashSet<(RestoreId, RecordId, String)>>,
}

impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Oracle {
    pub(super) fn new(ledger: Arc<dyn Ledger>, account: AccountId) -> Self {
        Self { ledger, account, cleared: Mutex::default() }
    }

    /// Whether the updates that `writer` has sent may land `now`. The error gives the reason.
    pub(super) async fn judge(
        &self,
        writer: &Mutex<Writer>,
        updates: &[RecordUpdate],
        now: Timestamp,
    ) -> Result<(), String> {
        let key = RestoreLock::key_of(&self.account);
        let held: Option<RestoreLock> = self.stored(&key).await;
        let Some(holder) = held.and_then(|held| held.held_by) else {
            return Err(format!("A write has landed at {now} while no restore held the lock."));
        };
        let first = lock(writer).restore.get_or_insert_with(|| holder.clone()).clone();
        if first != holder {
            return Err(format!("A write of restore {first} has landed at {now} while {holder} held the lock."));
        }
        let reference = RestoreRef { account_id: self.account.clone(), restore_id: holder };
        let restore: Option<Restore> = self.stored(&Restore::key_of(&reference)).await;
        let restore = restore.expect("the restore that holds the lock");
        if !self.has_a_run(&restore, now).await {
            return Err(format!("A write of restore {} has landed at {now}, after every lease.", restore.restore_id));
        }
        let finishes = self.finishes(&restore.restore_id, updates);
        if restore.state != RestoreState::Applying && !finishes {
            let mut writer = lock(writer);
            let batch = writer.batch_of(updates);
            writer.late.insert(batch);
            if writer.late.len() > UNDER_WAY {
                return Err(format!("A run of restore {} has begun a batch after the end.", restore.restore_id));
            }
        }
        Ok(())
    }

    async fn stored<T: Record>(&self, key: &Key) -> Option<T> {
        self.ledger.get(key).await.expect("the ledger answers").map(as_it_is)
    }

    /// Whether a run of the restore holds a lease.
    async fn has_a_run(&self, restore: &Restore, now: Timestamp) -> bool {
        let partition = RestoreSlice::partition(&restore.restore_id);
        let prefix = RestoreSlice::PREFIX.to_owned();
        let all = ListRequest { partition, prefix, after: None, newest_first: false, limit: 1_000 };
        let slices = self.ledger.list(&all).await.expect("the ledger answers").records;
        let on_slice = slices.into_iter().any(|slice| as_it_is::<RestoreSlice>(slice).is_worked_on(now));
        on_slice || restore.leasing.lease.as_ref().is_some_and(|lease| lease.expires_at > now)
    }

    /// Notes what is cleared. Whether all of the updates give values back that the restore has cleared.
    fn finishes(&self, restore: &RestoreId, updates: &[RecordUpdate]) -> bool {
        let mut cleared = lock(&self.cleared);
        let mut finishes = true;
        for update in updates {
            for (property, value) in &update.values {
                let key = (restore.clone(), update.id, property.clone());
                if value.is_empty() {
                    cleared.insert(key);
                    finishes = false;
                } else {
                    finishes &= cleared.contains(&key);
                }
            }
        }
        finishes
    }
}

/// A record, also if its format is one that the product cannot read.
fn as_it_is<T: Record>(stored: Stored) -> T {
    serde_json::from_value(stored.body).expect("a record")
}
