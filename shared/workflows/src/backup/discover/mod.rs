//! discover-objects: lists the account's object types and their properties, and adds the objects and their first chunks
//! to the ledger.
//!
//! Each object is added as soon as it is known, so a run that takes over continues with the missing ones. No records
//! are read before the discovery has finished. An object that the account does not offer, or that the token may not
//! read, is left out and named. The backup fails only if the token may read nothing, or if it may read records but not
//! their sensitive values: the archive would then contain those values as empty.

mod last_backup;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::backup::{Backup, BackupEvent, BackupState};
use domain::gap::{self, Gap, Missing};
use domain::ids::ObjectType;
use domain::object::{CountBefore, ObjectExport};
use domain::ports::crm::{
    Crm, CrmAccount, CrmError, CrmErrorKind, Cursor, MissingScopes, PageEnd, PageRequest, PageSource, RefusedProperties,
};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{Change, Ledger};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::BlobWriter;
use domain::property::{Columns, ObjectDefinition};
use domain::rows::RowBuffer;
use domain::storage_keys;
use domain::work::{BackupRef, Work};
use domain::{Failure, FailureKind};
use futures_util::{StreamExt, future, stream};

use crate::backup::discover::last_backup::LastBackup;
use crate::backup::dispatch::{self, RunCap};
use crate::backup::step::BackupStep;
use crate::contention;
use crate::crm_session::CrmSessions;
use crate::run::{Patience, Run, StepError};
use crate::stored_json;

/// The label for all custom objects.
const CUSTOM_OBJECTS: &str = "Custom objects";

/// Objects described at the same time. Each needs about six calls, most of them at once.
const OBJECTS_AT_ONCE: usize = 8;

/// Finds the objects of a backup and their properties.
pub struct Discover {
    /// Opens the CRM. The rest of the work uses its ledger and clock too.
    pub sessions: CrmSessions,
    pub queue: Arc<dyn WorkQueue>,
    pub writer: Arc<dyn BlobWriter>,
    pub patience: Patience,
}

/// The CRM's answers about an object type.
enum Described {
    ReadableObject(ReadableObject),
    /// The token, or the account, may not read it.
    Refused(RefusedObject),
    /// Records have values that the token may not read. It lacks these scopes.
    HiddenValues(Vec<String>),
    /// Parts of it are refused, but the refusal is not yet believed.
    Doubtful(CrmError),
}

/// An object type, or all custom objects, that the token may not read.
struct RefusedObject {
    gap: Gap,
    error: CrmError,
}

impl RefusedObject {
    fn new(object: Option<ObjectType>, label: &str, scopes: MissingScopes, error: CrmError) -> Self {
        Self { gap: gap::of_object(object, label, error.sentence.clone(), scopes.into_names()), error }
    }
}

struct ReadableObject {
    definition: ObjectDefinition,
    mode: ReadMode,
    columns: Columns,
    gaps: Vec<Gap>,
    before: CountBefore,
}

impl Discover {
    fn ledger(&self) -> &dyn Ledger {
        &*self.sessions.ledger
    }

    fn step<'a>(&'a self, backup: &'a BackupRef) -> BackupStep<'a> {
        BackupStep { ledger: self.ledger(), queue: &*self.queue, clock: &*self.sessions.clock, backup }
    }

    /// Discovers the objects of `backup`, or the rest of them.
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
            return step.sweep_if_ended().await;
        }
        let Some(held) = step.lease(&loaded, run, out_of_attempts).await? else { return Ok(()) };
        let discovered = held.during(self.discover(&loaded.record, held.number(), run)).await;
        let held = held.number();
        let Err(error) = discovered else { return Ok(()) };
        tracing::warn!(%error, backup.id = %backup.backup_id, "discovery.interrupted");
        step.interrupted(held, &error, false, &self.patience).await
    }

    async fn discover(&self, backup: &Backup, lease: u32, run: &Run) -> Result<(), StepError> {
        let reference = &backup.reference();
        let session = self.sessions.open(&backup.account_id, backup.api_version, run).await?;
        let last = async { Ok::<_, StepError>(LastBackup::before(self.ledger(), backup).await?) };
        // A refusal of this list is handled later.
        let custom = async { Ok::<_, StepError>(session.crm.custom_object_types().await) };
        let (account, last, custom) = future::try_join3(check_portal(&*session.crm, backup), last, custom).await?;
        self.sessions.note_limits(&backup.account_id, account.call_limits).await?;
        let last_try = backup.leasing.trouble.is_last_try();
        let refused = self.add_missing(&*session.crm, (reference, lease), custom, (&last, last_try)).await?;
        // A single refusal is not yet believed, unless the last backup met the same one.
        let doubtful = refused.iter().find(|refused| !last.lacked(refused.gap.object_type.as_ref()));
        if let Some(doubtful) = doubtful.filter(|_| !last_try) {
            return Err(doubtful.error.clone().into());
        }
        let gaps: Vec<Gap> = refused.into_iter().map(|refused| refused.gap).collect();
        let objects = dispatch::objects(self.ledger(), &reference.backup_id).await?;
        if objects.is_empty() && !gaps.is_empty() {
            return Err(nothing_readable(&gaps));
        }
        let present: HashSet<&ObjectType> = objects.iter().map(|object| &object.definition.object_type).collect();
        let gaps = last.compare(gaps, &present);
        let contains_sensitive_data = objects.iter().any(|object| object.contains_sensitive_data);
        let (count, missing) = (objects.len(), gaps.len());
        let finished = BackupEvent::DiscoveryFinished { lease, contains_sensitive_data, gaps };
        self.step(reference).apply(finished).await?;
        tracing::info!(backup.id = %reference.backup_id, objects = count, gaps = missing, "discovery.finished");
        if objects.is_empty() {
            self.queue.send(&[Work::Assemble { backup: reference.clone() }], Duration::ZERO).await?;
        }
        self.dispatch(reference).await
    }

    /// Describes the objects that are not yet in the ledger, and adds those that can be read. Returns the others.
    /// `custom` is the CRM's list of custom objects.
    async fn add_missing(
        &self,
        crm: &dyn Crm,
        (backup, lease): (&BackupRef, u32),
        custom: Result<Vec<ObjectDefinition>, CrmError>,
        (last, last_try): (&LastBackup, bool),
    ) -> Result<Vec<RefusedObject>, StepError> {
        let mut refused = Vec::new();
        let custom = match custom {
            Err(error) if error.kind.is_refusal() && error.kind != CrmErrorKind::TokenRefused => {
                refused.push(custom_objects_refused(error));
                Vec::new()
            }
            answer => answer?,
        };
        let present = dispatch::objects(self.ledger(), &backup.backup_id).await?;
        let present: HashSet<ObjectType> = present.into_iter().map(|object| object.definition.object_type).collect();
        let definitions = crm.model().standard_object_types().into_iter().chain(custom);
        let missing = definitions.filter(|definition| !present.contains(&definition.object_type));
        let mut asked = stream::iter(missing)
            .map(|definition| self.describe(crm, definition, (last, last_try)))
            .buffer_unordered(OBJECTS_AT_ONCE);
        let (mut hidden, mut doubtful) = (BTreeSet::new(), None);
        while let Some(answer) = asked.next().await {
            match answer? {
                Described::ReadableObject(readable) => self.add(backup, lease, readable).await?,
                Described::Refused(object) => refused.push(object),
                Described::HiddenValues(scopes) => hidden.extend(scopes),
                Described::Doubtful(error) => doubtful = Some(error),
            }
        }
        if let Some(error) = doubtful {
            return Err(error.into());
        }
        refused.sort_by(|a, b| a.gap.object_type.cmp(&b.gap.object_type));
        if hidden.is_empty() { Ok(refused) } else { Err(values_hidden(&hidden)) }
    }

    /// Everything about one object type, with proof that its records can be read, or the reason why they cannot.
    async fn describe(
        &self,
        crm: &dyn Crm,
        definition: ObjectDefinition,
        (last, last_try): (&LastBackup, bool),
    ) -> Result<Described, CrmError> {
        let object = &definition.object_type;
        let mut refusals = ObjectRefusals::default();
        let mode = crm.model().read_mode(&definition);
        let first = PageRequest { object, properties: &[], cursor: &Cursor::START, source: PageSource::List, limit: 1 };
        // Taken before the count, so that every record created after it counts as created during the backup.
        let counted_at = self.sessions.clock.now();
        let mut row = RowBuffer::new(0);
        let first_and_count = async {
            let shown = crm.page(&first, &mut row).await;
            let is_empty = shown.as_ref().is_ok_and(|end| row.is_empty() && shows_the_end(end));
            // CRMs allow few counts a second, and many objects have no records. They are counted when they are closed.
            let census = if is_empty && mode == ReadMode::Ranges { None } else { Some(crm.census(object).await) };
            (shown, census)
        };
        let ((shown, census), listed) = future::join(first_and_count, crm.properties(object)).await;
        refusals.note(shown)?;
        let listed = match listed {
            // Hidden values do not matter if the object cannot be read at all.
            Err(CrmError { kind: CrmErrorKind::HiddenValues(_), .. }) if refusals.first.is_some() => None,
            // Reported as missing scopes, which are checked again.
            Err(CrmError { kind: CrmErrorKind::HiddenValues(scopes), sentence, .. }) if !last_try => {
                return Ok(Described::Doubtful(CrmError::new(CrmErrorKind::MissingScopes(scopes), sentence)));
            }
            Err(CrmError { kind: CrmErrorKind::HiddenValues(scopes), .. }) => {
                return Ok(Described::HiddenValues(scopes));
            }
            answer => refusals.note(answer)?,
        };
        let listed_empty = census.is_none();
        let census = census.map_or(Ok(None), |census| refusals.note(census))?;
        if let Some(error) = refusals.first {
            let object = Some(object.clone());
            return Ok(Described::Refused(RefusedObject::new(object, &definition.label, refusals.scopes, error)));
        }
        let (listed, census) = (listed.unwrap_or_default(), census.flatten());
        let doubtful = listed.refused.iter().find(|_| !last_try && !last.lacked_properties_of(object));
        if let Some(RefusedProperties { scopes, sentence, .. }) = doubtful {
            let kind = CrmErrorKind::MissingScopes(scopes.clone());
            return Ok(Described::Doubtful(CrmError::new(kind, sentence.clone())));
        }
        let gaps =
            listed.refused.into_iter().map(|refused| of_refused_properties(&definition, refused, last)).collect();
        let columns = Columns::from_properties(listed.properties);
        let before = CountBefore { records: census.map(|census| census.records), listed_empty, counted_at };
        Ok(Described::ReadableObject(ReadableObject { definition, mode, columns, gaps, before }))
    }

    /// Adds an object and its first chunk to the ledger, and its columns to object storage.
    async fn add(&self, backup: &BackupRef, lease: u32, readable: ReadableObject) -> Result<(), StepError> {
        let ReadableObject { definition, mode, columns, gaps, before } = readable;
        let columns_key = storage_keys::columns(backup, &definition.object_type, lease);
        stored_json::write(&*self.writer, &columns_key, &columns).await?;
        let now = self.sessions.clock.now();
        let (object, chunk) = ObjectExport::discovered(backup, definition, mode, &columns, columns_key, before, now);
        let object = ObjectExport { gaps, ..object };
        let step = self.step(backup);
        contention::retry(|| async {
            let loaded = step.load().await?.ok_or(StepError::GONE)?;
            let next = step.after(&loaded, BackupEvent::ObjectAdded { lease })?;
            let changes = [Change::create(&object), Change::create(&chunk), Change::replace(&loaded, &next)];
            Ok::<_, StepError>(contention::settle(self.ledger().commit(&changes).await, ())?)
        })
        .await
    }

    async fn dispatch(&self, backup: &BackupRef) -> Result<(), StepError> {
        dispatch::dispatch(self.ledger(), &*self.queue, &*self.sessions.clock, backup, RunCap(1)).await
    }
}

/// Whether nothing follows a page, not even records that cannot be read.
const fn shows_the_end(page: &PageEnd) -> bool {
    page.next.is_none() && page.last_listed.is_none() && page.unreadable.is_empty()
}

/// A token can be replaced outside this service by one of another portal. Portals must not be mixed.
async fn check_portal(crm: &dyn Crm, backup: &Backup) -> Result<CrmAccount, StepError> {
    let account = crm.account().await?;
    if account.portal_id == backup.portal_id {
        return Ok(account);
    }
    Err(StepError::Fatal(Failure::new(
        FailureKind::CrmOtherPortal,
        "The CRM token belongs to another portal than the one that was connected. Connect the account again.",
    )))
}

/// All refusals about one object, so that people learn of every missing scope at once.
#[derive(Default)]
struct ObjectRefusals {
    first: Option<CrmError>,
    scopes: MissingScopes,
}

impl ObjectRefusals {
    /// The answer to a call. None if it was refused.
    ///
    /// # Errors
    /// Every error that is not about the token's permissions. A refused token is an error for all objects.
    fn note<T>(&mut self, answer: Result<T, CrmError>) -> Result<Option<T>, CrmError> {
        match answer {
            Err(error) if error.kind.is_refusal() && error.kind != CrmErrorKind::TokenRefused => {
                self.first.get_or_insert_with(|| error.clone());
                self.scopes.note(Err(error)).or(Ok(None))
            }
            answer => answer.map(Some),
        }
    }
}

fn custom_objects_refused(error: CrmError) -> RefusedObject {
    let mut scopes = MissingScopes::default();
    // Only the scopes in the error matter.
    let _noted = scopes.note::<()>(Err(error.clone()));
    RefusedObject::new(None, CUSTOM_OBJECTS, scopes, error)
}

/// The gap for properties that the CRM refuses to list.
fn of_refused_properties(definition: &ObjectDefinition, refused: RefusedProperties, last: &LastBackup) -> Gap {
    Gap {
        object_type: Some(definition.object_type.clone()),
        label: definition.label.clone(),
        missing: Missing::Properties { sensitivity: refused.sensitivity },
        reason: refused.sentence,
        scopes: refused.scopes,
        in_last_backup: last.held_sensitive_data_of(&definition.object_type),
    }
}

/// Names all missing scopes at once, so that the user need not find them one backup at a time.
fn values_hidden(scopes: &BTreeSet<String>) -> StepError {
    let happened =
        "Records have sensitive values that the CRM does not show to this token. They would be empty in the backup.";
    StepError::Fatal(Failure::scopes_missing(happened, scopes.iter().map(String::as_str)))
}

/// A backup without any object fails.
fn nothing_readable(gaps: &[Gap]) -> StepError {
    let scopes: BTreeSet<&str> = gaps.iter().flat_map(|gap| &gap.scopes).map(String::as_str).collect();
    if scopes.is_empty() {
        let reason = gaps.iter().find(|gap| gap.object_type.is_some()).or(gaps.first());
        let reason = reason.map_or(String::new(), |gap| format!(" {}", gap.reason));
        let sentence = format!("The CRM token cannot read any object.{reason}");
        return StepError::Fatal(Failure::new(FailureKind::CrmForbidden, sentence));
    }
    StepError::Fatal(Failure::scopes_missing("The CRM token cannot read any object.", scopes))
}

fn out_of_attempts() -> Failure {
    Failure::new(
        FailureKind::DiscoveryFailed,
        "Listing the CRM's objects failed too often in a row. Ask the operator to look at the log of discover-objects, \
         then make a new backup.",
    )
}
