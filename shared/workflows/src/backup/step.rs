//! The steps of a backup that one run does at a time, discovery and assembly: taking the lease, changing the backup
//! under it, and giving the lease back when the run ends before the step is done.

use domain::backup::{Backup, BackupEvent};
use domain::lease::Leftover;
use domain::lease::{Leasing, NotLeased, Wait};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use domain::{Failure, Refused};
use jiff::{SignedDuration, Timestamp};

use crate::backup::ending;
use crate::contention;
use crate::held_lease::{HeldLease, Wished};
use crate::leased::{Aftermath, Leasable, Leases};
use crate::run::{Patience, Run, StepError};

/// A backup at such a step, and the ports that change it.
#[derive(Clone, Copy)]
pub(crate) struct BackupStep<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) queue: &'a dyn WorkQueue,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) backup: &'a BackupRef,
}

impl Leasable for Backup {
    fn leasing(&self) -> &Leasing {
        &self.leasing
    }
    fn leased(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        self.lease(owner, now, length)
    }
    fn with_leasing(&self, leasing: Leasing) -> Self {
        Self { leasing, ..self.clone() }
    }
    fn released(&self, lease: u32, wait: Option<Wait>, _: Leftover, now: Timestamp) -> Result<Self, Refused> {
        self.apply(BackupEvent::Released { lease, wait }, now)
    }
    fn message(&self) -> Option<Work> {
        self.work()
    }
}

impl<'a> BackupStep<'a> {
    /// The backup, or None if it does not exist.
    pub(crate) async fn load(&self) -> Result<Option<Versioned<Backup>>, LedgerError> {
        ledger::load::<Backup>(self.ledger, &Backup::key_of(self.backup)).await
    }

    fn leases(&self) -> Leases<'a> {
        Leases { ledger: self.ledger, queue: self.queue, clock: self.clock }
    }

    /// Takes the lease of the step that `loaded` is at. None if this run has nothing to do. After too many fruitless
    /// runs the backup fails with `out_of_attempts`, and the result is None too.
    pub(crate) async fn lease(
        &self,
        loaded: &Versioned<Backup>,
        run: &Run,
        out_of_attempts: impl FnOnce() -> Failure,
    ) -> Result<Option<HeldLease<'a, Backup>>, StepError> {
        if loaded.record.work().is_none() {
            return Ok(None);
        }
        match self.leases().take(loaded, &run.owner).await? {
            Wished::Leased(held) => Ok(Some(held)),
            Wished::Nothing => Ok(None),
            Wished::OutOfAttempts => {
                self.fail(out_of_attempts()).await?;
                Ok(None)
            }
        }
    }

    /// Applies `event`, even if others change the backup at the same time, and returns the changed backup.
    ///
    /// # Errors
    /// [`StepError::TakenOver`] if the event is refused or the backup is gone; others if the ledger failed.
    pub(crate) async fn apply(&self, event: BackupEvent) -> Result<Backup, StepError> {
        contention::retry(|| async {
            let Some(loaded) = self.load().await? else { return Err(StepError::GONE) };
            let next = self.after(&loaded, event.clone())?;
            Ok(contention::settle(self.ledger.commit(&[Change::replace(&loaded, &next)]).await, next)?)
        })
        .await
    }

    /// The backup after `event`, not yet committed.
    ///
    /// # Errors
    /// [`StepError::TakenOver`] if the event is refused.
    pub(crate) fn after(&self, loaded: &Versioned<Backup>, event: BackupEvent) -> Result<Backup, StepError> {
        Ok(loaded.record.apply(event, self.clock.now())?)
    }

    /// Handles `error`, which ended a run under `lease` before the step was done. A run that has `progressed` does not
    /// count as fruitless.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub(crate) async fn interrupted(
        &self,
        lease: u32,
        error: &StepError,
        progressed: bool,
        patience: &Patience,
    ) -> Result<(), StepError> {
        if matches!(error, StepError::TakenOver(_)) {
            return self.sweep_if_ended().await;
        }
        let key = Backup::key_of(self.backup);
        match self.leases().interrupted::<Backup>(&key, lease, error, (progressed, Leftover::Nothing), patience).await?
        {
            Aftermath::Settled => self.sweep_if_ended().await,
            Aftermath::Fail(failure) => self.fail(failure).await,
        }
    }

    /// Queues another sweep if the backup has ended. A run that was working at that time, or died since, may have
    /// written data after the first one.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub(crate) async fn sweep_if_ended(&self) -> Result<(), StepError> {
        ending::sweep_if_ended(self.ledger, self.queue, self.backup).await
    }

    /// Handles the end of the time of a run under `lease` before the step was done. A run that has `progressed` does
    /// not count as fruitless.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub(crate) async fn run_over(&self, lease: u32, progressed: bool) -> Result<(), StepError> {
        self.leases().run_over::<Backup>(&Backup::key_of(self.backup), lease, progressed, Leftover::Nothing).await
    }

    /// Ends the backup as failed.
    ///
    /// # Errors
    /// [`StepError`] if the ledger failed.
    pub(crate) async fn fail(&self, failure: Failure) -> Result<(), StepError> {
        Ok(ending::fail(self.ledger, self.queue, self.clock, self.backup, failure).await?)
    }
}
