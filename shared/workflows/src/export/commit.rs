//! Commits what a run has read: one segment and the chunk's cursor in one transaction.

use domain::chunk::{Advance, Chunk, RangeEnd};
use domain::object::{Committed, ObjectExport, Shortfall};
use domain::ports::crm::Cursor;
use domain::ports::ledger::{self, Change, LedgerError, Versioned};
use domain::segment::Segment;

use super::ExportUsage;
use super::reading::Reading;
use super::segment_upload::SegmentUpload;
use crate::contention::{self, Attempt};
use crate::run::StepError;

impl Reading<'_> {
    /// Finishes the segment and commits it with the cursor, and with the end of the range if that was reached.
    pub(super) async fn commit(
        &mut self,
        segment: SegmentUpload<'_>,
        from: Cursor,
        end: Option<RangeEnd>,
        usage: &mut ExportUsage,
    ) -> Result<(), StepError> {
        let (rows, pages) = (segment.rows(), segment.pages);
        if rows == 0 && end.is_none() && self.cursor == from {
            return Ok(());
        }
        let written = if rows > 0 { Some(segment.finish().await?) } else { None };
        let step = Advance {
            lease: self.lease,
            from,
            to: self.cursor.clone(),
            trail: self.trail.clone(),
            last_id: self.last_id,
            rows,
            first_seen: self.first_seen,
            end,
        };
        let chunk = &self.subject.chunk.record;
        let next = chunk.advance(&step).map_err(|_| StepError::TakenOver)?;
        let segment = written.map(|(storage_key, etag, summary)| Segment {
            backup_id: chunk.backup_id.clone(),
            object_type: chunk.key.object_type.clone(),
            generation: chunk.key.generation,
            lower: chunk.key.lower,
            sequence: chunk.next_sequence,
            attempt: self.lease,
            storage_key,
            etag,
            summary,
        });
        let added = Committed {
            records: rows,
            pages,
            plain_bytes: segment.as_ref().map_or(0, |segment| segment.summary.plain_bytes),
            packed_bytes: segment.as_ref().map_or(0, |segment| segment.summary.packed_bytes),
            segment: segment.is_some(),
            chunk_done: end.is_some(),
            shortfall: self.shortfall.clone(),
        };
        self.commit_step(&next, segment.as_ref(), &added).await?;
        self.shortfall = Shortfall::default();
        usage.records += rows;
        if end.is_none() {
            self.reload_chunk().await?;
        }
        Ok(())
    }

    async fn commit_step(&self, next: &Chunk, segment: Option<&Segment>, added: &Committed) -> Result<(), StepError> {
        let ledger = self.export.ledger();
        contention::retry(|| async {
            let object = self.load_object().await?;
            let now = self.export.sessions.clock.now();
            let counted = object.record.commit(next.key.generation, added, now).map_err(|_| StepError::TakenOver)?;
            let mut changes = vec![Change::replace(&self.subject.chunk, next), Change::replace(&object, &counted)];
            changes.extend(segment.map(Change::create));
            self.settle(ledger.commit(&changes).await).await
        })
        .await
    }

    /// On a conflict: the object's record is busy, which passes, or the chunk is not ours any more.
    pub(super) async fn settle(&self, answer: Result<(), LedgerError>) -> Result<Attempt<()>, StepError> {
        if answer != Err(LedgerError::Conflict) {
            return Ok(contention::settle(answer, ())?);
        }
        let key = self.subject.chunk.record.key.ledger_key(&self.subject.backup.backup_id);
        match self.export.ledger().get(&key).await? {
            Some(stored) if stored.version == self.subject.chunk.version => Ok(Attempt::Lost),
            _ => Err(StepError::TakenOver),
        }
    }

    pub(super) async fn load_object(&self) -> Result<Versioned<ObjectExport>, StepError> {
        let chunk = &self.subject.chunk.record;
        let key = ObjectExport::key_of(&chunk.backup_id, &chunk.key.object_type);
        ledger::load(self.export.ledger(), &key).await?.ok_or(StepError::TakenOver)
    }
}
