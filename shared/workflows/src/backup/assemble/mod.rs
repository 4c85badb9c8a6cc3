//! assemble-archive: computes the layout of the zip from the segments, makes the zip inside object storage, checks it,
//! and completes the backup.
//!
//! The layout is a pure function of the ledger and of the time at which it was settled. So a run that takes over makes
//! the same bytes and continues the upload named in the ledger.

mod sweep;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archive::contents::{self, ArchiveContents, ExportedObject};
use archive::layout::StoredSegment;
use archive::parts;
use domain::backup::{ARCHIVE_LIFETIME, Archive, Assembly, Backup, BackupEvent, BackupState};
use domain::notification::{Event, Notification, Shortfalls};
use domain::object::Verdict;
use domain::ports::clock::Clock;
use domain::ports::ledger::{Change, Ledger};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::{BlobReader, BlobSweeper, BlobWriter, ETag, MultipartUploads, StorageError};
use domain::storage_keys;
use domain::work::{BackupRef, Work};
use domain::{Failure, FailureKind};
use jiff::{SignedDuration, Timestamp};

use crate::backup::assemble::upload::Upload;
use crate::backup::dispatch;
use crate::backup::ending;
use crate::backup::step::BackupStep;
use crate::connection_fault;
use crate::contention;
use crate::notify;
use crate::run::{Patience, Run, StepError};
use crate::stored_json;

const ZIP: &str = "application/zip";

/// The first pause before a step is repeated after a failure of our own services. Assembling does not call the CRM.
const PATIENCE: Patience = Patience { first_pause: Duration::from_secs(10), outage: SignedDuration::ZERO };

/// Assembles archives, and removes data of backups that have ended.
pub struct Assemble {
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
    /// Reads columns, segments and the finished archive.
    pub reader: Arc<dyn BlobReader>,
    /// Writes manifests and small archives.
    pub writer: Arc<dyn BlobWriter>,
    pub uploads: Arc<dyn MultipartUploads>,
    /// Removes the data that an ended backup no longer needs.
    pub sweeper: Arc<dyn BlobSweeper>,
}

enum Assembled {
    Completed,
    /// The run's time ended first.
    RunOver,
}

impl Assemble {
    fn step<'a>(&'a self, backup: &'a BackupRef) -> BackupStep<'a> {
        BackupStep { ledger: &*self.ledger, queue: &*self.queue, clock: &*self.clock, backup }
    }

    /// Assembles the archive of `backup`, or continues an earlier run's work.
    ///
    /// # Errors
    pub async fn run(&self, backup: &BackupRef, run: &Run) -> Result<(), StepError> {
        let step = self.step(backup);
        let Some(loaded) = step.load().await? else { return Ok(()) };
        if loaded.record.state != BackupState::Assembling {
            return step.sweep_if_ended().await;
        }
        let Some(held) = step.lease(&loaded, run, out_of_attempts).await? else { return Ok(()) };
        let progressed = AtomicBool::new(false);
        let assembled = held.during(self.assemble(backup, held.number(), run, &progressed)).await;
        let held = held.number();
        let progressed = progressed.load(Ordering::Relaxed);
        match assembled {
            Ok(Assembled::Completed) => Ok(()),
            Ok(Assembled::RunOver) => step.run_over(held, progressed).await,
            Err(error) => {
                tracing::warn!(%error, backup.id = %backup.backup_id, "assembly.interrupted");
                step.interrupted(held, &error, progressed, &PATIENCE).await
            }
        }
    }

    async fn assemble(
        &self,
        backup: &BackupRef,
        lease: u32,
        run: &Run,
        progressed: &AtomicBool,
    ) -> Result<Assembled, StepError> {
        let record = self.step(backup).load().await?.ok_or(StepError::GONE)?.record;
        let objects = self.exported(&record).await?;
        let planned_at = record.assembly.as_ref().map_or_else(|| self.clock.now(), |assembly| assembly.planned_at);
        let short = Short::of(&objects);
        let contents = contents::lay_out(&record, objects, planned_at).map_err(|error| {
            StepError::Fatal(Failure::new(
                FailureKind::ArchiveInconsistent,
                format!("The layout of the archive cannot be computed: {error}."),
            ))
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
                    // The upload ended without an archive, perhaps by the lifecycle rule: begin again.
                    self.step(backup).apply(BackupEvent::AssemblyDropped { lease }).await?;
                    return Err(StorageError::Unavailable("the archive's upload has ended".to_owned()).into());
                }
                other => other?,
            },
        };
        let Some(etag) = made else { return Ok(Assembled::RunOver) };
        upload.check().await?;
        let manifest_key = storage_keys::manifest(backup, assembly.attempt);
        stored_json::write_bytes(&*self.writer, &manifest_key, contents.manifest.to_json()).await?;
        // From the beginning of the upload, as the bucket's lifecycle rule counts.
        let expires_at = assembly.planned_at + ARCHIVE_LIFETIME;
        let archive = Archive { storage_key: key, manifest_key, etag, bytes: contents.bytes, expires_at };
        let shortfalls = Shortfalls::of(&contents.manifest.missing, short.labels);
        self.complete(backup, lease, archive, (&shortfalls, short.by_verdict)).await?;
        Ok(Assembled::Completed)
    }

    /// Decides the key and the upload of the archive, and stores them before anything else happens.
    async fn settle(
        &self,
        backup: &BackupRef,
        contents: &ArchiveContents,
        lease: u32,
        planned_at: Timestamp,
    ) -> Result<Assembly, StepError> {
        let key = storage_keys::archive(backup, lease);
        let upload_id =
            if parts::is_one_write(contents.bytes) { None } else { Some(self.uploads.begin(&key, ZIP).await?) };
        let assembly = Assembly { attempt: lease, upload_id, planned_at };
        let planned = BackupEvent::AssemblyPlanned { lease, assembly: assembly.clone() };
        self.step(backup).apply(planned).await?;
        Ok(assembly)
    }

    /// All exported objects with their columns and segments, in order of their names.
    async fn exported(&self, backup: &Backup) -> Result<Vec<ExportedObject>, StepError> {
        let mut exported = Vec::new();
        for export in dispatch::objects(&*self.ledger, &backup.backup_id).await? {
            let segments = dispatch::present_segments(&*self.ledger, &export).await?;
            let segments = segments.into_iter().map(StoredSegment::from).collect();
            let columns = stored_json::read(&*self.reader, &export.columns_key).await?;
            exported.push(ExportedObject { export, columns, segments });
        }
        Ok(exported)
    }

    /// In one transaction: completes the backup, uses up the account's allowance unless the backup is short and may be
    /// repeated, and creates the notification.
    async fn complete(
        &self,
        backup: &BackupRef,
        lease: u32,
        archive: Archive,
        (shortfalls, is_short): (&Shortfalls, bool),
    ) -> Result<(), StepError> {
        let (completed, notification) = contention::retry(|| async {
            let step = self.step(backup);
            let loaded = step.load().await?.ok_or(StepError::GONE)?;
            let next = step.after(&loaded, BackupEvent::Completed { lease, archive: archive.clone() })?;
            let (allowance, counts) = ending::use_allowance_up(&*self.ledger, backup, is_short).await?;
            let notification = completed(&next, &archive, (shortfalls.clone(), !counts), self.clock.now());
            let mut changes = vec![Change::replace(&loaded, &next), Change::create(&notification)];
            changes.extend(allowance);
            changes.extend(connection_fault::forgotten(&*self.ledger, &backup.account_id).await?);
            Ok::<_, StepError>(contention::settle(self.ledger.commit(&changes).await, (next, notification))?)
        })
        .await?;
        tracing::info!(
            backup.id = %backup.backup_id,
            archive.bytes = archive.bytes,
            backup.seconds = completed.ended_at.map(|end| end.duration_since(completed.created_at).as_secs()),
            "backup.completed"
        );
        notify::announce_soon(&*self.queue, &notification).await;
        Ok(self.queue.send(&[Work::Sweep { backup: backup.clone() }], Duration::ZERO).await?)
    }
}

struct Short {
    /// Labels of objects of which fewer records were found, readable or not, than the CRM counts.
    labels: Vec<String>,
    /// Whether any object's verdict is short, for any reason.
    by_verdict: bool,
}

impl Short {
    fn of(objects: &[ExportedObject]) -> Self {
        let exports = || objects.iter().map(|object| &object.export);
        let short = exports().filter(|export| export.verdict_of_found(export.counts) == Verdict::Short);
        Self {
            labels: short.map(|export| export.definition.label.clone()).collect(),
            by_verdict: exports().any(|export| export.verdict(export.counts) == Verdict::Short),
        }
    }
}

fn completed(
    backup: &Backup,
    archive: &Archive,
    (shortfalls, another_allowed): (Shortfalls, bool),
    now: Timestamp,
) -> Notification {
    let event = Event::BackupCompleted {
        backup_id: backup.backup_id.clone(),
        bytes: archive.bytes,
        expires_at: archive.expires_at,
        contains_sensitive_data: backup.contains_sensitive_data.unwrap_or(false),
        shortfalls,
        another_allowed,
    };
    let (account, requester) = (backup.account_id.clone(), Some(backup.created_by.clone()));
    Notification::new(account, backup.backup_id.random(), event, requester, now)
}

/// The archive's `ETag`, once it is made.
type Made = Option<ETag>;

fn out_of_attempts() -> Failure {
    Failure::new(
        FailureKind::AssemblyFailed,
        "Making the archive failed too often in a row. Ask the operator to look at the log of assemble-archive, then \
         make a new backup.",
    )
}

#[cfg(test)]
mod tests;
