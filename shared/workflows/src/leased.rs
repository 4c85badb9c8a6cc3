//! The common parts of all items that one run works on at a time: taking the lease, giving it back, and the
//! consequences when a run ends before its work is done.

use std::time::Duration;

use domain::lease::Leftover;
use domain::lease::WRITE_MARGIN;
use domain::lease::WaitReason;
use domain::lease::{CrmTrouble, Leasing, NotLeased, Wait};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Key, Ledger, Record};
use domain::ports::queue::WorkQueue;
use domain::work::Work;
use domain::{Failure, Refused};
use jiff::{SignedDuration, Timestamp};

use crate::contention;
use crate::run::{Met, Patience, Remedy, StepError, delay_until};

/// An item of the ledger that one run works on at a time.
pub(crate) trait Leasable: Record {
    fn leasing(&self) -> &Leasing;

    /// The item with another leasing.
    fn with_leasing(&self, leasing: Leasing) -> Self;

    fn leased(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased>;

    fn released(&self, lease: u32, wait: Option<Wait>, left: Leftover, now: Timestamp) -> Result<Self, Refused>;

    /// The message that starts work on it. None if no run should work on it.
    fn message(&self) -> Option<Work>;
}

/// The ports that take and give back leases.
#[derive(Clone, Copy)]
pub(crate) struct Leases<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) queue: &'a dyn WorkQueue,
    pub(crate) clock: &'a dyn Clock,
}

/// The remaining work after a run that ended before its work was done.
pub(crate) enum Aftermath {
    /// None: the item is queued again, or no longer matters.
    Settled,
    /// The whole backup or restore must fail.
    Fail(Failure),
}

impl Leases<'_> {
    /// Gives lease `number` of the item at `key` back, unless another run has taken over. `wait` is until when and why
    /// the item waits, and how the CRM failed.
    pub(crate) async fn give_back<T: Leasable>(
        &self,
        key: &Key,
        number: u32,
        wait: Option<(Wait, Option<CrmTrouble>)>,
        left: Leftover,
    ) -> Result<Option<T>, StepError> {
        let trouble = wait.and_then(|(_, trouble)| trouble);
        let wait = wait.map(|(wait, _)| wait);
        contention::retry(|| async {
            let Some(loaded) = ledger::load::<T>(self.ledger, key).await? else {
                return Ok(contention::Attempt::Settled(None));
            };
            let troubled = trouble.map(|trouble| loaded.record.with_leasing(loaded.record.leasing().troubled(trouble)));
            let troubled = troubled.as_ref().unwrap_or(&loaded.record);
            let Ok(next) = troubled.released(number, wait, left, self.clock.now()) else {
                return Ok(contention::Attempt::Settled(None));
            };
            Ok::<_, StepError>(contention::settle(
                self.ledger.commit(&[Change::replace(&loaded, &next)]).await,
                Some(next),
            )?)
        })
        .await
    }

    /// Gives the lease back because the run's time is over, and queues the item at once. A run that has `progressed`
    /// does not count as fruitless.
    pub(crate) async fn run_over<T: Leasable>(
        &self,
        key: &Key,
        number: u32,
        progressed: bool,
        left: Leftover,
    ) -> Result<(), StepError> {
        let released = self.give_back::<T>(key, number, self.gone_on(progressed), left).await?;
        self.queue_again(released.as_ref(), landing(left)).await
    }

    /// Handles `error`, which ended a run under lease `number`.
    pub(crate) async fn interrupted<T: Leasable>(
        &self,
        key: &Key,
        number: u32,
        error: &StepError,
        (progressed, left): (bool, Leftover),
        patience: &Patience,
    ) -> Result<Aftermath, StepError> {
        let now = self.clock.now();
        // Progress has reset the count of fruitless runs, so it is read again.
        let present = ledger::load::<T>(self.ledger, key).await.ok().flatten().map(|loaded| loaded.record);
        let met = present.as_ref().map_or(Met { attempts: 1, ..Met::default() }, |present| present.leasing().into());
        match error.remedy(now, met, patience) {
            Remedy::Stop => {
                // Best effort: otherwise the lease runs out by itself.
                let _ = self.give_back::<T>(key, number, None, left).await;
            }
            Remedy::Fail(failure) => {
                let _ = self.give_back::<T>(key, number, None, left).await;
                return Ok(Aftermath::Fail(failure));
            }
            Remedy::Wait(wait, trouble) => {
                let released = self.give_back::<T>(key, number, Some((wait, Some(trouble))), left).await?;
                self.queue_again(released.as_ref(), delay_until(wait.until, now).max(landing(left))).await?;
            }
            Remedy::Retry(pause) => {
                // Best effort too: one of our own services does not answer.
                let until = now + SignedDuration::try_from(pause).unwrap_or_default();
                let later = Wait { until, reason: WaitReason::ServiceUnavailable };
                let wait = self.gone_on(progressed).unwrap_or((later, None));
                let released = self.give_back::<T>(key, number, Some(wait), left).await;
                self.queue_again(released.ok().flatten().or(present).as_ref(), pause.max(landing(left))).await?;
            }
        }
        Ok(Aftermath::Settled)
    }

    async fn queue_again<T: Leasable>(&self, item: Option<&T>, delay: Duration) -> Result<(), StepError> {
        match item.and_then(T::message) {
            Some(message) => Ok(self.queue.send(&[message], delay).await?),
            None => Ok(()),
        }
    }

    fn gone_on(&self, progressed: bool) -> Option<(Wait, Option<CrmTrouble>)> {
        progressed.then(|| (Wait { until: self.clock.now(), reason: WaitReason::RunOver }, None))
    }
}

impl From<&Leasing> for Met {
    fn from(leasing: &Leasing) -> Self {
        Self { attempts: leasing.attempts, trouble: leasing.trouble }
    }
}

/// How long no other run can take over after a run that left `left` behind.
fn landing(left: Leftover) -> Duration {
    match left {
        Leftover::Nothing | Leftover::Untold => Duration::ZERO,
        Leftover::Unanswered => Duration::try_from(WRITE_MARGIN).unwrap_or_default(),
    }
}
