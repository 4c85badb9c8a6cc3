//! One run of export-chunk: what its lanes share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::Failure;
use domain::account::ApiVersion;
use domain::backup::Backup;
use domain::chunk::Chunk;
use domain::ids::{ChunkKey, ObjectType};
use domain::object::{ObjectExport, ObjectState};
use domain::ports::ledger::{self, Ledger};
use domain::ports::queue::{QueueError, WorkQueue};
use domain::property::Columns;
use domain::work::{BackupRef, Work};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, OnceCell, Semaphore};

use super::candidates::Candidates;
use super::lane_count::Standing;
use super::segment_size;
use super::segment_upload::Unwritten;
use super::{Export, ExportUsage, Subject};
use crate::backup::{dispatch, ending};
use crate::crm_session::CrmSession;
use crate::leased::Leases;
use crate::run::{Run, StepError};
use crate::stored_json;

/// How many objects a run closes at a time. Each takes a search. More of them would keep the searches for bounds waiting,
/// and lanes without work wait for those.
const CLOSINGS_AT_ONCE: usize = 3;

/// How long objects that could be closed wait for searches for bounds. Those of a large backup can follow each other
/// without a pause.
const CLOSINGS_WAIT: SignedDuration = SignedDuration::from_secs(5);

/// How long a look at the backup and its objects is valid for all lanes.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// A run of export-chunk for one backup.
pub(super) struct ExportRun<'a> {
    pub(super) export: &'a Export,
    pub(super) backup: &'a BackupRef,
    pub(super) run: &'a Run,
    queue: HandedOver<'a>,
    session: OnceCell<CrmSession>,
    columns: Mutex<HashMap<String, Arc<Columns>>>,
    view: tokio::sync::Mutex<Option<View>>,
    pub(super) candidates: tokio::sync::Mutex<Candidates>,
    standing: Mutex<Standing>,
    /// Objects with a chunk that is done, to be closed beside the lanes, and since when the first of them waits.
    to_close: Mutex<(Vec<ObjectType>, Option<Timestamp>)>,
    pub(super) closing_places: Semaphore,
    /// More chunks may be claimable, or more objects may be closed.
    pub(super) more: Notify,
    pub(super) records: AtomicU64,
    pub(super) unwritten: Unwritten,
}

/// The queue of a run that reads several chunks. Messages about chunks are left out: the run takes the chunks by
/// itself, and hands them over when it ends.
struct HandedOver<'a>(&'a dyn WorkQueue);

#[async_trait]
impl WorkQueue for HandedOver<'_> {
    async fn send(&self, work: &[Work], delay: Duration) -> Result<(), QueueError> {
        let others: Vec<Work> = work.iter().filter(|work| !matches!(work, Work::Export { .. })).cloned().collect();
        if others.is_empty() { Ok(()) } else { self.0.send(&others, delay).await }
    }
}

/// A look at the backup.
#[derive(Clone)]
pub(super) struct View {
    looked_at: Timestamp,
    /// The objects that are still read, with their generations. None if the backup has ended.
    generations: Option<HashMap<ObjectType, u32>>,
    /// The target size of segments.
    pub(super) segment_target: u64,
}

impl View {
    /// Whether the chunk is still needed.
    pub(super) fn needs(&self, chunk: &ChunkKey) -> bool {
        let generations = self.generations.as_ref();
        generations.is_some_and(|present| present.get(&chunk.object_type) == Some(&chunk.generation))
    }
}

impl<'a> ExportRun<'a> {
    pub(super) fn new(export: &'a Export, backup: &'a BackupRef, run: &'a Run) -> Self {
        Self {
            export,
            backup,
            run,
            queue: HandedOver(&*export.queue),
            session: OnceCell::new(),
            columns: Mutex::default(),
            view: tokio::sync::Mutex::default(),
            candidates: tokio::sync::Mutex::default(),
            standing: Mutex::new(Standing::new(export.lanes)),
            to_close: Mutex::default(),
            closing_places: Semaphore::new(CLOSINGS_AT_ONCE),
            more: Notify::new(),
            records: AtomicU64::new(0),
            unwritten: Unwritten::default(),
        }
    }

    pub(super) fn ledger(&self) -> &'a dyn Ledger {
        self.export.ledger()
    }

    pub(super) fn queue(&self) -> &dyn WorkQueue {
        &self.queue
    }

    pub(super) fn now(&self) -> Timestamp {
        self.export.sessions.clock.now()
    }

    pub(super) fn leases(&self) -> Leases<'_> {
        Leases { ledger: self.ledger(), queue: &self.queue, clock: &*self.export.sessions.clock }
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the object closed beside the lanes, if all its chunks are done.
    pub(super) fn close_soon(&self, object: &ObjectType) {
        let mut to_close = self.to_close.lock().unwrap_or_else(PoisonError::into_inner);
        if !to_close.0.contains(object) {
            to_close.0.push(object.clone());
        }
        to_close.1.get_or_insert_with(|| self.now());
        self.more.notify_one();
    }

    /// The objects that are to be closed now. While bounds are searched for, none for some seconds: closing takes
    /// searches too, of which the CRM allows few a second, and lanes without work wait for bounds.
    pub(super) fn take_to_close(&self) -> Vec<ObjectType> {
        let waits = self.standing().searches_for_bounds();
        let mut to_close = self.to_close.lock().unwrap_or_else(PoisonError::into_inner);
        if waits && to_close.1.is_none_or(|since| self.now() < since + CLOSINGS_WAIT) {
            return Vec::new();
        }
        std::mem::take(&mut *to_close).0
    }

    /// This many searches for bounds have ended.
    pub(super) fn bounds_searched(&self, searches: usize) {
        let mut standing = self.standing();
        standing.ended_searches(searches, self.now());
        if !standing.searches_for_bounds() {
            self.more.notify_one();
        }
    }

    /// What all lanes did so far.
    pub(super) fn usage(&self) -> ExportUsage {
        let gate = self.session.get().map(|session| session.gate.usage()).unwrap_or_default();
        ExportUsage { records: self.records.load(Ordering::Relaxed), gate }
    }

    /// The session that all lanes use, opened by the first that needs it. If it cannot be opened, the next tries again.
    pub(super) async fn session(&self, version: ApiVersion) -> Result<&CrmSession, StepError> {
        let open = || self.export.sessions.open(&self.backup.account_id, version, self.run);
        self.session.get_or_try_init(open).await
    }

    /// The session, if it is open.
    pub(super) fn opened(&self) -> Option<&CrmSession> {
        self.session.get()
    }

    /// The columns of an object, read once.
    pub(super) async fn columns(&self, object: &ObjectExport) -> Result<Arc<Columns>, StepError> {
        let known = self.columns.lock().unwrap_or_else(PoisonError::into_inner).get(&object.columns_key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let columns: Arc<Columns> = Arc::new(stored_json::read(&*self.export.reader, &object.columns_key).await?);
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).insert(object.columns_key.clone(), columns.clone());
        Ok(columns)
    }

    /// The latest look at the backup, by any lane.
    pub(super) async fn look(&self, now: Timestamp) -> Result<View, StepError> {
        let mut view = self.view.lock().await;
        match &*view {
            Some(view) if now.duration_since(view.looked_at) < LOOK_EVERY => return Ok(view.clone()),
            _ => {}
        }
        let key = Backup::key_of(self.backup);
        let (backup, objects) = futures_util::future::try_join(
            ledger::load::<Backup>(self.ledger(), &key),
            dispatch::objects(self.ledger(), &self.backup.backup_id),
        )
        .await?;
        let goes_on = backup.is_some_and(|backup| !backup.record.state.is_terminal());
        let generation = |object: &ObjectExport| (object.definition.object_type.clone(), object.generation);
        let looked = View {
            looked_at: now,
            generations: goes_on.then(|| objects.iter().map(generation).collect()),
            segment_target: segment_size::target(&objects),
        };
        *view = Some(looked.clone());
        Ok(looked)
    }

    /// The chunk and its object. None if no work is left for them.
    pub(super) async fn load(&self, key: &ChunkKey) -> Result<Option<Subject>, StepError> {
        let ledger = self.ledger();
        let object_key = ObjectExport::key_of(&self.backup.backup_id, &key.object_type);
        let chunk_key = Chunk::key_of(&self.backup.backup_id, key);
        let backup_key = Backup::key_of(self.backup);
        let (backup, object, chunk) = futures_util::future::try_join3(
            ledger::load::<Backup>(ledger, &backup_key),
            ledger::load::<ObjectExport>(ledger, &object_key),
            ledger::load::<Chunk>(ledger, &chunk_key),
        )
        .await?;
        let (Some(backup), Some(object), Some(chunk)) = (backup, object, chunk) else { return Ok(None) };
        let void = object.record.generation != key.generation || object.record.state == ObjectState::Exported;
        if backup.record.state.is_terminal() || void {
            return Ok(None);
        }
        let api_version = backup.record.api_version;
        Ok(Some(Subject { backup: self.backup.clone(), api_version, object: object.record, chunk }))
    }

    pub(super) async fn fail(&self, failure: Failure) -> Result<(), StepError> {
        Ok(ending::fail(self.ledger(), self.queue(), &*self.export.sessions.clock, self.backup, failure).await?)
    }
}
