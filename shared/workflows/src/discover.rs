//! discover-objects: lists the account's object types and their properties, and puts objects and first chunks into
//! the ledger.
//!
//! The list of the first run that finishes it counts; a rerun after that only puts what is still missing. The list is
//! in object storage because property definitions do not fit into ledger records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Failure;
use domain::backup::{Backup, BackupEvent, BackupState};
use domain::lease::NotLeased;
use domain::object::ObjectExport;
use domain::ports::crm::{Crm, CrmError, CrmErrorKind, Cursor, PageRequest};
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::objects::{ObjectReader, ObjectWriter, StorageError};
use domain::ports::queue::WorkQueue;
use domain::property::{Columns, ObjectDefinition};
use domain::rows::RowBuffer;
use domain::storage_keys;
use domain::work::{BackupRef, Work};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::crm_session::CrmSessions;
use crate::dispatch::{self, WorkerCap};
use crate::ending;
use crate::run::{Remedy, Run, StepError, delay_until};

/// Objects asked about at the same time. Each needs six calls one after the other.
const OBJECTS_AT_ONCE: usize = 8;

/// Objects per transaction: each brings two records, and the backup is one more.
const OBJECTS_PER_COMMIT: usize = 40;

/// The use case.
pub struct Discover {
    /// Opens the CRM; its ledger and clock are used for the rest too.
    pub sessions: CrmSessions,
    /// Takes messages.
    pub queue: Arc<dyn WorkQueue>,
    /// Reads the list again.
    pub reader: Arc<dyn ObjectReader>,
    /// Writes the list and the columns.
    pub writer: Arc<dyn ObjectWriter>,
    /// How many workers a backup may have.
    pub cap: WorkerCap,
    /// First pause while the CRM is down.
    pub retry_base: Duration,
}

/// What a discovery has found, as kept in object storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovery {
    objects: Vec<DiscoveredObject>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiscoveredObject {
    definition: ObjectDefinition,
    columns_key: String,
    column_count: u32,
    records: Option<u64>,
    counted_at: Timestamp,
}

impl Discover {
    fn ledger(&self) -> &dyn Ledger {
        &*self.sessions.ledger
    }

    /// Does the discovery of `backup`, or what is left of it.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn run(&self, backup: &BackupRef, run: &Run) -> Result<(), StepError> {
        let now = self.sessions.clock.now();
        let Some(loaded) = self.load(backup).await? else { return Ok(()) };
        if loaded.record.state == BackupState::Exporting {
            return self.dispatch(backup).await;
        }
        if !matches!(loaded.record.state, BackupState::Queued | BackupState::Discovering) {
            return Ok(());
        }
        let leased = match loaded.record.lease(&run.owner, now, run.lease_length(now)) {
            Ok(Ok(leased)) => leased,
            Ok(Err(NotLeased::OutOfAttempts)) => return self.fail(backup, out_of_attempts()).await,
            Ok(Err(NotLeased::Held(_) | NotLeased::Waiting(_))) | Err(_) => return Ok(()),
        };
        let lease = leased.leasing.last_number;
        let attempts = leased.leasing.attempts;
        match self.ledger().commit(&[Change::replace(&loaded, &leased)]).await {
            // Another delivery of the same message was first.
            Err(LedgerError::Conflict) => return Ok(()),
            other => other?,
        }
        let Err(error) = self.discover(backup, lease, run).await else { return Ok(()) };
        tracing::warn!(%error, backup.id = %backup.backup_id, "discovery.interrupted");
        match error.remedy(self.sessions.clock.now(), attempts, self.retry_base) {
            Remedy::Stop => ending::sweep_if_ended(self.ledger(), &*self.queue, backup).await,
            Remedy::Fail(failure) => self.fail(backup, failure).await,
            Remedy::Wait(wait) => {
                let released = self.apply(backup, |_| BackupEvent::Released { lease, wait: Some(wait) }).await;
                let delay = delay_until(wait.until, self.sessions.clock.now());
                self.queue.send(&[Work::Discover { backup: backup.clone() }], delay).await?;
                released
            }
            Remedy::Retry(pause) => {
                // Best effort: without it the lease runs out by itself.
                let _ = self.apply(backup, |_| BackupEvent::Released { lease, wait: None }).await;
                Ok(self.queue.send(&[Work::Discover { backup: backup.clone() }], pause).await?)
            }
        }
    }

    async fn discover(&self, backup: &BackupRef, lease: u32, run: &Run) -> Result<(), StepError> {
        let Some(loaded) = self.load(backup).await? else { return Err(StepError::TakenOver) };
        let discovery = if let Some(key) = &loaded.record.discovery_key {
            self.read_discovery(key).await?
        } else {
            let version = loaded.record.api_version;
            let session = self.sessions.open(&backup.account_id, version, run).await?;
            self.check_portal(&*session.crm, &loaded.record).await?;
            self.list(&*session.crm, backup, lease).await?
        };
        self.add_objects(backup, &discovery).await?;
        self.apply(backup, |_| BackupEvent::DiscoveryFinished).await?;
        tracing::info!(backup.id = %backup.backup_id, objects = discovery.objects.len(), "discovery.finished");
        if discovery.objects.is_empty() {
            self.queue.send(&[Work::Assemble { backup: backup.clone() }], Duration::ZERO).await?;
        }
        self.dispatch(backup).await
    }

    /// A token can be replaced by one of another portal behind our back; then nothing must be mixed.
    async fn check_portal(&self, crm: &dyn Crm, backup: &Backup) -> Result<(), StepError> {
        let account = crm.account().await?;
        if account.portal_id == backup.portal_id {
            return Ok(());
        }
        Err(StepError::Fatal(Failure::new(
            "crm-other-portal",
            "The CRM token belongs to another portal than the one that was connected; connect the account again.",
        )))
    }

    /// Asks the CRM for everything, writes it down, and makes it the discovery that counts.
    async fn list(&self, crm: &dyn Crm, backup: &BackupRef, lease: u32) -> Result<Discovery, StepError> {
        let definitions = crm.object_types().await?;
        let asked: Vec<_> = stream::iter(definitions)
            .map(|definition| async move {
                match self.describe(crm, definition).await {
                    Err(CrmError { kind: CrmErrorKind::MissingScopes(scopes), .. }) => Ok(Err(scopes)),
                    Err(error) => Err(error),
                    Ok(described) => Ok(Ok(described)),
                }
            })
            .buffered(OBJECTS_AT_ONCE)
            .try_collect()
            .await?;
        // All missing scopes at once, so that the user need not find them one backup at a time.
        let missing: BTreeSet<String> =
            asked.iter().filter_map(|answer| answer.as_ref().err()).flatten().cloned().collect();
        if !missing.is_empty() {
            let names = missing.into_iter().collect::<Vec<_>>().join(", ");
            let sentence = format!("The CRM token lacks scopes that a backup needs: {names}. Add them and try again.");
            return Err(StepError::Fatal(Failure::new("crm-scopes-missing", sentence)));
        }
        let described: Vec<Described> = asked.into_iter().flatten().collect();
        let sensitive = described.iter().any(|object| object.columns.contains_sensitive_data());
        let mut objects = Vec::new();
        for object in described {
            let columns_key = storage_keys::columns(backup, &object.definition.object_type, lease);
            self.write_json(&columns_key, &object.columns).await?;
            let column_count = u32::try_from(object.columns.properties.len() + 1).unwrap_or(u32::MAX);
            objects.push(DiscoveredObject {
                definition: object.definition,
                columns_key,
                column_count,
                records: object.records,
                counted_at: object.counted_at,
            });
        }
        let discovery = Discovery { objects };
        let discovery_key = storage_keys::discovery(backup, lease);
        self.write_json(&discovery_key, &discovery).await?;
        self.apply(backup, |_| BackupEvent::Discovered {
            lease,
            discovery_key: discovery_key.clone(),
            contains_sensitive_data: sensitive,
        })
        .await?;
        Ok(discovery)
    }

    /// Everything about one object type, and proof that its records can be read.
    async fn describe(&self, crm: &dyn Crm, definition: ObjectDefinition) -> Result<Described, CrmError> {
        let object = &definition.object_type;
        let columns = Columns::from_properties(crm.properties(object).await?);
        let request = PageRequest { object, properties: &[], cursor: &Cursor::START, limit: 1 };
        crm.page(&request, &mut RowBuffer::new(0)).await?;
        // Taken before the count, so that whatever is created after it counts as created while the backup ran.
        let counted_at = self.sessions.clock.now();
        let records = crm.census(object).await?.map(|census| census.records);
        Ok(Described { definition, columns, records, counted_at })
    }

    /// Puts the objects that are not in the ledger yet.
    async fn add_objects(&self, backup: &BackupRef, discovery: &Discovery) -> Result<(), StepError> {
        let present = dispatch::objects(self.ledger(), &backup.backup_id).await?;
        let missing: Vec<_> = discovery
            .objects
            .iter()
            .filter(|found| !present.iter().any(|object| object.definition == found.definition))
            .collect();
        for some in missing.chunks(OBJECTS_PER_COMMIT) {
            let Some(loaded) = self.load(backup).await? else { return Err(StepError::TakenOver) };
            let now = self.sessions.clock.now();
            let mut next = loaded.record.clone();
            let mut changes = Vec::new();
            for found in some {
                next = next.apply(BackupEvent::ObjectAdded, now).map_err(|_| StepError::TakenOver)?;
                let (object, chunk) = ObjectExport::discovered(
                    backup,
                    found.definition.clone(),
                    found.columns_key.clone(),
                    found.column_count,
                    (found.records, found.counted_at),
                    now,
                );
                changes.extend([Change::create(&object), Change::create(&chunk)]);
            }
            changes.push(Change::replace(&loaded, &next));
            self.ledger().commit(&changes).await?;
        }
        Ok(())
    }

    async fn apply(&self, backup: &BackupRef, event: impl Fn(&Backup) -> BackupEvent) -> Result<(), StepError> {
        crate::backup_step::apply(self.ledger(), &*self.sessions.clock, backup, event).await.map(|_| ())
    }

    async fn load(&self, backup: &BackupRef) -> Result<Option<Versioned<Backup>>, StepError> {
        Ok(ledger::load(self.ledger(), &Backup::key_of(backup)).await?)
    }

    async fn fail(&self, backup: &BackupRef, failure: Failure) -> Result<(), StepError> {
        Ok(ending::fail(self.ledger(), &*self.queue, &*self.sessions.clock, backup, failure).await?)
    }

    async fn dispatch(&self, backup: &BackupRef) -> Result<(), StepError> {
        dispatch::dispatch(self.ledger(), &*self.queue, &*self.sessions.clock, backup, self.cap).await
    }

    async fn read_discovery(&self, key: &str) -> Result<Discovery, StepError> {
        let bytes = self.reader.read(key, None).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| StepError::Storage(StorageError::Refused(format!("{key} is unreadable: {error}"))))
    }

    async fn write_json<T: Serialize + Sync>(&self, key: &str, value: &T) -> Result<(), StepError> {
        let json = serde_json::to_vec(value)
            .map_err(|error| StepError::Storage(StorageError::Refused(format!("{key} cannot be written: {error}"))))?;
        match self.writer.write_new(key, Bytes::from(json), "application/json").await {
            // The key holds our own lease's number: it is our write whose answer was lost.
            Ok(_) | Err(StorageError::AlreadyExists(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

struct Described {
    definition: ObjectDefinition,
    columns: Columns,
    records: Option<u64>,
    counted_at: Timestamp,
}

fn out_of_attempts() -> Failure {
    Failure::new(
        "discovery-failed",
        "Listing the CRM's objects failed too often in a row; see the log of discover-objects, then make a new backup.",
    )
}
