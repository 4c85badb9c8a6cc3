//! Commits one segment and the chunk's cursor in one transaction.

use domain::Refused;
use domain::chunk::{Advance, Chunk, RangeEnd};
use domain::object::{Committed, ObjectExport, Shortfall};
use domain::ports::crm::Cursor;
use domain::ports::ledger::{self, Change, Versioned};
use domain::segment::Segment;

use super::ExportUsage;
use super::reading::ChunkReading;
use super::segment_upload::SegmentUpload;
use crate::contention;
use crate::run::StepError;

impl ChunkReading<'_> {
    /// Finishes the segment and commits it with the cursor, and with the end of the range if it was reached.
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
            hidden_values: self.shortfall.hidden_values.clone(),
            mended_values: self.shortfall.mended_values,
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
        let next = self.commit_step(&step, segment.as_ref(), &added).await?;
        self.subject.chunk.record = next;
        self.subject.object.unreadable.append(&mut self.shortfall.unreadable);
        self.shortfall = Shortfall::default();
        self.seen.committed();
        usage.records += rows;
        Ok(())
    }

    async fn commit_step(
        &self,
        step: &Advance,
        segment: Option<&Segment>,
        added: &Committed,
    ) -> Result<Chunk, StepError> {
        let ledger = self.export_run.ledger();
        contention::retry(|| async {
            let (chunk, object) = futures_util::future::try_join(self.load_chunk(), self.load_object()).await?;
            let now = self.export_run.now();
            let next = chunk.record.advance(step)?;
            let counted = object.record.commit(next.key.generation, added, now)?;
            let mut changes = vec![Change::replace(&chunk, &next), Change::replace(&object, &counted)];
            changes.extend(segment.map(Change::create));
            Ok::<_, StepError>(contention::settle(ledger.commit(&changes).await, next)?)
        })
        .await
    }

    /// Changes the chunk. Renewals of the lease change it at the same time.
    pub(super) async fn change_chunk(
        &mut self,
        change: impl Fn(&Chunk) -> Result<Chunk, Refused>,
    ) -> Result<(), StepError> {
        let next = contention::retry(|| async {
            let chunk = self.load_chunk().await?;
            let next = change(&chunk.record)?;
            let answer = self.export_run.ledger().commit(&[Change::replace(&chunk, &next)]).await;
            Ok::<_, StepError>(contention::settle(answer, next)?)
        })
        .await?;
        self.subject.chunk.record = next;
        Ok(())
    }

    /// The chunk in the ledger, while this run has the lease.
    pub(super) async fn load_chunk(&self) -> Result<Versioned<Chunk>, StepError> {
        let key = Chunk::key_of(&self.subject.backup.backup_id, &self.subject.chunk.record.key);
        let loaded = ledger::load::<Chunk>(self.export_run.ledger(), &key).await?;
        loaded.filter(|chunk| chunk.record.leasing.is_held_by(self.lease)).ok_or(StepError::GONE)
    }

    pub(super) async fn load_object(&self) -> Result<Versioned<ObjectExport>, StepError> {
        let chunk = &self.subject.chunk.record;
        let key = ObjectExport::key_of(&chunk.backup_id, &chunk.key.object_type);
        ledger::load(self.export_run.ledger(), &key).await?.ok_or(StepError::GONE)
    }
}
