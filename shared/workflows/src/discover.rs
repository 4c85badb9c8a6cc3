//! discover-objects: lists the account's object types and their properties, and puts objects and first chunks into
//! the ledger.
//!
//! Each object is put there as soon as it is known, so a run that takes over goes on with those that are missing.
//! Nothing is read before the whole discovery has finished: what a token lacks is said before, and all of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::Failure;
use domain::backup::{Backup, BackupEvent, BackupState};
use domain::ids::ObjectType;
use domain::object::ObjectExport;
use domain::ports::crm::{Crm, CrmError, CrmErrorKind, Cursor, MissingScopes, PageRequest, PageSource};
use domain::ports::ledger::{Change, Ledger};
use domain::ports::objects::ObjectWriter;
use domain::ports::queue::WorkQueue;
use domain::property::{Columns, ObjectDefinition};
use domain::rows::RowBuffer;
use domain::storage_keys;
use domain::work::{BackupRef, Work};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::backup_step::BackupStep;
use crate::contention;
use crate::crm_session::CrmSessions;
use crate::dispatch::{self, WorkerCap};
use crate::run::{Patience, Run, StepError};
use crate::stored_json;

/// Objects asked about at the same time. Each needs six calls one after the other.
const OBJECTS_AT_ONCE: usize = 8;

/// The use case.
pub struct Discover {
    /// Opens the CRM; its ledger and clock are used for the rest too.
    pub sessions: CrmSessions,
    /// Takes messages.
    pub queue: Arc<dyn WorkQueue>,
    /// Writes the columns.
    pub writer: Arc<dyn ObjectWriter>,
    /// How many workers a backup may have.
    pub cap: WorkerCap,
    /// How long the CRM is waited for.
    pub patience: Patience,
}

/// What the CRM says about an object type.
struct Described {
    definition: ObjectDefinition,
    columns: Columns,
    records: Option<u64>,
    counted_at: Timestamp,
}

impl Discover {
    fn ledger(&self) -> &dyn Ledger {
        &*self.sessions.ledger
    }

    fn step<'a>(&'a self, backup: &'a BackupRef) -> BackupStep<'a> {
        BackupStep { ledger: self.ledger(), queue: &*self.queue, clock: &*self.sessions.clock, backup }
    }

    /// Does the discovery of `backup`, or what is left of it.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn run(&self, backup: &BackupRef, run: &Run) -> Result<(), StepError> {
        let step = self.step(backup);
        let Some(loaded) = step.load().await? else { return Ok(()) };
        if loaded.record.state == BackupState::Exporting {
            return self.dispatch(backup).await;
        }
        if !matches!(loaded.record.state, BackupState::Queued | BackupState::Discovering) {
            return Ok(());
        }
        let Some(held) = step.lease(&loaded, run, out_of_attempts).await? else { return Ok(()) };
        let discovered = held.during(self.discover(&loaded.record, held.number(), run)).await;
        let held = held.number();
        let Err(error) = discovered else { return Ok(()) };
        tracing::warn!(%error, backup.id = %backup.backup_id, "discovery.interrupted");
        match error {
            // The call that was under way when the run's time was over says nothing about the CRM. Every object that was
            // added is noted as progress already.
            StepError::Crm(error) if error.kind.is_unavailable() && self.sessions.clock.now() >= run.ends => {
                step.run_over(held, false).await
            }
            error => step.interrupted(held, &error, false, &self.patience).await,
        }
    }

    async fn discover(&self, backup: &Backup, lease: u32, run: &Run) -> Result<(), StepError> {
        let reference = &backup.reference();
        let session = self.sessions.open(&backup.account_id, backup.api_version, run).await?;
        check_portal(&*session.crm, backup).await?;
        self.add_missing(&*session.crm, reference, lease).await?;
        let objects = dispatch::objects(self.ledger(), &reference.backup_id).await?;
        let contains_sensitive_data = objects.iter().any(|object| object.contains_sensitive_data);
        let finished = BackupEvent::DiscoveryFinished { lease, contains_sensitive_data, gaps: Vec::new() };
        self.step(reference).apply(finished).await?;
        tracing::info!(backup.id = %reference.backup_id, objects = objects.len(), "discovery.finished");
        if objects.is_empty() {
            self.queue.send(&[Work::Assemble { backup: reference.clone() }], Duration::ZERO).await?;
        }
        self.dispatch(reference).await
    }

    /// Asks the CRM about the objects that are not in the ledger yet, and puts them there.
    async fn add_missing(&self, crm: &dyn Crm, backup: &BackupRef, lease: u32) -> Result<(), StepError> {
        let mut lacking = MissingScopes::default();
        let custom = lacking.note(crm.custom_object_types().await)?.unwrap_or_default();
        let definitions = crm.standard_object_types().into_iter().chain(custom);
        let present = dispatch::objects(self.ledger(), &backup.backup_id).await?;
        let present: HashSet<ObjectType> = present.into_iter().map(|object| object.definition.object_type).collect();
        let missing = definitions.filter(|definition| !present.contains(&definition.object_type));
        let mut asked =
            stream::iter(missing).map(|definition| self.describe(crm, definition)).buffer_unordered(OBJECTS_AT_ONCE);
        while let Some(answer) = asked.next().await {
            match answer? {
                Ok(described) => self.add(backup, lease, described).await?,
                Err(scopes) => lacking.merge(scopes),
            }
        }
        if lacking.is_empty() { Ok(()) } else { Err(scopes_missing(lacking)) }
    }

    /// Everything about one object type, and proof that its records can be read; or all scopes that it takes and the
    /// token lacks.
    async fn describe(
        &self,
        crm: &dyn Crm,
        definition: ObjectDefinition,
    ) -> Result<Result<Described, MissingScopes>, CrmError> {
        let object = &definition.object_type;
        let mut lacking = MissingScopes::default();
        let properties = lacking.note(crm.properties(object).await)?;
        let request =
            PageRequest { object, properties: &[], cursor: &Cursor::START, source: PageSource::List, limit: 1 };
        lacking.note(crm.page(&request, &mut RowBuffer::new(0)).await)?;
        // Taken before the count, so that whatever is created after it counts as created while the backup ran.
        let counted_at = self.sessions.clock.now();
        let census = lacking.note(crm.census(object).await)?;
        match (properties, census) {
            (Some(properties), Some(census)) if lacking.is_empty() => {
                let columns = Columns::from_properties(properties.properties);
                let records = census.map(|census| census.records);
                Ok(Ok(Described { definition, columns, records, counted_at }))
            }
            _ => Ok(Err(lacking)),
        }
    }

    /// Puts an object and its first chunk into the ledger, and its columns into object storage.
    async fn add(&self, backup: &BackupRef, lease: u32, described: Described) -> Result<(), StepError> {
        let Described { definition, columns, records, counted_at } = described;
        let columns_key = storage_keys::columns(backup, &definition.object_type, lease);
        stored_json::write(&*self.writer, &columns_key, &columns).await?;
        let now = self.sessions.clock.now();
        let before = (records, counted_at);
        let (object, chunk) = ObjectExport::discovered(backup, definition, &columns, columns_key, before, now);
        let step = self.step(backup);
        contention::retry(|| async {
            let loaded = step.load().await?.ok_or(StepError::TakenOver)?;
            let next = step.after(&loaded, BackupEvent::ObjectAdded { lease })?;
            let changes = [Change::create(&object), Change::create(&chunk), Change::replace(&loaded, &next)];
            Ok::<_, StepError>(contention::settle(self.ledger().commit(&changes).await, ())?)
        })
        .await
    }

    async fn dispatch(&self, backup: &BackupRef) -> Result<(), StepError> {
        dispatch::dispatch(self.ledger(), &*self.queue, &*self.sessions.clock, backup, self.cap).await
    }
}

/// A token can be replaced by one of another portal behind our back; then nothing must be mixed.
async fn check_portal(crm: &dyn Crm, backup: &Backup) -> Result<(), StepError> {
    let account = crm.account().await?;
    if account.portal_id == backup.portal_id {
        return Ok(());
    }
    Err(StepError::Fatal(Failure::new(
        "crm-other-portal",
        "The CRM token belongs to another portal than the one that was connected; connect the account again.",
    )))
}

/// All missing scopes at once, so that the user need not find them one backup at a time.
fn scopes_missing(scopes: MissingScopes) -> StepError {
    let scopes = scopes.into_names();
    let names = scopes.join(", ");
    let sentence = format!("The CRM token lacks scopes that a backup needs: {names}. Add them and try again.");
    StepError::Crm(CrmError { kind: CrmErrorKind::MissingScopes(scopes), sentence })
}

fn out_of_attempts() -> Failure {
    Failure::new(
        "discovery-failed",
        "Listing the CRM's objects failed too often in a row; see the log of discover-objects, then make a new backup.",
    )
}
