//! The work of a lane on one chunk: reading it under its lease, and what follows.

use std::sync::atomic::Ordering;

use domain::chunk::Chunk;
use domain::ids::ChunkKey;
use domain::lease::Leftover;
use domain::ports::crm::CrmError;

use super::ExportUsage;
use super::export_run::ExportRun;
use super::reading::{ChunkReading, ReadingEnd};
use crate::held_lease::HeldLease;
use crate::leased::Aftermath;
use crate::run::StepError;

impl ExportRun<'_> {
    /// Reads the chunk under its lease until its range or the run ends, and cleans up after errors.
    ///
    /// # Errors
    /// [`StepError`] if the clean-up failed. The chunk is due later.
    pub(super) async fn read_chunk(&self, key: &ChunkKey, held: &HeldLease<'_, Chunk>) -> Result<(), StepError> {
        let lease = held.number();
        let mut usage = ExportUsage::default();
        let read = held.during(Box::pin(self.read(key, lease, &mut usage))).await;
        self.records.fetch_add(usage.records, Ordering::Relaxed);
        let read = match read {
            // The run made progress and its time is over, so the unfinished call is no evidence against the CRM.
            Err(StepError::Crm(CrmError { kind, .. }))
                if kind.is_unavailable() && self.now() >= self.run.ends && usage.records > 0 =>
            {
                Ok(ReadingEnd::RunOver)
            }
            other => other,
        };
        let ledger_key = Chunk::key_of(&self.backup.backup_id, key);
        match read {
            Ok(ReadingEnd::RangeRead) => {
                self.close_soon(&key.object_type);
                Ok(())
            }
            Ok(ReadingEnd::RunOver) => {
                self.leases().run_over::<Chunk>(&ledger_key, lease, false, Leftover::Nothing).await
            }
            Ok(ReadingEnd::StartedAgain) => {
                self.standing().changed();
                Ok(())
            }
            Err(error) => self.interrupted(key, lease, &error).await,
        }
    }

    async fn interrupted(&self, key: &ChunkKey, lease: u32, error: &StepError) -> Result<(), StepError> {
        tracing::warn!(%error, backup.id = %self.backup.backup_id, object = %key.object_type, "export.interrupted");
        // If the backup has ended or the object was started again, this error no longer matters.
        if matches!(self.load(key).await, Ok(None)) {
            return Ok(());
        }
        let (leases, patience) = (self.leases(), &self.export.patience);
        let ledger_key = Chunk::key_of(&self.backup.backup_id, key);
        let left = (false, Leftover::Nothing);
        let aftermath = leases.interrupted::<Chunk>(&ledger_key, lease, error, left, patience).await?;
        // Its wait may end before the next list of the chunks.
        self.standing().changed();
        match aftermath {
            Aftermath::Settled => Ok(()),
            Aftermath::Fail(failure) => self.fail(failure).await,
        }
    }

    async fn read(&self, key: &ChunkKey, lease: u32, usage: &mut ExportUsage) -> Result<ReadingEnd, StepError> {
        let Some(subject) = self.load(key).await? else { return Err(StepError::GONE) };
        let columns = self.columns(&subject.object).await?;
        let target = self.look(self.now()).await?.segment_target;
        let session = self.session(subject.api_version).await?;
        ChunkReading::new(self, subject, &columns, target, &*session.crm, lease).through(usage).await
    }
}
