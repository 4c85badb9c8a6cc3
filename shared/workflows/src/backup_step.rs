//! A step of a backup that one run does at a time: discovery, assembly. What they have in common: taking the lease,
//! changing the backup under it, and giving it back when the run ends before the step is done.

use std::time::Duration;

use domain::Failure;
use domain::backup::{Backup, BackupEvent};
use domain::budget::WaitReason;
use domain::lease::{NotLeased, Wait};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};

use crate::contention;
use crate::ending;
use crate::run::{Remedy, Run, StepError, delay_until};

/// A backup at such a step, and the ports to change it.
#[derive(Clone, Copy)]
pub(crate) struct BackupStep<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) queue: &'a dyn WorkQueue,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) backup: &'a BackupRef,
}

/// The step's lease, as this run holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldLease {
    /// Its number.
    pub(crate) number: u32,
    /// The message that gets the step done.
    work: Work,
}

impl BackupStep<'_> {
    /// The backup, or None when there is none.
    pub(crate) async fn load(&self) -> Result<Option<Versioned<Backup>>, LedgerError> {
        ledger::load::<Backup>(self.ledger, &Backup::key_of(self.backup)).await
    }

    /// Takes the lease of the step that `loaded` is at. None when there is nothing to do for this run; after too many
    /// fruitless runs the backup has then failed, by `out_of_attempts`.
    pub(crate) async fn lease(
        &self,
        loaded: &Versioned<Backup>,
        run: &Run,
        out_of_attempts: impl FnOnce() -> Failure,
    ) -> Result<Option<HeldLease>, StepError> {
        let now = self.clock.now();
        let Some(work) = loaded.record.work() else { return Ok(None) };
        let leased = match loaded.record.lease(&run.owner, now, run.lease_length(now)) {
            Ok(Ok(leased)) => leased,
            Ok(Err(NotLeased::OutOfAttempts)) => {
                self.fail(out_of_attempts()).await?;
                return Ok(None);
            }
            Ok(Err(NotLeased::Held(_) | NotLeased::Waiting(_))) | Err(_) => return Ok(None),
        };
        match self.ledger.commit(&[Change::replace(loaded, &leased)]).await {
            // Another delivery of the same message was first.
            Err(LedgerError::Conflict) => return Ok(None),
            other => other?,
        }
        Ok(Some(HeldLease { number: leased.leasing.last_number, work }))
    }

    /// Applies `event`, whoever else changes the backup at the same time, and returns the backup as it is then.
    ///
    /// # Errors
    /// [`StepError::TakenOver`] when the event is refused or the backup is gone; others when the ledger failed.
    pub(crate) async fn apply(&self, event: BackupEvent) -> Result<Backup, StepError> {
        contention::retry(|| async {
            let Some(loaded) = self.load().await? else { return Err(StepError::TakenOver) };
            let next = self.after(&loaded, event.clone())?;
            Ok(contention::settle(self.ledger.commit(&[Change::replace(&loaded, &next)]).await, next)?)
        })
        .await
    }

    /// The backup after `event`, not committed yet.
    ///
    /// # Errors
    /// [`StepError::TakenOver`] when the event is refused.
    pub(crate) fn after(&self, loaded: &Versioned<Backup>, event: BackupEvent) -> Result<Backup, StepError> {
        loaded.record.apply(event, self.clock.now()).map_err(|refused| {
            tracing::debug!(%refused, backup.id = %self.backup.backup_id, "backup.event-refused");
            StepError::TakenOver
        })
    }

    /// What follows when a run ends by `error` before the step is done. A run that has `progressed` was not in vain.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub(crate) async fn interrupted(
        &self,
        held: HeldLease,
        error: &StepError,
        progressed: bool,
        retry_base: Duration,
    ) -> Result<(), StepError> {
        let now = self.clock.now();
        // Progress has set the count of fruitless runs back, so it is read again.
        let attempts = self.load().await?.map_or(1, |loaded| loaded.record.leasing.attempts);
        match error.remedy(now, attempts, retry_base) {
            Remedy::Stop => ending::sweep_if_ended(self.ledger, self.queue, self.backup).await,
            Remedy::Fail(failure) => self.fail(failure).await,
            Remedy::Wait(wait) => {
                self.release(held.number, Some(wait)).await?;
                self.queue_again(held.work, delay_until(wait.until, now)).await
            }
            Remedy::Retry(pause) => {
                // Best effort: without it the lease runs out by itself.
                let _ = self.release(held.number, self.gone_on(progressed)).await;
                self.queue_again(held.work, pause).await
            }
        }
    }

    /// What follows when a run's time is over before the step is done. A run that has `progressed` was not in vain.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub(crate) async fn run_over(&self, held: HeldLease, progressed: bool) -> Result<(), StepError> {
        self.release(held.number, self.gone_on(progressed)).await?;
        self.queue_again(held.work, Duration::ZERO).await
    }

    /// Ends the backup as failed.
    ///
    /// # Errors
    /// [`StepError`] when the ledger failed.
    pub(crate) async fn fail(&self, failure: Failure) -> Result<(), StepError> {
        Ok(ending::fail(self.ledger, self.queue, self.clock, self.backup, failure).await?)
    }

    fn gone_on(&self, progressed: bool) -> Option<Wait> {
        progressed.then(|| Wait { until: self.clock.now(), reason: WaitReason::RunOver })
    }

    async fn release(&self, lease: u32, wait: Option<Wait>) -> Result<(), StepError> {
        self.apply(BackupEvent::Released { lease, wait }).await.map(|_| ())
    }

    async fn queue_again(&self, work: Work, delay: Duration) -> Result<(), StepError> {
        Ok(self.queue.send(&[work], delay).await?)
    }
}
