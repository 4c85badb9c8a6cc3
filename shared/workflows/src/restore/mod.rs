//! Restores property values: makes plans, carries them out, and collects the outcomes.
//!
//! | module | what it does |
//! |---|---|
//! | [`ask`], [`decide`] | requests: plan, undo; confirm, cancel, stop |
//! | `open_plans` | the plans of an account that are being made |
//! | `begin` | writes the definition and the slices |
//! | `dispatch` | gives the worker places of an account to slices |
//! | `begun` | reads the values that earlier runs stored before they wrote them |
//! | `compare` | plans a slice: rows to restore against present values |
//! | `sum_up` | makes the plan that people review |
//! | `apply` | writes a slice: read again, pre-image, update, compare the returned values |
//! | `conclude` | ends a restore that has written: settles slices, errors.csv, import, lock |
//! | `report` | skipped.csv and errors.csv, over several runs if needed |
//! | [`review`] | shows restores and imports to users |
//!
//! A restore has at most [`MOST_SLICES`] slices. One run works on a slice with several calls under way at once, so one
//! or two runs are enough to use the whole call budget. An account has few worker places in all, so that it cannot
//! occupy those of other accounts.

mod apply;
mod arrange;
pub mod ask;
mod begin;
mod begun;
mod compare;
mod conclude;
pub mod decide;
mod definition;
mod dispatch;
mod open_plans;
mod pipeline;
mod report;
pub mod review;
mod room;
mod sources;
mod sum_up;
mod waiting;

pub use self::dispatch::Places;
pub(crate) use self::dispatch::dispatch;

use std::sync::Arc;
use std::time::Duration;

use domain::lease::Leftover;
use domain::lease::WRITE_MARGIN;
use domain::lease::{Leasing, NotLeased, Wait};
use domain::ports::ledger::{self, Change, Ledger, Versioned};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::{BlobReader, BlobWriter, MultipartUploads};
use domain::restore::slice::{RestoreSlice, SliceState};
use domain::restore::{Restore, RestoreEvent, RestoreState};
use domain::work::{RestoreRef, Work};
use domain::{Failure, FailureKind};
use domain::{Refused, restore::lock::RestoreLock};
use jiff::{SignedDuration, Timestamp};

use crate::call_gate::GateUsage;
use crate::contention;
use crate::crm_session::CrmSessions;
use crate::held_lease::Wished;
use crate::leased::{Aftermath, Leasable, Leases};
use crate::notify;
use crate::run::{Patience, Run, StepError};

/// The most slices of a restore.
pub const MOST_SLICES: u64 = 100;

/// Plans restores and carries them out.
pub struct RestoreWork {
    /// Opens the CRM. The rest of the work uses its ledger and clock too.
    pub sessions: CrmSessions,
    pub queue: Arc<dyn WorkQueue>,
    pub reader: Arc<dyn BlobReader>,
    pub writer: Arc<dyn BlobWriter>,
    pub uploads: Arc<dyn MultipartUploads>,
    pub places: Places,
    pub patience: Patience,
}

/// The work of a run, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RestoreUsage {
    /// Records compared or written.
    pub records: u64,
    pub gate: GateUsage,
}

/// How a run on a slice, or on the restore's own step, ended without an error.
enum Ending {
    /// The step is finished, or has no work for a while.
    Finished,
    /// The run's time is over.
    RunOver,
}

impl Leasable for Restore {
    fn leasing(&self) -> &Leasing {
        &self.leasing
    }
    fn leased(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        self.lease(owner, now, length)
    }
    fn with_leasing(&self, leasing: Leasing) -> Self {
        Self { leasing, ..self.clone() }
    }
    fn released(&self, lease: u32, wait: Option<Wait>, left: Leftover, now: Timestamp) -> Result<Self, Refused> {
        let released = self.apply(RestoreEvent::Released { lease, wait }, now)?;
        Ok(match left {
            Leftover::Unanswered => {
                released.with_leasing(self.leasing.released_while_landing(wait, now + WRITE_MARGIN))
            }
            Leftover::Nothing | Leftover::Untold => released,
        })
    }
    fn message(&self) -> Option<Work> {
        self.work()
    }
}

impl Leasable for RestoreSlice {
    fn leasing(&self) -> &Leasing {
        &self.leasing
    }
    fn leased(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        if self.is_active() { self.lease(owner, now, length) } else { Err(NotLeased::NoStep) }
    }
    fn with_leasing(&self, leasing: Leasing) -> Self {
        Self { leasing, ..self.clone() }
    }
    fn released(&self, lease: u32, wait: Option<Wait>, left: Leftover, now: Timestamp) -> Result<Self, Refused> {
        Self::released(self, lease, wait, left, now)
    }
    fn message(&self) -> Option<Work> {
        self.is_active().then(|| self.work())
    }
}

impl RestoreWork {
    fn ledger(&self) -> &dyn Ledger {
        &*self.sessions.ledger
    }

    fn now(&self) -> Timestamp {
        self.sessions.clock.now()
    }

    fn leases(&self) -> Leases<'_> {
        Leases { ledger: self.ledger(), queue: &*self.queue, clock: &*self.sessions.clock }
    }

    /// Does the restore's next step that one run does: defines its slices, sums up its plan, or concludes it. While its
    /// slices are in work, queues those that wait.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn step(&self, restore: &RestoreRef, run: &Run) -> Result<(), StepError> {
        let key = Restore::key_of(restore);
        let Some(loaded) = ledger::load::<Restore>(self.ledger(), &key).await? else { return Ok(()) };
        if matches!(loaded.record.state, RestoreState::Planning | RestoreState::Applying) {
            return self.dispatch(restore).await;
        }
        self.drop_report(&loaded.record).await;
        let held = match self.leases().take(&loaded, &run.owner).await? {
            Wished::Leased(held) => held,
            Wished::Nothing => return Ok(()),
            Wished::OutOfAttempts => return self.fail(restore, out_of_attempts()).await,
        };
        let number = held.number();
        let done = match loaded.record.state {
            RestoreState::Queued => {
                held.during(self.begin(&loaded.record, number, run)).await.map(|()| Ending::Finished)
            }
            RestoreState::Summarising => held.during(self.sum_up(&loaded.record, number, run)).await,
            _ => {
                let concluded = async {
                    self.finish_cleared(&loaded.record, &held, run).await?;
                    self.conclude(&loaded.record, number, run).await
                };
                held.during(Box::pin(concluded)).await
            }
        };
        let error = match done {
            Ok(Ending::Finished) => return Ok(()),
            Ok(Ending::RunOver) => {
                return self.leases().run_over::<Restore>(&key, number, true, Leftover::Nothing).await;
            }
            Err(error) => error,
        };
        tracing::warn!(%error, restore.id = %restore.restore_id, "restore.interrupted");
        let left = if error.may_have_landed() { Leftover::Unanswered } else { Leftover::Nothing };
        let aftermath =
            self.leases().interrupted::<Restore>(&key, number, &error, (false, left), &self.patience).await?;
        match aftermath {
            Aftermath::Settled => Ok(()),
            Aftermath::Fail(failure) if loaded.record.state == RestoreState::Concluding => {
                self.give_up(restore, failure).await
            }
            Aftermath::Fail(failure) => {
                self.fail(restore, failure).await?;
                self.drop_report(&self.load(restore).await?.record).await;
                Ok(())
            }
        }
    }

    /// Ends the unfinished report of a restore that was cancelled or has failed.
    async fn drop_report(&self, restore: &Restore) {
        if let (true, Some(report)) = (restore.state.is_terminal(), &restore.report) {
            self.abort(report).await;
        }
    }

    /// Works on one slice until it is done or the run ends: compares it, or writes it.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn slice(&self, restore: &RestoreRef, number: u32, run: &Run) -> Result<RestoreUsage, StepError> {
        let mut usage = RestoreUsage::default();
        let Some((parent, slice)) = self.load_slice(restore, number).await? else { return Ok(usage) };
        let belongs = matches!(
            (parent.state, slice.record.state),
            (RestoreState::Planning, SliceState::Planning) | (RestoreState::Applying, SliceState::Applying)
        );
        if !belongs {
            // The run that finished the slice may have died before it gave the free place to another slice.
            self.after_slice(restore).await?;
            return Ok(usage);
        }
        let held = match self.leases().take(&slice, &run.owner).await? {
            Wished::Leased(held) => held,
            Wished::Nothing => return Ok(usage),
            Wished::OutOfAttempts => {
                self.fail(restore, out_of_attempts()).await?;
                return Ok(usage);
            }
        };
        let key = RestoreSlice::key_of(&restore.restore_id, number);
        let lease = held.number();
        let done = if parent.state == RestoreState::Planning {
            let compared = held.during(Box::pin(self.compare(&parent, &key, lease, run, &mut usage))).await;
            compared.map_err(|error| (error, Leftover::Nothing))
        } else {
            let apply = Box::pin(async { Ok(self.apply(&parent, &key, &held, run, &mut usage).await) });
            let applied = held.during(apply).await;
            // Another run has the lease, so this run has nothing to give back.
            applied.unwrap_or_else(|lost| Err((lost, Leftover::Nothing)))
        };
        self.after_run(restore, &key, lease, done, (run, usage.records > 0)).await?;
        Ok(usage)
    }

    /// Handles the end of a run on a slice.
    async fn after_run(
        &self,
        restore: &RestoreRef,
        key: &ledger::Key,
        lease: u32,
        done: Result<Ending, (StepError, Leftover)>,
        (run, progressed): (&Run, bool),
    ) -> Result<(), StepError> {
        let (error, left) = match done {
            Ok(Ending::Finished) => return self.after_slice(restore).await,
            Ok(Ending::RunOver) => {
                return self.leases().run_over::<RestoreSlice>(key, lease, progressed, Leftover::Nothing).await;
            }
            Err(interrupted) => interrupted,
        };
        if let StepError::Crm(crm) = &error
            && progressed
            && crm.kind.is_unavailable()
            && self.now() >= run.ends
        {
            // The run made progress and its time is over, so the unfinished call is no evidence against the CRM.
            return self.leases().run_over::<RestoreSlice>(key, lease, progressed, left).await;
        }
        tracing::warn!(%error, restore.id = %restore.restore_id, "restore.slice-interrupted");
        let leases = self.leases();
        match leases.interrupted::<RestoreSlice>(key, lease, &error, (progressed, left), &self.patience).await? {
            // If the restore was stopped meanwhile, it can be concluded sooner.
            Aftermath::Settled => self.after_slice(restore).await,
            Aftermath::Fail(failure) => self.fail(restore, failure).await,
        }
    }

    async fn load_slice(
        &self,
        restore: &RestoreRef,
        number: u32,
    ) -> Result<Option<(Restore, Versioned<RestoreSlice>)>, StepError> {
        let (restore_key, slice_key) = (Restore::key_of(restore), RestoreSlice::key_of(&restore.restore_id, number));
        let (parent, slice) = futures_util::future::try_join(
            ledger::load::<Restore>(self.ledger(), &restore_key),
            ledger::load::<RestoreSlice>(self.ledger(), &slice_key),
        )
        .await?;
        Ok(parent.map(|parent| parent.record).zip(slice))
    }

    /// The consequences of a finished slice: a place is free, or the whole restore continues.
    async fn after_slice(&self, restore: &RestoreRef) -> Result<(), StepError> {
        let loaded = ledger::load::<Restore>(self.ledger(), &Restore::key_of(restore)).await?;
        let Some(loaded) = loaded.map(|loaded| loaded.record) else { return Ok(()) };
        if let Some(work) = loaded.work() {
            self.queue.send(&[work], Duration::ZERO).await?;
        }
        self.dispatch(restore).await
    }

    /// Applies `event`, even if others change the restore at the same time, and returns the changed restore.
    ///
    /// # Errors
    /// [`StepError::TakenOver`] if the event is refused or the restore is gone.
    async fn apply_event(&self, restore: &RestoreRef, event: RestoreEvent) -> Result<Restore, StepError> {
        contention::retry(|| async {
            let loaded = self.load(restore).await?;
            let next = after(&loaded.record, event.clone(), self.now())?;
            Ok(contention::settle(self.ledger().commit(&[Change::replace(&loaded, &next)]).await, next)?)
        })
        .await
    }

    async fn load(&self, restore: &RestoreRef) -> Result<Versioned<Restore>, StepError> {
        ledger::load::<Restore>(self.ledger(), &Restore::key_of(restore)).await?.ok_or(StepError::GONE)
    }

    /// Ends the restore as failed: at once if it has written nothing, otherwise after it was concluded.
    ///
    /// # Errors
    /// [`StepError`] if the ledger failed.
    pub(crate) async fn fail(&self, restore: &RestoreRef, failure: Failure) -> Result<(), StepError> {
        fail(&self.leases(), restore, failure).await
    }
}

/// Ends a restore as failed: at once if it has written nothing, otherwise after it was concluded. A restore that has
/// ended, or is being concluded for any reason, stays unchanged.
///
/// # Errors
/// [`StepError`] if the ledger failed.
pub(crate) async fn fail(leases: &Leases<'_>, restore: &RestoreRef, failure: Failure) -> Result<(), StepError> {
    let failed = contention::retry(|| async {
        let loaded = ledger::load::<Restore>(leases.ledger, &Restore::key_of(restore)).await?;
        let Some(loaded) = loaded else { return Ok(contention::Attempt::Settled(None)) };
        let event = RestoreEvent::Failed(failure.clone());
        let Ok(next) = loaded.record.apply(event, leases.clock.now()) else {
            return Ok(contention::Attempt::Settled(None));
        };
        let mut changes = vec![Change::replace(&loaded, &next)];
        let notification =
            next.state.is_terminal().then(|| conclude::notification_of(&next, None, leases.clock.now())).flatten();
        changes.extend(notification.as_ref().map(Change::create));
        Ok::<_, StepError>(contention::settle(leases.ledger.commit(&changes).await, Some((next, notification)))?)
    })
    .await?;
    let Some((failed, notification)) = failed else { return Ok(()) };
    if failed.state.is_terminal() {
        conclude::log_end(&failed);
        if let Some(notification) = &notification {
            notify::announce_soon(leases.queue, notification).await;
        }
    } else if let Some(work) = failed.work() {
        leases.queue.send(&[work], Duration::ZERO).await?;
    }
    Ok(())
}

fn after(restore: &Restore, event: RestoreEvent, now: Timestamp) -> Result<Restore, StepError> {
    Ok(restore.apply(event, now)?)
}

fn out_of_attempts() -> Failure {
    Failure::new(
        FailureKind::RestoreAttemptsUsedUp,
        "A step of the restore failed too often in a row. Ask the operator to look at the log of restore-chunk, then \
         plan again.",
    )
}

/// The change that frees the account's restore lock, unless another restore has it.
async fn free_lock(ledger: &dyn Ledger, restore: &Restore) -> Result<Option<Change>, ledger::LedgerError> {
    let loaded = ledger::load::<RestoreLock>(ledger, &RestoreLock::key_of(&restore.account_id)).await?;
    Ok(loaded.and_then(|loaded| {
        let freed = loaded.record.release(&restore.restore_id).ok()?;
        Some(Change::replace(&loaded, &freed))
    }))
}
