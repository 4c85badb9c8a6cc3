//! Deletes a backup's archive before it expires. The backup stays in the list.

use std::time::Duration;

use domain::audit::Act;
use domain::backup::{Backup, BackupEvent, BackupState, NoArchive};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use jiff::Timestamp;

use crate::contention::{self, Attempt};

/// Why an archive was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("there is no such backup")]
    Unknown,
    /// The backup has no archive: it is still running, or ended without one.
    #[error("the backup has no archive")]
    NotCompleted(BackupState),
    /// The archive expired at this time and is gone.
    #[error("the archive expired at {0}")]
    Expired(Timestamp),
    /// The ledger failed. The archive may have been deleted.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Deletes the archive of `backup`. No further link to it is made, and its objects are deleted within moments.
/// Repeating it gives the same answer.
///
/// # Errors
/// [`DeleteError`].
pub async fn delete(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    act: &Act,
) -> Result<Backup, DeleteError> {
    let deleted = contention::retry(|| try_delete(ledger, clock, backup, act)).await?;
    tracing::info!(account.id = %backup.account_id, backup.id = %backup.backup_id, "backup.archive-deleted");
    // If this message is lost, recover-stalled queues the work.
    if let Err(error) = queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await {
        tracing::warn!(%error, backup.id = %backup.backup_id, "backup.sweep-not-queued");
    }
    Ok(deleted)
}

async fn try_delete(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    backup: &BackupRef,
    act: &Act,
) -> Result<Attempt<Backup>, DeleteError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?.ok_or(DeleteError::Unknown)?;
    let now = clock.now();
    match loaded.record.usable_archive(now) {
        Ok(_) => {}
        Err(NoArchive::Deleted(_)) => return Ok(Attempt::Settled(loaded.record)),
        Err(NoArchive::NotCompleted(state)) => return Err(DeleteError::NotCompleted(state)),
        Err(NoArchive::Expired(at)) => return Err(DeleteError::Expired(at)),
    }
    let Ok(next) = loaded.record.apply(BackupEvent::ArchiveDeleted(act.by.clone()), now) else {
        return Err(DeleteError::NotCompleted(loaded.record.state));
    };
    let entry = Change::create(&act.succeeded(backup.backup_id.to_string()));
    Ok(contention::settle(ledger.commit(&[Change::replace(&loaded, &next), entry]).await, next)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::audit::AuditEntry;
    use domain::ids::AccountId;
    use in_memory::faults::{Fault, Sweep};
    use in_memory::{ManualClock, MemoryLedger, MemoryQueue, MemoryStorage};
    use jiff::SignedDuration;

    use super::*;
    use crate::backup::download::{self, DownloadError};
    use crate::link::Link;
    use crate::samples;

    const FIVE_MINUTES: Duration = Duration::from_mins(5);

    struct World {
        ledger: Arc<MemoryLedger>,
        queue: MemoryQueue,
        clock: Arc<ManualClock>,
    }

    impl World {
        async fn with(backup: &Backup) -> Self {
            let clock = Arc::new(ManualClock::at(samples::NOW));
            let queue = MemoryQueue::new(clock.clone());
            let world = Self { ledger: Arc::new(MemoryLedger::new()), queue, clock };
            world.ledger.commit(&[Change::create(backup)]).await.expect("empty ledger");
            world
        }

        async fn delete(&self, backup: &Backup) -> Result<Backup, DeleteError> {
            self.delete_over(&*self.ledger, backup).await
        }

        async fn delete_over(&self, ledger: &dyn Ledger, backup: &Backup) -> Result<Backup, DeleteError> {
            delete(ledger, &self.queue, &*self.clock, &backup.reference(), &samples::act("delete-backup")).await
        }

        async fn link(&self, backup: &Backup) -> Result<Link, DownloadError> {
            let (act, links) = (samples::act("download-backup"), MemoryStorage::new());
            let (ledger, clock) = (&*self.ledger, &*self.clock);
            download::link(ledger, &links, clock, &backup.reference(), FIVE_MINUTES, &act).await
        }

        async fn deletions(&self) -> Vec<AuditEntry> {
            let entries = samples::audit_log(&*self.ledger).await;
            entries.into_iter().filter(|entry| entry.action == "delete-backup").collect()
        }
    }

    fn expires_at() -> Timestamp {
        samples::NOW + SignedDuration::from_hours(14 * 24)
    }

    /// A completed backup whose temporary data is already removed.
    fn completed() -> Backup {
        let completed = samples::completed(1, expires_at());
        completed.apply(BackupEvent::Swept, samples::NOW).expect("it has ended")
    }

    #[tokio::test]
    async fn a_deleted_archive_can_no_longer_be_downloaded_and_is_swept() {
        let (backup, now) = (completed(), samples::NOW + SignedDuration::from_hours(1));
        let world = World::with(&backup).await;
        world.link(&backup).await.expect("there is an archive");
        world.clock.set(now);

        let deleted = world.delete(&backup).await.expect("there is an archive");

        assert_eq!(deleted.state, BackupState::Completed, "the backup stays in the list");
        let deletion = deleted.deletion.expect("deleted");
        assert_eq!((deletion.at, deletion.by), (now, samples::requester()));
        assert!(
            matches!(world.link(&backup).await, Err(DownloadError::NoArchive(NoArchive::Deleted(at))) if at == now)
        );
        assert_eq!(world.queue.receive(), Some(Work::Sweep { backup: backup.reference() }));
    }

    #[tokio::test]
    async fn deleting_again_gives_the_same_answer_and_one_entry_in_the_audit_log() {
        let backup = completed();
        let world = World::with(&backup).await;
        let deleted = world.delete(&backup).await.expect("there is an archive");
        for later in [samples::NOW + SignedDuration::from_hours(1), expires_at()] {
            world.clock.set(later);
            assert_eq!(world.delete(&backup).await.expect("the same answer"), deleted);
        }
        let entries = world.deletions().await;
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].target.as_deref(), Some(backup.backup_id.as_str()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_two_simultaneous_deletions_is_audited() {
        let backup = completed();
        // Backup, commit.
        let sweep = Sweep::expecting(2).up_to(2);
        sweep
            .of(Fault::CallHeld, async |faults| {
                let world = World::with(&backup).await;
                let ledger = faults.worker().wrap(world.ledger.clone());
                let fast = async {
                    faults.until_struck().await;
                    let deleted = world.delete(&backup).await;
                    faults.release();
                    deleted
                };
                let (late, first) = tokio::join!(world.delete_over(&*ledger, &backup), fast);
                assert_eq!(late.expect("deleted"), first.expect("deleted"));
                assert_eq!(world.deletions().await.len(), 1);
            })
            .await;
    }

    #[tokio::test]
    async fn a_backup_without_an_archive_cannot_be_deleted() {
        let cancelled = samples::exporting(1).apply(BackupEvent::Cancelled, samples::NOW).expect("running");
        for backup in [samples::queued(1), samples::exporting(1), samples::assembling(1), cancelled] {
            let world = World::with(&backup).await;
            let refused = world.delete(&backup).await;
            assert!(matches!(refused, Err(DeleteError::NotCompleted(state)) if state == backup.state));
            assert!(world.deletions().await.is_empty() && world.queue.receive().is_none());
        }
    }

    #[tokio::test]
    async fn an_expired_archive_is_already_gone() {
        let backup = completed();
        let world = World::with(&backup).await;
        world.clock.set(expires_at());
        let refused = world.delete(&backup).await;
        assert!(matches!(refused, Err(DeleteError::Expired(at)) if at == expires_at()));
        assert!(world.deletions().await.is_empty());
        world.clock.set(expires_at() - SignedDuration::from_secs(1));
        world.delete(&backup).await.expect("not expired yet");
    }

    #[tokio::test]
    async fn an_unknown_backup_and_another_accounts_backup_give_the_same_answer() {
        let backup = completed();
        let world = World::with(&backup).await;
        let elsewhere = Backup { account_id: AccountId::parse("43").expect("digits"), ..backup.clone() };
        for unknown in [samples::queued(2), elsewhere] {
            assert!(matches!(world.delete(&unknown).await, Err(DeleteError::Unknown)));
        }
        world.link(&backup).await.expect("still there");
    }
}
