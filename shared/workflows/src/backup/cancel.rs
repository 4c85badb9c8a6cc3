//! Cancelling a backup.

use domain::audit::Act;
use domain::backup::{Backup, BackupState};
use domain::ports::clock::Clock;
use domain::ports::ledger::{Ledger, LedgerError};
use domain::ports::queue::WorkQueue;
use domain::work::BackupRef;

use crate::backup::ending::{self, End, EndError, Ended};

/// Why a backup could not be cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("there is no such backup")]
    Unknown,
    /// It has completed or failed, which is final.
    #[error("the backup has ended")]
    Ended(Box<Backup>),
    /// The ledger failed. The backup may have been cancelled.
    #[error(transparent)]
    Ledger(LedgerError),
}

/// Cancels a backup. Repeating it gives the same answer.
///
/// # Errors
/// [`CancelError`].
pub async fn cancel(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    clock: &dyn Clock,
    backup: &BackupRef,
    act: &Act,
) -> Result<Backup, CancelError> {
    match ending::end(ledger, queue, clock, backup, End::Cancelled(act)).await {
        Ok(Ended::Done(backup)) => Ok(backup),
        Ok(Ended::AlreadyEnded(backup)) if backup.state == BackupState::Cancelled => Ok(backup),
        Ok(Ended::AlreadyEnded(backup)) => Err(CancelError::Ended(Box::new(backup))),
        Err(EndError::Absent) => Err(CancelError::Unknown),
        Err(EndError::Ledger(error)) => Err(CancelError::Ledger(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::allowance::Allowance;
    use domain::ports::ledger::{self, Change};
    use domain::work::Work;
    use in_memory::{ManualClock, MemoryLedger, MemoryQueue};

    use super::*;
    use crate::samples;

    struct World {
        ledger: MemoryLedger,
        queue: MemoryQueue,
        clock: Arc<ManualClock>,
    }

    impl World {
        async fn with(backup: &Backup) -> Self {
            let clock = Arc::new(ManualClock::at(samples::NOW));
            let world = Self { ledger: MemoryLedger::new(), queue: MemoryQueue::new(clock.clone()), clock };
            let allowance = Allowance::free(backup.account_id.clone())
                .take(&backup.backup_id, jiff::SignedDuration::ZERO, samples::NOW)
                .expect("free");
            let changes = [Change::create(backup), Change::create(&allowance)];
            world.ledger.commit(&changes).await.expect("empty ledger");
            world
        }

        async fn cancel(&self, backup: &BackupRef) -> Result<Backup, CancelError> {
            cancel(&self.ledger, &self.queue, &*self.clock, backup, &samples::act("cancel-backup")).await
        }
    }

    #[tokio::test]
    async fn a_cancelled_backup_frees_the_account_and_its_segments_are_swept() {
        let backup = samples::exporting(1);
        let world = World::with(&backup).await;

        let cancelled = world.cancel(&backup.reference()).await.expect("running");

        assert_eq!((cancelled.state, cancelled.ended_at), (BackupState::Cancelled, Some(samples::NOW)));
        let allowance = ledger::load::<Allowance>(&world.ledger, &Allowance::key_of(&backup.account_id)).await;
        assert_eq!(allowance.expect("readable").expect("present").record.running, None);
        assert_eq!(world.queue.receive(), Some(Work::Sweep { backup: backup.reference() }));
        assert_eq!(world.cancel(&backup.reference()).await.expect("the same answer"), cancelled);
    }

    #[tokio::test]
    async fn a_completed_backup_stays_completed() {
        let backup = samples::completed(1, samples::NOW);
        let world = World::with(&backup).await;
        let refused = world.cancel(&backup.reference()).await;
        assert!(matches!(refused, Err(CancelError::Ended(ended)) if *ended == backup));
        assert_eq!(world.queue.receive(), None);
    }

    #[tokio::test]
    async fn an_unknown_backup_cannot_be_cancelled() {
        let world = World::with(&samples::queued(1)).await;
        let unknown = samples::queued(2).reference();
        assert!(matches!(world.cancel(&unknown).await, Err(CancelError::Unknown)));
    }
}
