//! export-chunk: reads one id range of one object into segments.
//!
//! A run takes the chunk's lease, reads pages into a growing segment, and commits the segment together with the chunk's
//! cursor in one transaction. So a page is either in exactly one committed segment or is read again.

mod close_object;
mod commit;
mod fallback;
mod once_more;
mod proof;
mod range;
mod reading;
mod seen;
mod segment_upload;
mod shortfall;
mod split;
mod unseen;

use std::sync::Arc;

use domain::account::ApiVersion;
use domain::backup::Backup;
use domain::chunk::{Chunk, ChunkState};
use domain::ids::ChunkKey;
use domain::ids::ObjectType;
use domain::lease::Leftover;
use domain::lease::{Leasing, NotLeased, Wait};
use domain::object::{ObjectExport, ObjectState};
use domain::ports::ledger::{self, Ledger, Versioned};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::{BlobReader, BlobWriter, MultipartUploads};
use domain::property::Columns;
use domain::work::{BackupRef, Work};
use domain::{Failure, FailureKind, Refused};
use jiff::{SignedDuration, Timestamp};

use crate::backup::dispatch::{self, WorkerCap};
use crate::backup::ending;
use crate::backup::export::reading::{ChunkReading, ReadingEnd};
use crate::call_gate::GateUsage;
use crate::crm_session::CrmSessions;
use crate::held_lease::{HeldLease, Wished};
use crate::leased::{Aftermath, Leasable, Leases};
use crate::run::{Patience, Run, StepError};
use crate::stored_json;

/// Exports one chunk: reads its records from the CRM and stores them as segments.
pub struct Export {
    /// Opens the CRM. The rest of the work uses its ledger and clock too.
    pub sessions: CrmSessions,
    pub queue: Arc<dyn WorkQueue>,
    pub reader: Arc<dyn BlobReader>,
    pub writer: Arc<dyn BlobWriter>,
    pub uploads: Arc<dyn MultipartUploads>,
    pub cap: WorkerCap,
    pub patience: Patience,
}

/// The work of a run of export-chunk, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExportUsage {
    pub records: u64,
    pub gate: GateUsage,
}

/// The records that a run works on, as loaded at its start.
struct Subject {
    backup: BackupRef,
    api_version: ApiVersion,
    object: ObjectExport,
    chunk: Versioned<Chunk>,
}

impl Leasable for Chunk {
    fn leasing(&self) -> &Leasing {
        &self.leasing
    }
    fn with_leasing(&self, leasing: Leasing) -> Self {
        Self { leasing, ..self.clone() }
    }
    fn leased(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        self.lease(owner, now, length)
    }
    fn released(&self, lease: u32, wait: Option<Wait>, _: Leftover, now: Timestamp) -> Result<Self, Refused> {
        self.release(lease, wait, now)
    }
    fn message(&self) -> Option<Work> {
        (self.state == ChunkState::Ready).then(|| self.work())
    }
}

impl Export {
    fn ledger(&self) -> &dyn Ledger {
        &*self.sessions.ledger
    }

    fn leases(&self) -> Leases<'_> {
        Leases { ledger: self.ledger(), queue: &*self.queue, clock: &*self.sessions.clock }
    }

    /// Works on one chunk until it is done or the run ends.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn run(&self, backup: &BackupRef, key: &ChunkKey, run: &Run) -> Result<ExportUsage, StepError> {
        let Some(subject) = self.load(backup, key).await? else {
            // The run that closed the object, or started it again, may have died before it gave the free place to
            // another chunk.
            self.dispatch(backup).await?;
            // A run before this one may have written after the sweep, and failed before it asked for another.
            ending::sweep_if_ended(self.ledger(), &*self.queue, backup).await?;
            return Ok(ExportUsage::default());
        };
        match subject.chunk.record.state {
            ChunkState::Waiting => return Ok(ExportUsage::default()),
            ChunkState::Done => {
                // The run that finished it may have died before it tried to close the object.
                self.after_chunk(backup, &key.object_type, run).await?;
                return Ok(ExportUsage::default());
            }
            ChunkState::Ready => {}
        }
        let held = match self.leases().take(&subject.chunk, &run.owner).await? {
            Wished::Leased(held) => held,
            Wished::Nothing => return Ok(ExportUsage::default()),
            Wished::OutOfAttempts => {
                self.fail(backup, out_of_attempts(&subject.object)).await?;
                return Ok(ExportUsage::default());
            }
        };
        let worked = self.work(backup, key, &held, run).await;
        ending::sweep_if_ended(self.ledger(), &*self.queue, backup).await?;
        worked
    }

    /// Reads under the lease until the range or the run ends, and cleans up after errors.
    async fn work(
        &self,
        backup: &BackupRef,
        key: &ChunkKey,
        held: &HeldLease<'_, Chunk>,
        run: &Run,
    ) -> Result<ExportUsage, StepError> {
        let lease = held.number();
        let mut usage = ExportUsage::default();
        let ledger_key = Chunk::key_of(&backup.backup_id, key);
        let read = held.during(Box::pin(self.read(backup, key, lease, run, &mut usage))).await;
        let now = self.sessions.clock.now();
        let read = match read {
            // The run made progress and its time is over, so the unfinished call is no evidence against the CRM.
            Err(StepError::Crm(error)) if error.kind.is_unavailable() && now >= run.ends && usage.records > 0 => {
                Ok(ReadingEnd::RunOver)
            }
            other => other,
        };
        let error = match read {
            Ok(ReadingEnd::RangeRead) => {
                self.after_chunk(backup, &key.object_type, run).await?;
                return Ok(usage);
            }
            Ok(ReadingEnd::RunOver) => {
                self.leases().run_over::<Chunk>(&ledger_key, lease, false, Leftover::Nothing).await?;
                return Ok(usage);
            }
            Ok(ReadingEnd::StartedAgain) => {
                self.dispatch(backup).await?;
                return Ok(usage);
            }
            Err(error) => error,
        };
        tracing::warn!(%error, backup.id = %backup.backup_id, object = %key.object_type, "export.interrupted");
        // If the backup has ended or the object was started again, this error no longer matters.
        if matches!(self.load(backup, key).await, Ok(None)) {
            return Ok(usage);
        }
        let leases = self.leases();
        let aftermath =
            leases.interrupted::<Chunk>(&ledger_key, lease, &error, (false, Leftover::Nothing), &self.patience).await?;
        match aftermath {
            Aftermath::Settled => Ok(usage),
            Aftermath::Fail(failure) => self.fail(backup, failure).await.map(|()| usage),
        }
    }

    async fn read(
        &self,
        backup: &BackupRef,
        key: &ChunkKey,
        lease: u32,
        run: &Run,
        usage: &mut ExportUsage,
    ) -> Result<ReadingEnd, StepError> {
        let Some(subject) = self.load(backup, key).await? else { return Err(StepError::GONE) };
        let columns: Columns = stored_json::read(&*self.reader, &subject.object.columns_key).await?;
        let target = reading::segment_target(&dispatch::objects(self.ledger(), &backup.backup_id).await?);
        let session = self.sessions.open(&backup.account_id, subject.api_version, run).await?;
        let ending = ChunkReading::new(self, subject, &columns, target, &*session.crm, lease, run).through(usage).await;
        usage.gate = session.gate.usage();
        ending
    }

    /// The chunk and its object. None if no work is left for them.
    async fn load(&self, backup: &BackupRef, key: &ChunkKey) -> Result<Option<Subject>, StepError> {
        let ledger = self.ledger();
        let object_key = ObjectExport::key_of(&backup.backup_id, &key.object_type);
        let chunk_key = Chunk::key_of(&backup.backup_id, key);
        let backup_key = Backup::key_of(backup);
        let (loaded_backup, object, chunk) = futures_util::future::try_join3(
            ledger::load::<Backup>(ledger, &backup_key),
            ledger::load::<ObjectExport>(ledger, &object_key),
            ledger::load::<Chunk>(ledger, &chunk_key),
        )
        .await?;
        let (Some(loaded_backup), Some(object), Some(chunk)) = (loaded_backup, object, chunk) else { return Ok(None) };
        let void = object.record.generation != key.generation || object.record.state == ObjectState::Exported;
        if loaded_backup.record.state.is_terminal() || void {
            return Ok(None);
        }
        let api_version = loaded_backup.record.api_version;
        Ok(Some(Subject { backup: backup.clone(), api_version, object: object.record, chunk }))
    }

    /// The consequences of a finished chunk: its object may be complete, and a worker place is free.
    async fn after_chunk(&self, backup: &BackupRef, object: &ObjectType, run: &Run) -> Result<(), StepError> {
        self.close_object(backup, object, run).await?;
        self.dispatch(backup).await
    }

    async fn dispatch(&self, backup: &BackupRef) -> Result<(), StepError> {
        dispatch::dispatch(self.ledger(), &*self.queue, &*self.sessions.clock, backup, self.cap).await
    }

    async fn fail(&self, backup: &BackupRef, failure: Failure) -> Result<(), StepError> {
        Ok(ending::fail(self.ledger(), &*self.queue, &*self.sessions.clock, backup, failure).await?)
    }
}

fn out_of_attempts(object: &ObjectExport) -> Failure {
    let label = &object.definition.label;
    Failure::new(
        FailureKind::ExportFailed,
        format!(
            "Reading {label} records failed too often in a row. Ask the operator to look at the log of export-chunk, \
             then make a new backup."
        ),
    )
}
