//! Requests for a restore: from a backup, or as the undo of another restore. Requests that can be refused at once are
//! refused here. Refusals of the CRM come with the plan.

use std::sync::Arc;
use std::time::Duration;

use archive::manifest::Manifest;
use domain::account::{Account, CrmConnection};
use domain::audit::Act;
use domain::backup::{Backup, NoArchive};
use domain::ids::{AccountId, BackupId, ObjectType, RestoreId};
use domain::ports::clock::Clock;
use domain::ports::crm_model::CrmModel;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::{BlobReader, StorageError};
use domain::property::RECORD_ID_COLUMN;
use domain::restore::{Restore, RestoreEvent, RestoreRequest, RestoreSource, RestoreState};
use domain::work::{BackupRef, RestoreRef, Work};
use jiff::Timestamp;

use super::definition::manifest;
use super::open_plans;
use crate::contention::{self, Attempt};
use crate::idempotency::{EarlierRequest, IdempotencyKey, Keyed};

/// Accepts requests for restores.
#[derive(Clone)]
pub struct AskRestore {
    pub ledger: Arc<dyn Ledger>,
    pub reader: Arc<dyn BlobReader>,
    /// Receives the new restore's first work.
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
    /// Knows which objects can be restored.
    pub crm: Arc<dyn CrmModel>,
}

/// A request for a restore from a backup. The caller's right is already checked.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The person who requests it, and the account.
    pub act: Act,
    pub backup_id: BackupId,
    pub object_type: String,
    pub properties: Vec<String>,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Makes the new restore's id unique.
    pub random: [u8; 10],
}

/// A request to undo a restore. The caller's right is already checked.
#[derive(Debug, Clone)]
pub struct UndoWish {
    pub restore: RestoreRef,
    pub act: Act,
    /// Whether to undo values that were edited since, too.
    pub include_edited: bool,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Makes the new restore's id unique.
    pub random: [u8; 10],
}

/// Why no restore was created. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    #[error("the account is not connected to a CRM")]
    NotConnected,
    #[error("there is no such backup")]
    BackupUnknown,
    #[error(transparent)]
    NoArchive(#[from] NoArchive),
    /// The values are of another portal than the account's.
    #[error("the values are of portal {of}, and the account is connected to {connected}")]
    OtherPortal {
        /// The portal of the values.
        of: u64,
        /// The portal of the account.
        connected: u64,
    },
    /// Conversations cannot be restored.
    #[error("the object cannot be restored")]
    NotRestorable,
    /// The backup has no file of the object. It has files of these objects.
    #[error("the backup does not hold the object")]
    ObjectUnknown(Vec<String>),
    /// The backup's file does not have these properties.
    #[error("the backup does not hold {} of the properties", .0.len())]
    PropertiesUnknown(Vec<String>),
    #[error("there is no such restore")]
    RestoreUnknown,
    /// The restore to undo is still running, or has written nothing.
    #[error("the restore has not ended")]
    NotEnded,
    /// The restore to undo has written nothing.
    #[error("the restore has written nothing")]
    NothingWritten,
    /// The restore to undo is an undo itself.
    #[error("an undo cannot be undone")]
    IsUndo,
    /// Another undo of the same restore is running.
    #[error("the restore {0} undoes it")]
    UndoExists(RestoreId),
    /// Another restore has undone it.
    #[error("the restore {0} has undone it")]
    Undone(RestoreId),
    /// The overwritten values have been deleted since this time.
    #[error("it could be undone until {0}")]
    UndoExpired(Timestamp),
    /// The plans of these restores are being made. No further plan of the account may be made meanwhile.
    #[error("{} plans of the account are being made", .0.len())]
    TooManyPlans(Vec<RestoreId>),
    /// The key was used for another request.
    #[error("the key belongs to another request")]
    KeyTaken,
    /// The ledger failed. The restore may have been created. Repeating the request with the same key gives the answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl AskRestore {
    /// Creates a restore and begins its plan, or returns the one that an earlier request with the same key created, in
    /// its present state.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn from_backup(&self, wish: &Wish) -> Result<Restore, AskError> {
        let new = self.new_reference(&wish.act.account_id, wish.random);
        let asked = contention::retry(|| self.try_from_backup(wish, &new)).await;
        self.asked(&new, asked).await
    }

    /// Creates a restore that undoes another one and begins its plan, or returns the one that an earlier request with
    /// the same key created.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn undo(&self, wish: &UndoWish) -> Result<Restore, AskError> {
        let new = self.new_reference(&wish.restore.account_id, wish.random);
        let asked = contention::retry(|| self.try_undo(wish, &new)).await;
        self.asked(&new, asked).await
    }

    /// Begins the requested restore, if it is new. It may have been created although the answer to its commit was lost.
    async fn asked(&self, new: &RestoreRef, asked: Result<Restore, AskError>) -> Result<Restore, AskError> {
        let restore = match asked {
            Err(AskError::Ledger(LedgerError::Unavailable(why))) => {
                self.load(new).await?.ok_or(LedgerError::Unavailable(why))?
            }
            asked => asked?,
        };
        if restore.restore_id == new.restore_id {
            self.begin(&restore).await;
        }
        Ok(restore)
    }

    async fn try_from_backup(&self, wish: &Wish, new: &RestoreRef) -> Result<Attempt<Restore>, AskError> {
        let account = &wish.act.account_id;
        let connection = self.connection(account).await?;
        let now = self.clock.now();
        let plans = open_plans::load(&*self.ledger, account, now).await?;
        let key = wish.idempotency_key.as_ref();
        let keyed = Keyed::load(&*self.ledger, account, key, now).await?;
        let properties = without_repetitions(&wish.properties);
        let source = RestoreSource::Backup { backup_id: wish.backup_id.clone() };
        let is_same = |made: &Restore| {
            made.source == source && made.object_type.as_str() == wish.object_type && made.properties == properties
        };
        if let Some(before) = self.made_before(keyed.as_ref(), &wish.act, is_same).await? {
            return Ok(Attempt::Settled(before));
        }
        let one_more_plan = plans.add(&new.restore_id).map_err(AskError::TooManyPlans)?;
        let backup = BackupRef { account_id: account.clone(), backup_id: wish.backup_id.clone() };
        let (object_type, label) = self.restorable(&backup, &connection, wish).await?;
        let request = RestoreRequest {
            restore: new.clone(),
            portal_id: connection.portal_id,
            api_version: connection.api_version,
            source,
            object_type,
            label,
            properties,
            by: wish.act.by.clone(),
        };
        let restore = Restore::accepted(request, self.clock.now());
        let entry = Change::create(&wish.act.succeeded(restore.restore_id.to_string()));
        let mut changes = vec![Change::create(&restore), one_more_plan, entry];
        changes.extend(keyed.map(|keyed| keyed.note_restore(wish.act.action, &restore.restore_id)));
        self.settle(&changes, restore).await
    }

    /// The requested object and its label, if `backup` contains the requested values.
    async fn restorable(
        &self,
        backup: &BackupRef,
        connection: &CrmConnection,
        wish: &Wish,
    ) -> Result<(ObjectType, String), AskError> {
        let loaded = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await?;
        let backup = loaded.ok_or(AskError::BackupUnknown)?.record;
        let archive = backup.usable_archive(self.clock.now())?;
        same_portal(backup.portal_id, connection)?;
        if ObjectType::parse(&wish.object_type).is_ok_and(|object| !self.crm.can_restore(&object)) {
            return Err(AskError::NotRestorable);
        }
        let manifest = match manifest(&*self.reader, &archive.manifest_key).await {
            Err(StorageError::Absent(_)) => return Err(NoArchive::Expired(archive.expires_at).into()),
            read => read?,
        };
        self.chosen_object(&manifest, wish)
    }

    /// The object and its label, after checking that the backup contains all properties.
    fn chosen_object(&self, manifest: &Manifest, wish: &Wish) -> Result<(ObjectType, String), AskError> {
        let file = manifest.files.iter().find(|file| file.object_type.as_str() == wish.object_type);
        let Some(file) = file else {
            let restorable = manifest.files.iter().filter(|file| self.crm.can_restore(&file.object_type));
            return Err(AskError::ObjectUnknown(restorable.map(|file| file.object_type.to_string()).collect()));
        };
        let known = |name: &String| name != RECORD_ID_COLUMN && file.columns.iter().any(|column| column.name == *name);
        let unknown: Vec<String> = wish.properties.iter().filter(|name| !known(name)).cloned().collect();
        if unknown.is_empty() {
            Ok((file.object_type.clone(), file.label.clone()))
        } else {
            Err(AskError::PropertiesUnknown(unknown))
        }
    }

    async fn try_undo(&self, wish: &UndoWish, new: &RestoreRef) -> Result<Attempt<Restore>, AskError> {
        let connection = self.connection(&wish.restore.account_id).await?;
        let loaded = ledger::load::<Restore>(&*self.ledger, &Restore::key_of(&wish.restore)).await?;
        let original = loaded.ok_or(AskError::RestoreUnknown)?;
        let now = self.clock.now();
        let plans = open_plans::load(&*self.ledger, &wish.restore.account_id, now).await?;
        let key = wish.idempotency_key.as_ref();
        let keyed = Keyed::load(&*self.ledger, &wish.restore.account_id, key, now).await?;
        let (restore_id, include_edited) = (wish.restore.restore_id.clone(), wish.include_edited);
        let source = RestoreSource::Undo { restore_id, include_edited };
        if let Some(before) = self.made_before(keyed.as_ref(), &wish.act, |made| made.source == source).await? {
            return Ok(Attempt::Settled(before));
        }
        self.may_undo(&original.record, &connection).await?;
        let one_more_plan = plans.add(&new.restore_id).map_err(AskError::TooManyPlans)?;
        let noted = RestoreEvent::UndoAsked(new.restore_id.clone());
        let noted = original.record.apply(noted, now).map_err(|refused| {
            tracing::error!(%refused, "restore.undo-refused");
            AskError::NotEnded
        })?;
        let request = RestoreRequest {
            restore: new.clone(),
            portal_id: connection.portal_id,
            api_version: connection.api_version,
            source,
            object_type: original.record.object_type.clone(),
            label: original.record.label.clone(),
            properties: original.record.properties.clone(),
            by: wish.act.by.clone(),
        };
        let restore = Restore::accepted(request, now);
        let entry = Change::create(&wish.act.succeeded(restore.restore_id.to_string()));
        let mut changes = vec![Change::replace(&original, &noted), Change::create(&restore), one_more_plan, entry];
        changes.extend(keyed.map(|keyed| keyed.note_restore(wish.act.action, &restore.restore_id)));
        self.settle(&changes, restore).await
    }

    /// The restore that an earlier request with the same key created, if that request was the same.
    async fn made_before(
        &self,
        keyed: Option<&Keyed<'_>>,
        act: &Act,
        is_same: impl Fn(&Restore) -> bool,
    ) -> Result<Option<Restore>, AskError> {
        let Some(earlier) = keyed.and_then(Keyed::earlier) else { return Ok(None) };
        let made = match earlier {
            EarlierRequest::Restore(made) if made.action == act.action => made,
            _ => return Err(AskError::KeyTaken),
        };
        let made = RestoreRef { account_id: act.account_id.clone(), restore_id: made.restore_id.clone() };
        match self.load(&made).await? {
            Some(before) if !is_same(&before) => Err(AskError::KeyTaken),
            before => Ok(before),
        }
    }

    async fn settle(&self, changes: &[Change], restore: Restore) -> Result<Attempt<Restore>, AskError> {
        match self.ledger.commit(changes).await {
            // Our own commit succeeded, although its answer said otherwise.
            Err(LedgerError::Conflict) => Ok(match self.load(&restore.reference()).await? {
                Some(made) => Attempt::Settled(made),
                None => Attempt::Lost,
            }),
            answer => Ok(contention::settle(answer, restore)?),
        }
    }

    async fn load(&self, restore: &RestoreRef) -> Result<Option<Restore>, LedgerError> {
        let loaded = ledger::load::<Restore>(&*self.ledger, &Restore::key_of(restore)).await?;
        Ok(loaded.map(|loaded| loaded.record))
    }

    async fn may_undo(&self, original: &Restore, connection: &CrmConnection) -> Result<(), AskError> {
        if original.is_undo() {
            return Err(AskError::IsUndo);
        }
        if original.ended_at.is_none() {
            return Err(AskError::NotEnded);
        }
        let Some(until) = original.undo_until() else { return Err(AskError::NothingWritten) };
        if until <= self.clock.now() {
            return Err(AskError::UndoExpired(until));
        }
        same_portal(original.portal_id, connection)?;
        let Some(earlier) = &original.undone_by else { return Ok(()) };
        let reference = RestoreRef { account_id: original.account_id.clone(), restore_id: earlier.clone() };
        let undo = ledger::load::<Restore>(&*self.ledger, &Restore::key_of(&reference)).await?;
        // An undo that ended half-way leaves values to undo. Those that it has already undone are as they should be.
        match undo.map(|undo| undo.record) {
            Some(undo) if undo.state == RestoreState::Completed => Err(AskError::Undone(earlier.clone())),
            Some(undo) if undo.is_open(self.clock.now()) => Err(AskError::UndoExists(earlier.clone())),
            _ => Ok(()),
        }
    }

    /// Checks whether a restore can be undone now.
    ///
    /// # Errors
    /// [`AskError`]: why it cannot be undone, or which port failed.
    pub async fn may_be_undone(&self, restore: &Restore) -> Result<(), AskError> {
        self.may_undo(restore, &self.connection(&restore.account_id).await?).await
    }

    async fn connection(&self, account: &AccountId) -> Result<CrmConnection, AskError> {
        let loaded: Option<Versioned<Account>> = ledger::load(&*self.ledger, &Account::key_of(account)).await?;
        loaded.ok_or(AskError::AccountUnknown)?.record.crm_connection.ok_or(AskError::NotConnected)
    }

    fn new_reference(&self, account: &AccountId, random: [u8; 10]) -> RestoreRef {
        RestoreRef { account_id: account.clone(), restore_id: RestoreId::new(self.clock.now(), random) }
    }

    /// If the message is lost, recover-stalled sends it again.
    async fn begin(&self, restore: &Restore) {
        let reference = restore.reference();
        tracing::info!(account.id = %reference.account_id, restore.id = %reference.restore_id, "restore.accepted");
        let work = Work::Restore { restore: reference };
        if let Err(error) = self.queue.send(&[work], Duration::ZERO).await {
            tracing::warn!(%error, restore.id = %restore.restore_id, "restore.plan-not-queued");
        }
    }
}

fn same_portal(of: u64, connection: &CrmConnection) -> Result<(), AskError> {
    let connected = connection.portal_id;
    if of == connected { Ok(()) } else { Err(AskError::OtherPortal { of, connected }) }
}

fn without_repetitions(names: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !kept.contains(name) {
            kept.push(name.clone());
        }
    }
    kept
}
