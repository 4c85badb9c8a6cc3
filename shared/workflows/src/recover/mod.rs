//! recover-stalled: every minute, queues stalled work again, and notifies accounts of archives that are about to expire
//! and of work in the dead-letter queues.
//!
//! Messages may be lost and functions may die at any point. Unfinished work has a due time in the ledger, and overdue
//! work gets a new message. Queueing an item twice does no harm, so nothing here needs to be exact.

use std::sync::Arc;
use std::time::Duration;

use domain::backup::{Backup, BackupEvent, BackupState, LONGEST_RUN};
use domain::chunk::Chunk;
use domain::due::DueKind;
use domain::notification::delivery::Delivery;
use domain::notification::{Event, Notification};
use domain::object::ObjectExport;
use domain::ports::clock::Clock;
use domain::ports::dead_letters::DeadLetters;
use domain::ports::ledger::{self, Change, DUE_SHARDS, DueList, Key, Ledger, LedgerError, Record, Stored, Versioned};
use domain::ports::queue::WorkQueue;
use domain::restore::slice::RestoreSlice;
use domain::restore::{LONGEST_RESTORE, Restore, RestoreEvent, RestoreState};
use domain::work::Work;
use domain::{Failure, FailureKind};
use jiff::{SignedDuration, Timestamp};

use crate::backup::dispatch::{self, RunCap};
use crate::backup::ending;
use crate::leased::{Leasable, Leases};
use crate::listing::{self, DueKeys};
use crate::notify;
use crate::restore::{self, Places};
use crate::run::{StepError, delay_until};

/// Rounds are a minute apart, or a little more. Work that becomes due before the next round gets its message now,
/// delayed until it is due. So the work of a killed run does not wait for a round. If the run lives, it has renewed its
/// lease by then, and the message finds nothing to do.
pub const LOOK_AHEAD: SignedDuration = SignedDuration::from_secs(75);

/// Records handled per shard and round, not counting those that cannot be handled. The rest is still due in the next
/// round.
const PER_SHARD: u32 = 200;

/// Queues the work again that no run is doing. The function recover-stalled calls it every minute.
pub struct Recover {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
    /// Work in the dead-letter queues.
    pub dead_letters: Arc<dyn DeadLetters>,
}

/// The findings of a round, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    pub due: u64,
    /// How long the oldest of them had been due.
    pub oldest: SignedDuration,
    /// Items that could not be handled. They are still due in the next round.
    pub failed: u64,
}

impl Recover {
    /// Handles all due work, all shards at the same time, and the dead letters.
    ///
    /// # Errors
    /// [`StepError`] if a list of due work cannot be read. The work on the other lists has been handled.
    pub async fn round(&self) -> Result<Recovered, StepError> {
        // Every shard is completed: an unreadable list only delays its own items.
        let shards = futures_util::future::join_all((0..DUE_SHARDS).map(|shard| self.shard(shard)));
        let (shards, dead_letters) = futures_util::future::join(shards, self.tell_of_dead_letters()).await;
        if let Err(error) = dead_letters {
            tracing::warn!(%error, "recover.dead-letters-not-told");
        }
        shards.into_iter().try_fold(Recovered::default(), |all, shard| Ok(all.and(shard?)))
    }

    async fn shard(&self, shard: u8) -> Result<Recovered, StepError> {
        let mut recovered = Recovered::default();
        let mut due = DueKeys::new(DueList::Work, shard, PER_SHARD);
        // Items that fail stay first in the list, so the same number of others is read behind them.
        loop {
            let keys = due.next(&*self.ledger, self.clock.now() + LOOK_AHEAD).await?;
            let failed_before = recovered.failed;
            for key in &keys {
                recovered = recovered.and(self.look_at_key(key).await);
            }
            if recovered.failed == failed_before || keys.is_empty() || !due.may_be_more() {
                return Ok(recovered);
            }
        }
    }

    async fn look_at_key(&self, key: &Key) -> Recovered {
        match self.look_at(key).await {
            Ok(None) => Recovered::default(),
            Ok(Some(since)) => {
                let oldest = self.clock.now().duration_since(since);
                Recovered { due: 1, oldest, failed: 0 }
            }
            Err(error) => {
                if error.is_unreadable() {
                    listing::unreadable(&error);
                }
                tracing::warn!(%error, partition = key.partition, sort = key.sort, "recover.item-failed");
                Recovered { failed: 1, ..Recovered::default() }
            }
        }
    }

    /// Handles one item. Returns since when it has been stalled. None if it is not: the list may lag.
    async fn look_at(&self, key: &Key) -> Result<Option<Timestamp>, StepError> {
        let Some(stored) = self.ledger.get(key).await? else { return Ok(None) };
        match DueKind::of(key)? {
            DueKind::Backup => self.look_at_backup(stored).await,
            DueKind::Object => self.look_at_object(stored).await,
            DueKind::Chunk => self.look_at_chunk(stored).await,
            DueKind::Restore => self.look_at_restore(stored).await,
            DueKind::Slice => self.look_at_slice(stored).await,
            DueKind::Notification => self.look_at_notification(stored).await,
            DueKind::Delivery => self.look_at_delivery(stored).await,
        }
    }

    async fn look_at_chunk(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let chunk = ledger::read::<Chunk>(stored)?;
        let now = self.clock.now();
        let (Some(since), true) = (chunk.record.overdue_since(), is_due(&chunk.record, now)) else {
            return self.look_ahead(&chunk.record, now).await;
        };
        let backup = chunk.record.backup();
        let parent = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(&backup)).await?;
        let ended = parent.is_none_or(|parent| parent.record.state.is_terminal());
        // A chunk of an ended backup, or of a void generation, is never handled again.
        let next = if ended || self.is_void(&chunk.record).await? {
            chunk.record.dropped()
        } else {
            chunk.record.requeued(now)
        };
        let lives = next.due_at().is_some();
        self.replace(Change::replace(&chunk, &next)).await?;
        if lives {
            self.queue.send(&[chunk.record.work()], Duration::ZERO).await?;
        }
        Ok(lives.then_some(since))
    }

    /// Sends the message of an item that becomes due soon. A waiting item has a message that arrives at the end of its
    /// wait, and an item that was queued again and not yet taken has one in the queue.
    async fn look_ahead<T: Leasable>(&self, item: &T, now: Timestamp) -> Result<Option<Timestamp>, StepError> {
        let leasing = item.leasing();
        match item.message() {
            Some(work) if leasing.wait.is_none() && leasing.requeued_at.is_none() => {
                self.send_ahead(item.due_at(), work, now).await
            }
            _ => Ok(None),
        }
    }

    /// Sends `work`, delayed until it is due, if that is before the next round. The work was not stalled.
    async fn send_ahead(
        &self,
        due: Option<Timestamp>,
        work: Work,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StepError> {
        if let Some(due) = due.filter(|due| (now..=now + LOOK_AHEAD).contains(due)) {
            self.queue.send(&[work], delay_until(due, now)).await?;
        }
        Ok(None)
    }

    async fn is_void(&self, chunk: &Chunk) -> Result<bool, StepError> {
        let key = ObjectExport::key_of(&chunk.backup_id, &chunk.key.object_type);
        let object = ledger::load::<ObjectExport>(&*self.ledger, &key).await?;
        Ok(object.is_none_or(|object| object.record.generation != chunk.key.generation))
    }

    async fn look_at_object(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let object = ledger::read::<ObjectExport>(stored)?;
        let now = self.clock.now();
        let (Some(since), true) = (object.record.overdue_since(), is_due(&object.record, now)) else {
            return self.send_ahead(object.record.due_at(), object.record.close_work(), now).await;
        };
        let parent = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(&object.record.backup())).await?;
        let ended = parent.is_none_or(|parent| parent.record.state.is_terminal());
        let next = if ended { object.record.dropped() } else { object.record.requeued(now) };
        self.replace(Change::replace(&object, &next)).await?;
        if !ended {
            self.queue.send(&[object.record.close_work()], Duration::ZERO).await?;
        }
        Ok((!ended).then_some(since))
    }

    async fn look_at_backup(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let loaded = ledger::read::<Backup>(stored)?;
        let now = self.clock.now();
        if !is_due(&loaded.record, now) {
            return self.look_ahead(&loaded.record, now).await;
        }
        let backup = loaded.record.reference();
        let runs = !loaded.record.state.is_terminal();
        if runs && now.duration_since(loaded.record.created_at) > LONGEST_RUN {
            ending::fail(&*self.ledger, &*self.queue, &*self.clock, &backup, took_too_long()).await?;
            return Ok(None);
        }
        if loaded.record.swept_at.is_some() {
            return self.tell_of_expiry(&loaded, now).await;
        }
        let Ok(next) = loaded.record.apply(BackupEvent::Requeued, now) else { return Ok(None) };
        self.replace(Change::replace(&loaded, &next)).await?;
        if let Some(work) = loaded.record.work() {
            self.queue.send(&[work], Duration::ZERO).await?;
            return Ok(loaded.record.overdue_since());
        }
        // An export is checked every few minutes without being stalled: a dispatch may have been lost.
        if loaded.record.state == BackupState::Exporting {
            dispatch::dispatch(&*self.ledger, &*self.queue, &*self.clock, &backup, RunCap(1)).await?;
        }
        Ok(None)
    }

    async fn look_at_slice(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let slice = ledger::read::<RestoreSlice>(stored)?;
        let now = self.clock.now();
        let (Some(since), true) = (slice.record.overdue_since(), is_due(&slice.record, now)) else {
            return self.look_ahead(&slice.record, now).await;
        };
        let parent = ledger::load::<Restore>(&*self.ledger, &Restore::key_of(&slice.record.restore())).await?;
        // While a restore is being concluded, that step settles its slices.
        let ended = parent.is_none_or(|parent| parent.record.state.is_terminal());
        let next = if ended { slice.record.dropped() } else { slice.record.requeued(now) };
        self.replace(Change::replace(&slice, &next)).await?;
        if !ended {
            self.queue.send(&[slice.record.work()], Duration::ZERO).await?;
        }
        Ok((!ended).then_some(since))
    }

    async fn look_at_restore(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let loaded = ledger::read::<Restore>(stored)?;
        let now = self.clock.now();
        if !is_due(&loaded.record, now) {
            return self.look_ahead(&loaded.record, now).await;
        }
        let restore = loaded.record.reference();
        let concludes = loaded.record.state == RestoreState::Concluding;
        if !concludes && now.duration_since(loaded.record.created_at) > LONGEST_RESTORE {
            let leases = Leases { ledger: &*self.ledger, queue: &*self.queue, clock: &*self.clock };
            restore::fail(&leases, &restore, restore_took_too_long()).await?;
            return Ok(None);
        }
        let Ok(next) = loaded.record.apply(RestoreEvent::Requeued, now) else { return Ok(None) };
        self.replace(Change::replace(&loaded, &next)).await?;
        if let Some(work) = loaded.record.work() {
            self.queue.send(&[work], Duration::ZERO).await?;
            return Ok(loaded.record.overdue_since());
        }
        // Slices are checked every few minutes without being stalled: a dispatch may have been lost.
        restore::dispatch(&*self.ledger, &*self.queue, now, (&restore, Places(1))).await?;
        Ok(None)
    }

    /// Notifies an account that an archive is about to expire. This is not stalled work.
    async fn tell_of_expiry(&self, loaded: &Versioned<Backup>, now: Timestamp) -> Result<Option<Timestamp>, StepError> {
        let backup = &loaded.record;
        let Ok(next) = backup.apply(BackupEvent::ExpiryTold, now) else { return Ok(None) };
        let mut changes = vec![Change::replace(loaded, &next)];
        let notification = backup.usable_archive(now).ok().map(|archive| {
            let event = Event::BackupExpiring { backup_id: backup.backup_id.clone(), expires_at: archive.expires_at };
            let requester = Some(backup.created_by.clone());
            Notification::new(backup.account_id.clone(), backup.backup_id.random(), event, requester, now)
        });
        changes.extend(notification.as_ref().map(Change::create));
        match (self.ledger.commit(&changes).await, notification) {
            (Ok(()), Some(notification)) => notify::announce_soon(&*self.queue, &notification).await,
            // Another round creates the notification, or it is no longer needed.
            (Ok(()), None) | (Err(LedgerError::Conflict), _) => {}
            (Err(error), _) => return Err(error.into()),
        }
        Ok(None)
    }

    async fn look_at_notification(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let loaded = ledger::read::<Notification>(stored)?;
        let now = self.clock.now();
        let (Some(since), true) = (loaded.record.overdue_since(), is_due(&loaded.record, now)) else { return Ok(None) };
        self.replace(Change::replace(&loaded, &loaded.record.requeued(now))).await?;
        self.queue.send(&[loaded.record.work()], Duration::ZERO).await?;
        Ok(Some(since))
    }

    /// Most due deliveries have waited for longer than a queue can keep a message, which is normal.
    async fn look_at_delivery(&self, stored: Stored) -> Result<Option<Timestamp>, StepError> {
        let loaded = ledger::read::<Delivery>(stored)?;
        let now = self.clock.now();
        if is_due(&loaded.record, now) {
            // Otherwise deliveries that are not made would stay first in the list, in front of everything else.
            self.replace(Change::replace(&loaded, &loaded.record.requeued(now))).await?;
            self.queue.send(&[loaded.record.work()], Duration::ZERO).await?;
        }
        Ok(None)
    }

    /// Notifies accounts of their work in the dead-letter queues, once for each backup and each restore.
    async fn tell_of_dead_letters(&self) -> Result<(), StepError> {
        for work in self.dead_letters.peek().await? {
            // Notifications in the dead-letter queues create no further notification.
            if matches!(work, Work::Announce { .. } | Work::Deliver { .. }) {
                continue;
            }
            let notification = Notification::of_dead_letter(&work, self.clock.now());
            match self.ledger.commit(&[Change::create(&notification)]).await {
                Ok(()) => notify::announce_soon(&*self.queue, &notification).await,
                Err(LedgerError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn replace(&self, change: Change) -> Result<(), StepError> {
        match self.ledger.commit(&[change]).await {
            // A run is working on it after all.
            Ok(()) | Err(LedgerError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Recovered {
    fn and(self, other: Self) -> Self {
        Self { due: self.due + other.due, oldest: self.oldest.max(other.oldest), failed: self.failed + other.failed }
    }
}

fn is_due(record: &impl Record, now: Timestamp) -> bool {
    record.due_at().is_some_and(|due| due <= now)
}

fn restore_took_too_long() -> Failure {
    Failure::new(
        FailureKind::RestoreTookTooLong,
        "The restore did not finish within 46 hours, so it failed. The values that it wrote stay in the CRM. Raise the \
         share of the CRM's calls that the account may use, then plan again. The new restore writes only the values \
         that are left.",
    )
}

fn took_too_long() -> Failure {
    Failure::new(
        FailureKind::BackupTookTooLong,
        "The backup did not finish within 6 days and was stopped. Raise the share of the CRM's calls that the account \
         may use, then make a new backup.",
    )
}

#[cfg(test)]
mod tests;
