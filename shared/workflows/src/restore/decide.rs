//! People's decisions about a restore: confirm its plan, cancel it, stop it.

use std::sync::Arc;
use std::time::Duration;

use domain::Refused;
use domain::account::Account;
use domain::audit::Act;
use domain::ids::RestoreId;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::restore::lock::RestoreLock;
use domain::restore::{Restore, RestoreEvent, RestoreState};
use domain::work::{RestoreRef, Work};
use jiff::Timestamp;

use crate::contention::{self, Attempt};
use crate::idempotency::{EarlierRequest, IdempotencyKey, Keyed};

/// Carries out decisions about restores.
#[derive(Clone)]
pub struct DecideRestore {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
}

/// Why a decision was not carried out. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("there is no such restore")]
    Unknown,
    #[error("the plan is not ready")]
    PlanNotReady,
    /// The plan could be confirmed until this time.
    #[error("the plan expired at {0}")]
    PlanExpired(Timestamp),
    #[error("there is nothing to restore")]
    NothingToRestore,
    #[error("the restore was confirmed before")]
    AlreadyConfirmed,
    #[error("the restore {0} is running")]
    Running(RestoreId),
    /// The account is now connected to another portal than the plan's.
    #[error("the account is connected to another portal")]
    OtherPortal,
    #[error("the restore has ended")]
    Ended(RestoreState),
    /// It has not begun to write, so it can be cancelled but not stopped.
    #[error("the restore is not running")]
    NotRunning,
    /// The key was used for another request.
    #[error("the key belongs to another request")]
    KeyTaken,
    /// The ledger failed. The decision may have been carried out.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl DecideRestore {
    /// Confirms a plan: takes the account's restore lock and begins to write. Repeating it with the same key returns
    /// the restore in its present state.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn confirm(
        &self,
        restore: &RestoreRef,
        act: &Act,
        key: Option<&IdempotencyKey>,
    ) -> Result<Restore, DecideError> {
        let confirmed = match contention::retry(|| self.try_confirm(restore, act, key)).await {
            // The commit may have succeeded although its answer was lost.
            Err(DecideError::Ledger(LedgerError::Unavailable(why))) => {
                let present = self.load(restore).await?.record;
                let ours = present.confirmation.as_ref().is_some_and(|decision| decision.by == act.by);
                if ours { present } else { return Err(LedgerError::Unavailable(why).into()) }
            }
            answer => answer?,
        };
        tracing::info!(account.id = %restore.account_id, restore.id = %restore.restore_id, "restore.confirmed");
        self.go_on(restore).await;
        Ok(confirmed)
    }

    async fn try_confirm(
        &self,
        restore: &RestoreRef,
        act: &Act,
        key: Option<&IdempotencyKey>,
    ) -> Result<Attempt<Restore>, DecideError> {
        let loaded = self.load(restore).await?;
        let account: Option<Versioned<Account>> =
            ledger::load(&*self.ledger, &Account::key_of(&restore.account_id)).await?;
        let take_lock = self.take_lock(restore).await?;
        let now = self.clock.now();
        let keyed = Keyed::load(&*self.ledger, &restore.account_id, key, now).await?;
        if let Some(earlier) = keyed.as_ref().and_then(Keyed::earlier) {
            let is_same = matches!(earlier, EarlierRequest::Restore(earlier)
                if earlier.action == act.action && earlier.restore_id == restore.restore_id);
            // Its present state: the restore was read before the record of the key.
            return if is_same {
                Ok(Attempt::Settled(self.load(restore).await?.record))
            } else {
                Err(DecideError::KeyTaken)
            };
        }
        may_confirm(&loaded.record, now)?;
        let account = account.ok_or(DecideError::Unknown)?;
        let connection = account.record.crm_connection.as_ref();
        if connection.is_none_or(|connection| connection.portal_id != loaded.record.portal_id) {
            return Err(DecideError::OtherPortal);
        }
        let take_lock = take_lock.map_err(DecideError::Running)?;
        let confirmed = RestoreEvent::Confirmed(act.by.clone());
        let next = loaded.record.apply(confirmed, now).map_err(|refused| disagree(&refused))?;
        // The account must still be connected to that portal when the restore begins.
        let entry = Change::create(&act.succeeded(restore.restore_id.to_string()));
        let mut changes = vec![Change::replace(&loaded, &next), take_lock, Change::unchanged(&account), entry];
        changes.extend(keyed.map(|keyed| keyed.note_restore(act.action, &restore.restore_id)));
        Ok(contention::settle(self.ledger.commit(&changes).await, next)?)
    }

    /// The change that takes the account's lock, or the restore that has it.
    async fn take_lock(&self, restore: &RestoreRef) -> Result<Result<Change, RestoreId>, LedgerError> {
        let key = RestoreLock::key_of(&restore.account_id);
        let Some(loaded) = ledger::load::<RestoreLock>(&*self.ledger, &key).await? else {
            let taken = RestoreLock::free(restore.account_id.clone()).take(&restore.restore_id);
            return Ok(taken.map(|taken| Change::create(&taken)));
        };
        Ok(loaded.record.take(&restore.restore_id).map(|taken| Change::replace(&loaded, &taken)))
    }

    /// Cancels a restore that has not begun to write. Repeating it gives the same answer.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn cancel(&self, restore: &RestoreRef, act: &Act) -> Result<Restore, DecideError> {
        contention::retry(|| async {
            let loaded = self.load(restore).await?;
            match loaded.record.state {
                RestoreState::Cancelled => return Ok(Attempt::Settled(loaded.record)),
                state if state.is_terminal() => return Err(DecideError::Ended(state)),
                _ if loaded.record.has_written() => return Err(DecideError::AlreadyConfirmed),
                _ => {}
            }
            self.settle(&loaded, RestoreEvent::Cancelled(act.by.clone()), act).await
        })
        .await
    }

    /// Stops a restore that writes. Written values stay written. Repeating it gives the same answer.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn stop(&self, restore: &RestoreRef, act: &Act) -> Result<Restore, DecideError> {
        let stopped = contention::retry(|| async {
            let loaded = self.load(restore).await?;
            match loaded.record.state {
                RestoreState::Applying => {}
                RestoreState::Concluding | RestoreState::Stopped => return Ok(Attempt::Settled(loaded.record)),
                state if state.is_terminal() => return Err(DecideError::Ended(state)),
                _ => return Err(DecideError::NotRunning),
            }
            self.settle(&loaded, RestoreEvent::Stopped(act.by.clone()), act).await
        })
        .await?;
        self.go_on(restore).await;
        Ok(stopped)
    }

    async fn settle(
        &self,
        loaded: &Versioned<Restore>,
        event: RestoreEvent,
        act: &Act,
    ) -> Result<Attempt<Restore>, DecideError> {
        let next = loaded.record.apply(event, self.clock.now()).map_err(|refused| disagree(&refused))?;
        let entry = Change::create(&act.succeeded(next.restore_id.to_string()));
        Ok(contention::settle(self.ledger.commit(&[Change::replace(loaded, &next), entry]).await, next)?)
    }

    async fn load(&self, restore: &RestoreRef) -> Result<Versioned<Restore>, DecideError> {
        ledger::load::<Restore>(&*self.ledger, &Restore::key_of(restore)).await?.ok_or(DecideError::Unknown)
    }

    /// If the message is lost, recover-stalled sends it again.
    async fn go_on(&self, restore: &RestoreRef) {
        if let Err(error) = self.queue.send(&[Work::Restore { restore: restore.clone() }], Duration::ZERO).await {
            tracing::warn!(%error, restore.id = %restore.restore_id, "restore.step-not-queued");
        }
    }
}

fn may_confirm(restore: &Restore, now: Timestamp) -> Result<(), DecideError> {
    match restore.state {
        RestoreState::Queued | RestoreState::Planning | RestoreState::Summarising => Err(DecideError::PlanNotReady),
        RestoreState::Planned => match &restore.plan {
            Some(_) if restore.is_expired(now) => {
                Err(DecideError::PlanExpired(restore.plan_expires_at().unwrap_or(now)))
            }
            Some(plan) if plan.slices_to_apply > 0 => Ok(()),
            _ => Err(DecideError::NothingToRestore),
        },
        RestoreState::Applying | RestoreState::Concluding => Err(DecideError::AlreadyConfirmed),
        _ if restore.has_written() => Err(DecideError::AlreadyConfirmed),
        state => Err(DecideError::Ended(state)),
    }
}

/// The transitions refuse a request that passed all checks: the two rules disagree, and a retry cannot help.
fn disagree(refused: &Refused) -> DecideError {
    tracing::error!(%refused, "restore.decision-refused");
    DecideError::Ledger(LedgerError::Conflict)
}
