//! CSV reports of the values that a restore leaves, or has left, unchanged. They can have any length and take several
//! runs: the restore's record names the stored beginning of a report, and the next run continues behind it. Rows that
//! were not yet named there are made again. So no row is missing or doubled, and the bytes are those that a single run
//! would have made.

mod rows;

pub(super) use self::rows::{RowSource, not_restored, skipped};

use domain::ports::storage::StorageError;
use domain::restore::property::RestoredProperty;
use domain::restore::report::ReportProgress;
use domain::restore::{Restore, RestoreEvent};
use domain::storage_keys;
use domain::work::RestoreRef;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use self::rows::{Rows, name_of};
use super::RestoreWork;
use crate::growing_blob::{GrowingBlob, ObjectPorts, StoredBlob};
use crate::run::StepError;
use crate::stored_json;

/// Objects read at the same time. Each has a few MiB.
const READS_AHEAD: usize = 8;

/// The media type for browsers and spreadsheets.
const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// The values that a plan leaves unchanged.
    Skipped,
    /// The values that were not restored.
    Errors,
}

/// A report to make.
pub(super) struct ReportRequest<'a> {
    pub(super) kind: Kind,
    pub(super) restore: &'a Restore,
    /// The lease of the run that makes it.
    pub(super) lease: u32,
    pub(super) properties: &'a [RestoredProperty],
    /// The sources of its rows, the same in every run.
    pub(super) sources: Vec<RowSource>,
}

/// The state of a report after a run.
pub(super) enum Reported {
    /// The report has no rows.
    Nothing,
    /// The report is at this key.
    Made(String),
    /// The run's time is over; the next run continues.
    RunOver,
}

impl Kind {
    fn key(self, restore: &RestoreRef, lease: u32) -> String {
        match self {
            Self::Skipped => storage_keys::plan_skipped(restore, lease),
            Self::Errors => storage_keys::restore_errors(restore, lease),
        }
    }

    fn prefix(self, restore: &RestoreRef) -> String {
        match self {
            Self::Skipped => storage_keys::plan_skipped_prefix(restore),
            Self::Errors => storage_keys::restore_errors_prefix(restore),
        }
    }
}

struct Report<'a> {
    work: &'a RestoreWork,
    wanted: &'a ReportRequest<'a>,
    name: String,
    object: GrowingBlob<'a>,
    /// Sources whose rows are in it.
    done: usize,
}

/// The result of earlier runs.
enum EarlierReport<'a> {
    /// The report is finished, at this key.
    Made(String),
    Begun(Report<'a>),
    /// There is no report that can be continued.
    Nothing,
}

impl RestoreWork {
    /// Makes a report, or the part of it that can be made before `ends`, with at least one further source.
    ///
    /// # Errors
    /// [`StepError`]. A [`StorageError`] that cannot be retried means that the report cannot be made at all.
    pub(super) async fn report(&self, wanted: &ReportRequest<'_>, ends: Timestamp) -> Result<Reported, StepError> {
        if wanted.sources.is_empty() {
            return Ok(Reported::Nothing);
        }
        let mut report = match self.earlier(wanted).await? {
            EarlierReport::Made(key) => return Ok(Reported::Made(key)),
            EarlierReport::Begun(report) => report,
            EarlierReport::Nothing => self.begun(wanted),
        };
        let added = report.add_sources(ends).await;
        let Report { object, .. } = report;
        let upload = object.stored();
        let made = match added {
            Ok(true) => object.finish().await.map(Reported::Made).map_err(|error| of_upload(error).into()),
            Ok(false) => Ok(Reported::RunOver),
            Err(error) => Err(error),
        };
        if made.is_err() {
            self.abort_unless_named(&wanted.restore.reference(), &upload).await;
        }
        made
    }

    fn ports(&self) -> ObjectPorts<'_> {
        ObjectPorts { reader: &*self.reader, writer: &*self.writer, uploads: &*self.uploads }
    }

    fn begun<'a>(&'a self, wanted: &'a ReportRequest<'a>) -> Report<'a> {
        let key = wanted.kind.key(&wanted.restore.reference(), wanted.lease);
        let mut object = GrowingBlob::new(self.ports(), key, CONTENT_TYPE);
        Rows::header(object.buffer());
        Report { work: self, wanted, name: name_of(&wanted.sources), object, done: 0 }
    }

    /// Loads the beginning of the report that the ledger names.
    async fn earlier<'a>(&'a self, wanted: &'a ReportRequest<'a>) -> Result<EarlierReport<'a>, StorageError> {
        let Some(saved) = &wanted.restore.report else { return Ok(EarlierReport::Nothing) };
        let name = name_of(&wanted.sources);
        if saved.sources != name {
            self.abort(saved).await;
            return Ok(EarlierReport::Nothing);
        }
        let object = match self.resumed(saved).await {
            // Only a finished report is at its key, so a run has finished it and died.
            Err(StorageError::Absent(_)) if self.reader.head(&saved.key).await?.is_some() => {
                return Ok(EarlierReport::Made(saved.key.clone()));
            }
            // The lifecycle rules have removed the beginning.
            Err(StorageError::Absent(_)) => {
                self.abort(saved).await;
                return Ok(EarlierReport::Nothing);
            }
            object => object?,
        };
        let done = usize::try_from(saved.done).unwrap_or(usize::MAX);
        Ok(EarlierReport::Begun(Report { work: self, wanted, name, object, done }))
    }

    async fn resumed(&self, saved: &ReportProgress) -> Result<GrowingBlob<'_>, StorageError> {
        let rest = match &saved.rest_key {
            Some(key) => self.reader.read(key, None).await?.to_vec(),
            None => Vec::new(),
        };
        let ReportProgress { key, upload_id, parts, bytes, .. } = saved.clone();
        let stored = StoredBlob { key, upload: upload_id, parts, bytes };
        GrowingBlob::resumed(self.ports(), CONTENT_TYPE, stored, rest).await
    }

    /// Ends the upload of a report, if storage answers. The lifecycle rules remove the rest.
    pub(super) async fn abort(&self, report: &ReportProgress) {
        if let Some(upload) = &report.upload_id
            && let Err(error) = self.uploads.abort(&report.key, upload).await
        {
            tracing::debug!(%error, "restore.report-not-aborted");
        }
    }

    /// The same, unless the ledger names the upload for another run to continue.
    async fn abort_unless_named(&self, restore: &RestoreRef, stored: &StoredBlob) {
        let Some(upload) = &stored.upload else { return };
        let Ok(present) = self.load(restore).await else { return };
        let named = present.record.report.as_ref().and_then(|report| report.upload_id.as_ref());
        if (present.record.state.is_terminal() || named != Some(upload))
            && let Err(error) = self.uploads.abort(&stored.key, upload).await
        {
            tracing::debug!(%error, "restore.report-not-aborted");
        }
    }
}

impl Report<'_> {
    /// Adds the rows of all sources. Returns false if the time was too short for them, or none is left for finishing.
    /// Then the beginning is stored.
    async fn add_sources(&mut self, ends: Timestamp) -> Result<bool, StepError> {
        let (work, wanted) = (self.work, self.wanted);
        let rows = Rows { properties: wanted.properties };
        let left = wanted.sources.get(self.done..).unwrap_or_default();
        let mut reads = stream::iter(left).map(|source| source.read(&*work.reader)).buffered(READS_AHEAD);
        while let Some(read) = reads.next().await {
            rows.of(&read?, self.object.buffer())?;
            self.done += 1;
            let fills_a_part = self.object.fills_a_part();
            if fills_a_part {
                self.write_part().await?;
            }
            let is_over = work.now() >= ends;
            if is_over || fills_a_part {
                self.save().await?;
            }
            if is_over {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn write_part(&mut self) -> Result<(), StorageError> {
        if self.object.stored().upload.is_none() {
            let prefix = self.wanted.kind.prefix(&self.wanted.restore.reference());
            // Left behind by runs that died before the ledger named them. No other run makes this report.
            if let Err(error) = self.work.uploads.abort_all(&prefix).await {
                tracing::warn!(%error, "restore.uploads-not-aborted");
            }
        }
        self.object.write_part().await.map_err(of_upload)
    }

    /// Stores the beginning and names it in the ledger. After a part the buffer is empty, and at the end of a run it is
    /// no longer needed.
    async fn save(&mut self) -> Result<(), StepError> {
        let (reference, lease) = (self.wanted.restore.reference(), self.wanted.lease);
        let done = self.done as u64;
        let rest = std::mem::take(self.object.buffer());
        let mut rest_key = None;
        if !rest.is_empty() {
            let key = rest_key.insert(storage_keys::report_rest(&reference, lease, done));
            stored_json::write_bytes(&*self.work.writer, key, rest).await?;
        }
        let StoredBlob { key, upload: upload_id, parts, bytes } = self.object.stored();
        let report = ReportProgress { sources: self.name.clone(), done, key, upload_id, parts, bytes, rest_key };
        self.work.apply_event(&reference, RestoreEvent::ReportSaved { lease, report }).await?;
        Ok(())
    }
}

/// An upload that ended too early is begun again by the next run.
fn of_upload(error: StorageError) -> StorageError {
    match error {
        StorageError::Absent(_) => StorageError::Unavailable("the report's upload has ended".to_owned()),
        other => other,
    }
}
