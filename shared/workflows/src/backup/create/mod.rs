//! Accepts requests for backups.
//!
//! One transaction takes the account's allowance and creates the backup. So of two simultaneous requests one wins. The
//! other gets the id of the running backup or, if it repeats the same request, the same answer. The message to
//! discover-objects follows. If it is lost, recover-stalled sends it again.

use std::sync::Arc;
use std::time::Duration;

use domain::Failure;
use domain::account::Account;
use domain::allowance::{Allowance, NotAllowed};
use domain::audit::Act;
use domain::backup::Backup;
use domain::ids::BackupId;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, Work};
use jiff::Timestamp;

use crate::contention::{self, Attempt};
use crate::idempotency::{EarlierRequest, IdempotencyKey, Keyed};

/// A request for a backup. The caller's right is already checked.
#[derive(Debug, Clone)]
pub struct BackupRequest {
    /// The person who requests it, and the account.
    pub act: Act,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Makes the new backup's id unique.
    pub random: [u8; 10],
}

/// Why no backup was created. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    #[error("the account is not connected to a CRM")]
    NotConnected,
    #[error("the backup {running} is running")]
    Running {
        running: BackupId,
        /// When the next backup may start, if this one completes.
        next_at: Timestamp,
    },
    /// The account's plan allows the next backup at this time.
    #[error("the next backup is allowed at {0}")]
    TooEarly(Timestamp),
    /// The latest backups failed for the same reason. The next one is allowed at `until`, or when the account is
    /// connected again.
    #[error("backups are paused until {until}")]
    Paused { until: Timestamp, failure: Failure },
    /// The key was used for a request that was not for a backup.
    #[error("the key belongs to another request")]
    KeyTaken,
    /// The ledger failed. The backup may have been created. Repeating the request with the same key gives the answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Accepts requests for backups.
#[derive(Clone)]
pub struct CreateBackup {
    pub ledger: Arc<dyn Ledger>,
    /// Receives the new backup's first work.
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
}

impl CreateBackup {
    /// Creates a backup, or returns the one that an earlier request with the same key created, in its present state.
    ///
    /// # Errors
    /// [`CreateError`].
    pub async fn create(&self, request: &BackupRequest) -> Result<Backup, CreateError> {
        let new = BackupRef {
            account_id: request.act.account_id.clone(),
            backup_id: BackupId::new(self.clock.now(), request.random),
        };
        let backup = match contention::retry(|| self.try_create(request, &new)).await {
            // The commit may have succeeded although its answer was lost.
            Err(CreateError::Ledger(LedgerError::Unavailable(why))) => {
                self.load(&new).await?.ok_or(LedgerError::Unavailable(why))?
            }
            other => other?,
        };
        if backup.backup_id == new.backup_id {
            begin(&*self.queue, &backup).await;
        }
        Ok(backup)
    }

    async fn try_create(&self, request: &BackupRequest, new: &BackupRef) -> Result<Attempt<Backup>, CreateError> {
        let account: Versioned<Account> =
            ledger::load(&*self.ledger, &Account::key_of(&new.account_id)).await?.ok_or(CreateError::AccountUnknown)?;
        let allowance = ledger::load::<Allowance>(&*self.ledger, &Allowance::key_of(&new.account_id)).await?;
        let now = self.clock.now();
        let keyed = Keyed::load(&*self.ledger, &new.account_id, request.idempotency_key.as_ref(), now).await?;
        if let Some(earlier) = keyed.as_ref().and_then(Keyed::earlier)
            && let Some(before) = self.made_by(&earlier, new).await?
        {
            return Ok(Attempt::Settled(before));
        }
        let (backup, mut changes) = match accept(&account, allowance.as_ref(), new, &request.act, now) {
            // Our own commit succeeded, although its answer was lost or said otherwise.
            Err(CreateError::Running { running, .. }) if running == new.backup_id => {
                return Ok(self.load(new).await?.map_or(Attempt::Lost, Attempt::Settled));
            }
            accepted => accepted?,
        };
        changes.extend(keyed.map(|keyed| keyed.note_backup(&new.backup_id)));
        Ok(contention::settle(self.ledger.commit(&changes).await, backup)?)
    }

    /// The backup that an earlier request with the same key created. None if it is no longer kept.
    async fn made_by(&self, earlier: &EarlierRequest<'_>, new: &BackupRef) -> Result<Option<Backup>, CreateError> {
        let EarlierRequest::Backup(backup_id) = earlier else { return Err(CreateError::KeyTaken) };
        let made = BackupRef { account_id: new.account_id.clone(), backup_id: (*backup_id).clone() };
        Ok(self.load(&made).await?)
    }

    async fn load(&self, backup: &BackupRef) -> Result<Option<Backup>, LedgerError> {
        let loaded = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await?;
        Ok(loaded.map(|loaded| loaded.record))
    }
}

/// The new backup, and the changes that create it: the account as it was loaded, because the backup's portal must still
/// be the account's when the backup is accepted; the allowance; the backup; and the entry in the audit log.
///
/// # Errors
/// [`CreateError`], but no error of the ledger.
pub(crate) fn accept(
    account: &Versioned<Account>,
    allowance: Option<&Versioned<Allowance>>,
    new: &BackupRef,
    act: &Act,
    now: Timestamp,
) -> Result<(Backup, Vec<Change>), CreateError> {
    let connection = account.record.crm_connection.as_ref().ok_or(CreateError::NotConnected)?;
    let interval = account.record.tier.allows().backup_interval;
    let free = || Allowance::free(new.account_id.clone());
    let present = allowance.map_or_else(free, |loaded| loaded.record.connected(connection.connected_at));
    let taken = present.take(&new.backup_id, interval, now).map_err(|refused| match refused {
        NotAllowed::Running { running, next_at } => CreateError::Running { running, next_at },
        NotAllowed::TooEarly(next_at) => CreateError::TooEarly(next_at),
        NotAllowed::Paused(until, failure) => CreateError::Paused { until, failure },
    })?;
    let take = allowance.map_or_else(|| Change::create(&taken), |loaded| Change::replace(loaded, &taken));
    let backup = Backup::accepted(new.clone(), connection.portal_id, connection.api_version, act.by.clone(), now);
    let entry = Change::create(&act.succeeded(new.backup_id.to_string()));
    let changes = vec![Change::unchanged(account), take, Change::create(&backup), entry];
    Ok((backup, changes))
}

/// Queues an accepted backup's first work. If the message is lost, recover-stalled sends it again.
pub(crate) async fn begin(queue: &dyn WorkQueue, backup: &Backup) {
    let new = backup.reference();
    tracing::info!(account.id = %new.account_id, backup.id = %new.backup_id, "backup.accepted");
    if let Err(error) = queue.send(&[Work::Discover { backup: new.clone() }], Duration::ZERO).await {
        tracing::warn!(%error, backup.id = %new.backup_id, "backup.discovery-not-queued");
    }
}

#[cfg(test)]
mod tests;
