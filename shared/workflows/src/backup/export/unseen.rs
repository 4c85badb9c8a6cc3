//! Finds the records of a page that were not read before. See [`super::seen`].

use std::collections::HashSet;
use std::ops::Range;

use archive::manifest::Part;
use archive::reader::SliceReader;
use archive::rows::RowReader;
use domain::backup::Backup;
use domain::ids::RecordId;
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{self, Versioned};
use domain::ports::storage::CopySource;
use domain::segment::Segment;
use domain::{Failure, FailureKind};

use super::reading::ChunkReading;
use crate::run::StepError;

/// Packed bytes that are read back in one piece.
const PIECE: u64 = 1024 * 1024;

impl ChunkReading<'_> {
    /// Of the accepted `rows` of the present page, those whose records were not read before.
    pub(super) async fn unseen(&mut self, rows: Range<usize>) -> Result<Vec<Range<usize>>, StepError> {
        if self.subject.object.mode == ReadMode::Ranges {
            return Ok(vec![rows]);
        }
        let ids = self.rows.ids()[rows.clone()].to_vec();
        if self.seen.is_ascending(&ids) {
            self.seen.go_on(&ids);
            return Ok(vec![rows]);
        }
        if self.seen.all.is_none() {
            let mut all = self.committed_ids().await?;
            all.extend(&self.seen.uncommitted);
            self.seen.all = Some(all);
        }
        let (unseen, is_unordered) = self.seen.new_rows(&ids);
        self.shortfall.unordered |= is_unordered;
        Ok(unseen.into_iter().map(|part| part.start + rows.start..part.end + rows.start).collect())
    }

    /// The ids of all records of the chunk's committed segments.
    async fn committed_ids(&self) -> Result<HashSet<RecordId>, StepError> {
        let chunk = &self.subject.chunk.record;
        let partition = Backup::partition(&chunk.backup_id);
        let prefix = Segment::prefix(&chunk.key.object_type, chunk.key.generation);
        let segments: Vec<Versioned<Segment>> = ledger::list(self.export_run.ledger(), &partition, &prefix).await?;
        let mut ids = HashSet::new();
        for segment in segments.into_iter().map(|segment| segment.record) {
            self.read_ids(&segment, &mut ids).await?;
        }
        Ok(ids)
    }

    async fn read_ids(&self, segment: &Segment, ids: &mut HashSet<RecordId>) -> Result<(), StepError> {
        let summary = &segment.summary;
        let part = Part {
            offset: 0,
            length: summary.plain_bytes,
            rows: summary.rows,
            first_id: Some(summary.first_id),
            last_id: Some(summary.last_id),
            crc32: summary.crc32,
            sha256: summary.sha256.clone(),
            place: None,
        };
        let columns = usize::try_from(self.subject.object.column_count).unwrap_or(usize::MAX);
        let (mut inflate, mut csv) = (SliceReader::new(&part), RowReader::new(columns, &[], 0));
        let (mut plain, mut rows) = (Vec::new(), Vec::new());
        let mut next = 0;
        while next < summary.packed_bytes {
            let range = next..summary.packed_bytes.min(next + PIECE);
            next = range.end;
            let source = CopySource { key: segment.storage_key.clone(), etag: segment.etag.clone(), range };
            let packed = self.export_run.export.reader.read_source(&source).await?;
            inflate.read(&packed, &mut plain).map_err(|error| damaged(&error))?;
            csv.read(&plain, &mut rows).map_err(|error| damaged(&error))?;
            ids.extend(rows.drain(..).map(|row| row.id));
            plain.clear();
        }
        inflate.finish().map_err(|error| damaged(&error))
    }
}

fn damaged(error: &dyn std::fmt::Display) -> StepError {
    let sentence = format!("A stored part of the backup cannot be read ({error}). Make a new backup.");
    StepError::Fatal(Failure::new(FailureKind::SegmentDamaged, sentence))
}
