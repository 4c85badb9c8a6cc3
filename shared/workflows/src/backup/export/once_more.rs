//! Reopens chunks with missing records.

use domain::backup::Backup;
use domain::chunk::Chunk;
use domain::object::{ObjectExport, Voided};
use domain::ports::crm::Crm;
use domain::ports::ledger::{self, Change, LedgerError, MAX_CHANGES, Versioned};
use domain::segment::Segment;

use super::export_run::ExportRun;
use super::proof::{OnceMore, Reread};
use crate::run::StepError;

/// The most chunks that one transaction reopens with their object. Missing parts of other chunks are found when the
/// object is closed the next time.
const MOST_CHUNKS: usize = MAX_CHANGES - 10;

impl ExportRun<'_> {
    /// Marks parts of an object's chunks to be read once more.
    pub(super) async fn read_once_more(
        &self,
        crm: &dyn Crm,
        object: &Versioned<ObjectExport>,
        chunks: &[Versioned<Chunk>],
        once_more: &OnceMore,
    ) -> Result<(), StepError> {
        let name = &object.record.definition.object_type;
        tracing::warn!(backup.id = %object.record.backup_id, object = %name, chunks = once_more.len(), "object.once-more");
        let (mut changes, mut void) = (Vec::new(), Voided::default());
        let (mut gone_on, mut again) = (0, Vec::new());
        for (place, part) in once_more.iter().take(MOST_CHUNKS) {
            let Some(chunk) = chunks.get(*place) else { continue };
            let above = if *part == Reread::Rest { chunk.record.committed_to } else { chunk.record.key.lower };
            let expected = crm.count_in(name, above, chunk.record.upper).await?;
            let opened = match part {
                Reread::Rest => {
                    gone_on += 1;
                    chunk.record.go_on(expected)
                }
                Reread::Whole => {
                    self.void(&chunk.record, &mut void).await?;
                    again.push(chunk.record.clone());
                    chunk.record.read_again(expected)
                }
            };
            changes.push(Change::replace(chunk, &opened?));
        }
        let now = self.now();
        let opened = object.record.reopen(object.record.generation, gone_on, &again, &void, now);
        changes.push(Change::replace(object, &opened?));
        match self.ledger().commit(&changes).await {
            // Another run has handled the object meanwhile, and queued the next step.
            Err(LedgerError::Conflict) => return Ok(()),
            other => other?,
        }
        self.standing().changed();
        Ok(())
    }

    /// Adds the chunk's valid segments to the voided ones.
    async fn void(&self, chunk: &Chunk, void: &mut Voided) -> Result<(), StepError> {
        let partition = Backup::partition(&chunk.backup_id);
        let prefix = Segment::prefix_of_chunk(&chunk.key);
        let segments: Vec<Versioned<Segment>> = ledger::list(self.ledger(), &partition, &prefix).await?;
        let present = segments.iter().map(|segment| &segment.record);
        present.filter(|segment| segment.sequence >= chunk.again.first_segment).for_each(|segment| void.add(segment));
        Ok(())
    }
}
