//! export-chunk: reads id ranges of objects into segments.
//!
//! A message names one chunk. The run that gets it reads that chunk and then others of the same backup, several side by
//! side in [`lanes`]. Each chunk is read under a lease of its own: pages go into a growing segment, and the segment is
//! committed together with the chunk's cursor in one transaction. So a page is either in exactly one committed segment
//! or is read again, and a run that dies loses at most one segment of each lane.

mod bound_search;
mod candidates;
mod chunk_work;
mod close_object;
mod commit;
mod export_run;
mod fallback;
mod lane_count;
mod lanes;
mod next_page;
mod once_more;
mod proof;
mod range;
mod reading;
mod seen;
mod segment_size;
mod segment_upload;
mod shortfall;
mod split;
mod unseen;

use std::sync::Arc;

use domain::account::ApiVersion;
use domain::chunk::{Chunk, ChunkState};
use domain::ids::{ChunkKey, ObjectType};
use domain::lease::Leftover;
use domain::lease::{Leasing, NotLeased, Wait};
use domain::object::ObjectExport;
use domain::ports::ledger::{Ledger, Versioned};
use domain::ports::queue::WorkQueue;
use domain::ports::storage::{BlobReader, BlobWriter, MultipartUploads};
use domain::work::{BackupRef, Work};
use domain::{Failure, FailureKind, Refused};
use jiff::{SignedDuration, Timestamp};

use crate::backup::dispatch::{self, RunCap};
use crate::backup::ending;
use crate::backup::export::export_run::ExportRun;
use crate::call_gate::GateUsage;
use crate::crm_session::CrmSessions;
use crate::held_lease::Wished;
use crate::leased::Leasable;
use crate::run::{Patience, Run, StepError};

/// The most chunks that one run reads at a time. 25 calls a second at 800 ms need 20 for the answers alone, and more to
/// pack and store what they contain.
pub const MOST_LANES: usize = 32;

/// Exports chunks: reads their records from the CRM and stores them as segments.
pub struct Export {
    /// Opens the CRM. The rest of the work uses its ledger and clock too.
    pub sessions: CrmSessions,
    pub queue: Arc<dyn WorkQueue>,
    pub reader: Arc<dyn BlobReader>,
    pub writer: Arc<dyn BlobWriter>,
    pub uploads: Arc<dyn MultipartUploads>,
    /// The most runs for one backup. A second one only starts if the first cannot use the CRM's rate up.
    pub cap: RunCap,
    /// The most chunks that a run reads at a time, usually [`MOST_LANES`].
    pub lanes: usize,
    pub patience: Patience,
}

/// The work of a run of export-chunk, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExportUsage {
    pub records: u64,
    pub gate: GateUsage,
}

/// The records that a lane works on, as loaded at its start.
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

    /// Works on one chunk, and on others of its backup, until they are done or the run ends.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn run(&self, backup: &BackupRef, key: &ChunkKey, run: &Run) -> Result<ExportUsage, StepError> {
        let export_run = ExportRun::new(self, backup, run);
        let Some(subject) = export_run.load(key).await? else {
            // The run that closed the object, or started it again, may have died before it took another chunk.
            self.dispatch(backup).await?;
            // A run before this one may have written after the sweep, and failed before it asked for another.
            ending::sweep_if_ended(self.ledger(), &*self.queue, backup).await?;
            return Ok(ExportUsage::default());
        };
        match subject.chunk.record.state {
            ChunkState::Waiting => return Ok(ExportUsage::default()),
            ChunkState::Done => {
                // The run that finished it may have died before it tried to close the object.
                export_run.close_object(&key.object_type).await?;
                self.hand_over(backup).await?;
                return Ok(export_run.usage());
            }
            ChunkState::Ready => {}
        }
        if export_run.runs_beside(key).await? >= self.cap.0 {
            return Ok(ExportUsage::default());
        }
        let held = match export_run.leases().take(&subject.chunk, &run.owner).await? {
            Wished::Leased(held) => held,
            Wished::Nothing => return Ok(ExportUsage::default()),
            Wished::OutOfAttempts => {
                export_run.fail(out_of_attempts(&subject.object)).await?;
                return Ok(ExportUsage::default());
            }
        };
        export_run.standing().note_left(key, subject.chunk.record.expected_left());
        let worked = export_run.work_from(key.clone(), held).await;
        ending::sweep_if_ended(self.ledger(), &*self.queue, backup).await?;
        self.hand_over(backup).await?;
        worked.map(|()| export_run.usage())
    }

    /// Closes the object if all its chunks are done. Repeated and simultaneous calls are safe.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn close_object(&self, backup: &BackupRef, object: &ObjectType, run: &Run) -> Result<(), StepError> {
        ExportRun::new(self, backup, run).close_object(object).await?;
        self.hand_over(backup).await
    }

    async fn dispatch(&self, backup: &BackupRef) -> Result<(), StepError> {
        dispatch::dispatch(self.ledger(), &*self.queue, &*self.sessions.clock, backup, RunCap(1)).await
    }

    async fn hand_over(&self, backup: &BackupRef) -> Result<(), StepError> {
        dispatch::hand_over(self.ledger(), &*self.queue, &*self.sessions.clock, backup).await
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
