//! assemble-archive: lays the zip out over the segments, makes it inside object storage, checks it, and completes the
//! backup.
//!
//! The layout is a pure function of the ledger and of the time at which it was settled, so a run that takes over makes
//! the same bytes and goes on with the upload that it finds in the ledger.

mod sweep;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archive::contents::{self, ArchiveContents, ExportedObject};
use archive::layout::StoredSegment;
use archive::parts;
use bytes::Bytes;
use domain::Failure;
use domain::backup::{self, ARCHIVE_LIFETIME, Archive, Assembly, Backup, BackupEvent, BackupState};
use domain::budget::WaitReason;
use domain::lease::{NotLeased, Wait};
use domain::object::ObjectExport;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::objects::{ETag, MultipartUploads, ObjectReader, ObjectSweeper, ObjectWriter, StorageError};
use domain::ports::queue::WorkQueue;
use domain::property::Columns;
use domain::segment::Segment;
use domain::storage_keys;
use domain::work::{BackupRef, Work};

use crate::assemble::upload::Upload;
use crate::backup_step;
use crate::contention;
use crate::dispatch;
use crate::ending;
use crate::run::{Remedy, Run, StepError, delay_until};

const ZIP: &str = "application/zip";
const JSON: &str = "application/json";

/// Pause before a step is repeated that met trouble of our own.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// The use case.
pub struct Assemble {
    /// Knows what was exported.
    pub ledger: Arc<dyn Ledger>,
    /// Takes messages.
    pub queue: Arc<dyn WorkQueue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Reads columns, segments and the finished archive.
    pub reader: Arc<dyn ObjectReader>,
    /// Writes manifests and small archives.
    pub writer: Arc<dyn ObjectWriter>,
    /// Makes large archives.
    pub uploads: Arc<dyn MultipartUploads>,
    /// Removes what a backup that has ended leaves behind.
    pub sweeper: Arc<dyn ObjectSweeper>,
}

/// How a run's assembling ended.
enum Assembled {
    /// The backup is completed.
    Completed,
    /// The run's time was over first.
    RunOver,
}

impl Assemble {
    /// Assembles the archive of `backup`, or what is left to do of it.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn run(&self, backup: &BackupRef, run: &Run) -> Result<(), StepError> {
        let now = self.clock.now();
        let Some(loaded) = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await? else { return Ok(()) };
        if loaded.record.state != BackupState::Assembling {
            return Ok(());
        }
        let leased = match loaded.record.lease(&run.owner, now, run.lease_length(now)) {
            Ok(Ok(leased)) => leased,
            Ok(Err(NotLeased::OutOfAttempts)) => return self.fail(backup, out_of_attempts()).await,
            Ok(Err(NotLeased::Held(_) | NotLeased::Waiting(_))) | Err(_) => return Ok(()),
        };
        let lease = leased.leasing.last_number;
        match self.ledger.commit(&[Change::replace(&loaded, &leased)]).await {
            // Another delivery of the same message was first.
            Err(LedgerError::Conflict) => return Ok(()),
            other => other?,
        }
        let progressed = AtomicBool::new(false);
        let error = match self.assemble(backup, lease, run, &progressed).await {
            Ok(Assembled::Completed) => return Ok(()),
            Ok(Assembled::RunOver) => {
                let wait = Wait { until: self.clock.now(), reason: WaitReason::RunOver };
                self.release(backup, lease, Some(wait)).await?;
                return Ok(self.queue.send(&[Work::Assemble { backup: backup.clone() }], Duration::ZERO).await?);
            }
            Err(error) => error,
        };
        tracing::warn!(%error, backup.id = %backup.backup_id, "assembly.interrupted");
        match error.remedy(self.clock.now(), leased.leasing.attempts, REPEAT_AFTER) {
            Remedy::Stop => ending::sweep_if_ended(&*self.ledger, &*self.queue, backup).await,
            Remedy::Fail(failure) => self.fail(backup, failure).await,
            // Assembling calls no CRM, so there is nothing to wait for; what is left is to try again.
            Remedy::Wait(Wait { until, .. }) => self.repeat(backup, lease, delay_until(until, now), &progressed).await,
            Remedy::Retry(pause) => self.repeat(backup, lease, pause, &progressed).await,
        }
    }

    /// Gives the lease back, to go on after `pause`. A run that has made parts of the archive was not in vain.
    async fn repeat(
        &self,
        backup: &BackupRef,
        lease: u32,
        pause: Duration,
        progressed: &AtomicBool,
    ) -> Result<(), StepError> {
        let wait = Wait { until: self.clock.now(), reason: WaitReason::RunOver };
        // Best effort: without it the lease runs out by itself.
        let _ = self.release(backup, lease, progressed.load(Ordering::Relaxed).then_some(wait)).await;
        Ok(self.queue.send(&[Work::Assemble { backup: backup.clone() }], pause).await?)
    }

    async fn assemble(
        &self,
        backup: &BackupRef,
        lease: u32,
        run: &Run,
        progressed: &AtomicBool,
    ) -> Result<Assembled, StepError> {
        let loaded = ledger::load::<Backup>(&*self.ledger, &Backup::key_of(backup)).await?;
        let record = loaded.ok_or(StepError::TakenOver)?.record;
        let objects = self.exported(&record).await?;
        let planned_at = record.assembly.as_ref().map_or_else(|| self.clock.now(), |assembly| assembly.planned_at);
        let contents = contents::lay_out(&record, objects, planned_at).map_err(|error| {
            StepError::Fatal(Failure::new("archive-inconsistent", format!("The archive cannot be laid out: {error}.")))
        })?;
        let assembly = match record.assembly {
            Some(assembly) => assembly,
            None => self.settle(backup, &contents, lease, planned_at).await?,
        };
        let key = storage_keys::archive(backup, assembly.attempt);
        let upload = Upload { assemble: self, key: &key, contents: &contents, run, progressed };
        let made = match &assembly.upload_id {
            None => upload.in_one_write().await?,
            Some(upload_id) => match upload.in_parts(upload_id).await {
                Err(StepError::Storage(StorageError::Absent(gone))) if gone == key => {
                    // The upload has ended without an archive, by the lifecycle rule perhaps: begin again.
                    let dropped = |_: &Backup| BackupEvent::AssemblyDropped { lease };
                    backup_step::apply(&*self.ledger, &*self.clock, backup, dropped).await?;
                    return Err(StorageError::Unavailable("the archive's upload has ended".to_owned()).into());
                }
                other => other?,
            },
        };
        let Some(etag) = made else { return Ok(Assembled::RunOver) };
        upload.check().await?;
        let manifest_key = storage_keys::manifest(backup, assembly.attempt);
        self.write(&manifest_key, contents.manifest.to_json()).await?;
        // Counted from when the upload began, as the bucket's lifecycle rule counts.
        let expires_at = assembly.planned_at + ARCHIVE_LIFETIME;
        let archive = Archive { storage_key: key, manifest_key, etag, bytes: contents.bytes, expires_at };
        self.complete(backup, lease, archive).await?;
        Ok(Assembled::Completed)
    }

    /// Decides under which key and upload the archive is made, and writes that down before anything else happens.
    async fn settle(
        &self,
        backup: &BackupRef,
        contents: &ArchiveContents,
        lease: u32,
        planned_at: jiff::Timestamp,
    ) -> Result<Assembly, StepError> {
        let key = storage_keys::archive(backup, lease);
        let upload_id =
            if parts::is_one_write(contents.bytes) { None } else { Some(self.uploads.begin(&key, ZIP).await?) };
        let assembly = Assembly { attempt: lease, upload_id, planned_at };
        let planned = |_: &Backup| BackupEvent::AssemblyPlanned { lease, assembly: assembly.clone() };
        backup_step::apply(&*self.ledger, &*self.clock, backup, planned).await?;
        Ok(assembly)
    }

    /// Everything that was exported: objects with their columns and segments, in order of their names.
    async fn exported(&self, backup: &Backup) -> Result<Vec<ExportedObject>, StepError> {
        let partition = format!("BACKUP#{}", backup.backup_id);
        let mut exported = Vec::new();
        for export in dispatch::objects(&*self.ledger, &backup.backup_id).await? {
            let prefix = Segment::prefix(&export.definition.object_type, export.generation);
            let segments: Vec<Versioned<Segment>> = ledger::list(&*self.ledger, &partition, &prefix).await?;
            let segments = segments.into_iter().map(|segment| StoredSegment::from(segment.record)).collect();
            let columns = self.columns(&export).await?;
            exported.push(ExportedObject { export, columns, segments });
        }
        Ok(exported)
    }

    async fn columns(&self, object: &ObjectExport) -> Result<Columns, StepError> {
        let key = &object.columns_key;
        let bytes = self.reader.read(key, None).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| StepError::Storage(StorageError::Refused(format!("{key} is unreadable: {error}"))))
    }

    async fn write(&self, key: &str, json: Vec<u8>) -> Result<(), StepError> {
        match self.writer.write_new(key, Bytes::from(json), JSON).await {
            // The same layout makes the same manifest, whichever run wrote it.
            Ok(_) | Err(StorageError::AlreadyExists(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The backup is completed and the account's allowance free again, in one transaction.
    async fn complete(&self, backup: &BackupRef, lease: u32, archive: Archive) -> Result<(), StepError> {
        let completed = contention::retry(|| async {
            let key = Backup::key_of(backup);
            let loaded = ledger::load::<Backup>(&*self.ledger, &key).await?.ok_or(StepError::TakenOver)?;
            let event = BackupEvent::Completed { lease, archive: archive.clone() };
            let next = loaded.record.apply(event, self.clock.now()).map_err(|_| StepError::TakenOver)?;
            let mut changes = vec![Change::replace(&loaded, &next)];
            changes.extend(ending::give_allowance_back(&*self.ledger, backup).await?);
            Ok::<_, StepError>(contention::settle(self.ledger.commit(&changes).await, next)?)
        })
        .await?;
        tracing::info!(
            backup.id = %backup.backup_id,
            archive.bytes = archive.bytes,
            backup.seconds = completed.ended_at.map(|end| end.duration_since(completed.created_at).as_secs()),
            "backup.completed"
        );
        Ok(self.queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await?)
    }

    async fn release(&self, backup: &BackupRef, lease: u32, wait: Option<Wait>) -> Result<(), StepError> {
        let released = |_: &Backup| backup::BackupEvent::Released { lease, wait };
        backup_step::apply(&*self.ledger, &*self.clock, backup, released).await.map(|_| ())
    }

    async fn fail(&self, backup: &BackupRef, failure: Failure) -> Result<(), StepError> {
        Ok(ending::fail(&*self.ledger, &*self.queue, &*self.clock, backup, failure).await?)
    }
}

/// The archive's content tag, once it is made.
type Made = Option<ETag>;

fn out_of_attempts() -> Failure {
    Failure::new(
        "assembly-failed",
        "Making the archive failed too often in a row; see the log of assemble-archive, then make a new backup.",
    )
}
