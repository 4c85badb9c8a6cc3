//! The lease of a run. It is renewed while the run lives, so that another run soon follows one that was killed.
//!
//! The renewals are polled beside the work, by the same task: anything that stops the work stops them too. They change
//! the record's version, so each commit of a run loads the record, checks that the lease is still its own, and applies
//! its change to the loaded record.
//!
//! The CRM checks no lease, so writes to it are kept apart as follows. A run only relies on a lease that the ledger has
//! confirmed, so the lease in the ledger never ends before the run thinks so. The call gate admits a request of a
//! restore, including a repeated one, only if that lease outlasts the longest answer plus the difference of clocks
//! ([`WRITE_MARGIN`](domain::lease::WRITE_MARGIN)). After that moment nothing is awaited before the request is sent,
//! and its answer is given up in time. So when the lease runs out, none of the run's writes is in progress, and only
//! then does another run take over or free the restore lock. A run that gives its lease back while a write may still
//! reach the CRM leaves it to run out for as long as that can take.

use std::future::{Future, pending};
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Refused;
use domain::lease::{LEASE_LENGTH, NotLeased, RENEW_EVERY};
use domain::ports::ledger::{self, Change, Key, LedgerError, Versioned};
use futures_util::future::{Either, select};
use jiff::{SignedDuration, Timestamp};

use crate::contention::{self, Attempt};
use crate::leased::{Leasable, Leases};
use crate::run::StepError;

/// How soon a renewal is repeated that the ledger did not confirm.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The time until which a lease certainly lasts.
pub(crate) struct LeaseEnd(Mutex<Timestamp>);

impl LeaseEnd {
    fn at(ends: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ends)))
    }

    fn get(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn confirm(&self, ends: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    /// Whether the lease lasts for at least `margin` from `now`.
    pub(crate) fn outlasts(&self, now: Timestamp, margin: SignedDuration) -> bool {
        self.get().duration_since(now) >= margin
    }
}

/// The result of a request to work on an item.
pub(crate) enum Wished<'a, T> {
    Leased(HeldLease<'a, T>),
    /// This run has nothing to do.
    Nothing,
    /// Too many runs in a row made no progress.
    OutOfAttempts,
}

impl<'a> Leases<'a> {
    /// Takes the lease of the loaded item.
    pub(crate) async fn take<T: Leasable>(
        &self,
        loaded: &Versioned<T>,
        owner: &str,
    ) -> Result<Wished<'a, T>, LedgerError> {
        self.take_as(loaded, loaded.record.leased(owner, self.clock.now(), LEASE_LENGTH)).await
    }

    /// Takes the lease of the loaded item, which is `leased` then.
    pub(crate) async fn take_as<T: Leasable>(
        &self,
        loaded: &Versioned<T>,
        leased: Result<T, NotLeased>,
    ) -> Result<Wished<'a, T>, LedgerError> {
        let leased = match leased {
            Ok(leased) => leased,
            Err(NotLeased::OutOfAttempts) => return Ok(Wished::OutOfAttempts),
            Err(NotLeased::NoStep | NotLeased::Held(_) | NotLeased::Waiting(_)) => return Ok(Wished::Nothing),
        };
        match self.ledger.commit(&[Change::replace(loaded, &leased)]).await {
            // Another delivery of the same message was first.
            Err(LedgerError::Conflict) => return Ok(Wished::Nothing),
            other => other?,
        }
        let lease = leased.leasing().lease.as_ref();
        Ok(lease.map_or(Wished::Nothing, |lease| {
            Wished::Leased(HeldLease::new(*self, leased.key(), lease.number, lease.expires_at))
        }))
    }
}

/// A lease of this run on the item at a key.
pub(crate) struct HeldLease<'a, T> {
    leases: Leases<'a>,
    key: Key,
    number: u32,
    ends: Arc<LeaseEnd>,
    item: PhantomData<fn() -> T>,
}

impl<'a, T: Leasable> HeldLease<'a, T> {
    /// Lease `number`, which the ledger has just confirmed until `ends`.
    pub(crate) fn new(leases: Leases<'a>, key: Key, number: u32, ends: Timestamp) -> Self {
        Self { leases, key, number, ends: LeaseEnd::at(ends), item: PhantomData }
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn ends(&self) -> Arc<LeaseEnd> {
        self.ends.clone()
    }

    /// Does `work` and renews the lease meanwhile. Stops the work if another run has taken over.
    ///
    /// # Errors
    /// Those of `work`, and [`StepError::TakenOver`].
    pub(crate) async fn during<O>(&self, work: impl Future<Output = Result<O, StepError>>) -> Result<O, StepError> {
        match select(pin!(work), pin!(self.keep())).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => Err(StepError::TakenOver(Refused::new("going on", "another run has the lease"))),
        }
    }

    /// Renews the lease if it is time to.
    ///
    /// # Errors
    /// [`StepError::TakenOver`] if another run has it; others if the ledger failed.
    pub(crate) async fn renew_if_old(&self) -> Result<(), StepError> {
        if self.ends.outlasts(self.leases.clock.now(), LEASE_LENGTH - RENEW_EVERY) {
            return Ok(());
        }
        self.renew().await.map(drop)
    }

    /// Renews the lease again and again. Returns when another run has it.
    async fn keep(&self) {
        let mut pause = Duration::ZERO;
        loop {
            let renew_at = self.ends.get() - (LEASE_LENGTH - RENEW_EVERY);
            let due_in = Duration::try_from(renew_at.duration_since(self.leases.clock.now())).unwrap_or_default();
            tokio::time::sleep(due_in.max(pause)).await;
            pause = AGAIN_AFTER;
            match self.renew().await {
                Ok(true) => {}
                // The work has ended.
                Ok(false) => pending().await,
                Err(StepError::TakenOver(_)) => return,
                Err(error) => tracing::warn!(%error, sort = self.key.sort, "lease.not-renewed"),
            }
        }
    }

    /// Renews the lease. False if it was already given back.
    async fn renew(&self) -> Result<bool, StepError> {
        let ends = contention::retry(|| async {
            let loaded = ledger::load::<T>(self.leases.ledger, &self.key).await?.ok_or(StepError::GONE)?;
            let leasing = loaded.record.leasing();
            if leasing.lease.is_none() && leasing.last_number == self.number {
                return Ok(Attempt::Settled(None));
            }
            let renewed = leasing.renewed(self.number, self.leases.clock.now())?;
            let ends = renewed.lease.as_ref().map(|lease| lease.expires_at);
            let present = leasing.lease.as_ref().map(|lease| lease.expires_at);
            // A commit of the work has already renewed it.
            let is_fresh = |at: Timestamp| ends.is_some_and(|ends| ends.duration_since(at) < RENEW_EVERY / 2);
            if let Some(present) = present.filter(|at| is_fresh(*at)) {
                return Ok(Attempt::Settled(Some(present)));
            }
            let next = loaded.record.with_leasing(renewed);
            let answer = self.leases.ledger.commit(&[Change::replace(&loaded, &next)]).await;
            Ok::<_, StepError>(contention::settle(answer, ends)?)
        })
        .await?;
        if let Some(ends) = ends {
            self.ends.confirm(ends);
        }
        Ok(ends.is_some())
    }
}
