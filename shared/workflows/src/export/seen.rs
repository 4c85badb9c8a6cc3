//! Which records a list has shown that is read from its beginning to its end.
//!
//! Such a list can show a record on two pages, as a conversation moves that gets a message. As long as ids ascend from page
//! to page, nothing is repeated, and the highest id is all that must be known. From the first page on where they do not,
//! all ids are looked up: those of segments that were committed are read back from storage.

use std::collections::HashSet;
use std::ops::Range;

use archive::manifest::Part;
use archive::reader::SliceReader;
use archive::rows::RowReader;
use domain::backup::Backup;
use domain::ids::RecordId;
use domain::object::ReadMode;
use domain::ports::ledger::{self, Versioned};
use domain::ports::storage::CopySource;
use domain::segment::Segment;
use domain::{Failure, FailureKind};

use super::reading::ChunkReading;
use crate::run::StepError;

/// Packed bytes that are read back at once.
const PIECE: u64 = 1024 * 1024;

/// What a run knows of the ids that its chunk has shown.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The highest one of committed segments, and of this run while ids ascend.
    highest: RecordId,
    /// Those of this run that are not committed yet.
    uncommitted: Vec<RecordId>,
    /// All of them, once they do not ascend.
    all: Option<HashSet<RecordId>>,
}

impl Seen {
    /// For a list whose ids have ascended up to `highest`.
    pub(super) fn up_to(highest: RecordId) -> Self {
        Self { highest, ..Self::default() }
    }

    /// For a list whose records came in no order in an earlier run: every id is looked up.
    pub(super) fn unordered() -> Self {
        Self::up_to(RecordId(u64::MAX))
    }

    /// What was read is in a committed segment.
    pub(super) fn committed(&mut self) {
        self.uncommitted.clear();
    }

    /// Whether `ids` only go on from what was seen before.
    fn is_ascending(&self, ids: &[RecordId]) -> bool {
        self.all.is_none() && ids.first().is_none_or(|first| *first > self.highest) && ids.is_sorted_by(|a, b| a < b)
    }

    fn go_on(&mut self, ids: &[RecordId]) {
        self.highest = ids.last().copied().unwrap_or(self.highest);
        self.uncommitted.extend(ids);
    }

    /// The rows of a page that were not seen before, and whether one of them comes behind a higher id.
    fn new_rows(&mut self, ids: &[RecordId]) -> (Vec<Range<usize>>, bool) {
        let all = self.all.get_or_insert_default();
        let mut rows: Vec<Range<usize>> = Vec::new();
        let mut is_unordered = false;
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| all.insert(**id)) {
            is_unordered |= *id < self.highest;
            self.highest = self.highest.max(*id);
            self.uncommitted.push(*id);
            match rows.last_mut() {
                Some(last) if last.end == row => last.end += 1,
                _ => rows.push(row..row + 1),
            }
        }
        (rows, is_unordered)
    }
}

impl ChunkReading<'_> {
    /// Of the accepted `rows` of the present page those whose records were not read before.
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
        let segments: Vec<Versioned<Segment>> = ledger::list(self.export.ledger(), &partition, &prefix).await?;
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
            let packed = self.export.reader.read_source(&source).await?;
            inflate.read(&packed, &mut plain).map_err(|error| damaged(&error))?;
            csv.read(&plain, &mut rows).map_err(|error| damaged(&error))?;
            ids.extend(rows.drain(..).map(|row| row.id));
            plain.clear();
        }
        inflate.finish().map_err(|error| damaged(&error))
    }
}

fn damaged(error: &dyn std::fmt::Display) -> StepError {
    let sentence = format!("A part of the backup that was stored cannot be read back ({error}); make a new backup.");
    StepError::Fatal(Failure::new(FailureKind::SegmentDamaged, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &[u64]) -> Vec<RecordId> {
        of.iter().copied().map(RecordId).collect()
    }

    #[test]
    fn ids_that_ascend_from_page_to_page_need_no_looking_up() {
        let mut seen = Seen::up_to(RecordId(4));
        assert!(seen.is_ascending(&ids(&[5, 9])) && seen.is_ascending(&[]));
        seen.go_on(&ids(&[5, 9]));
        assert!(!seen.is_ascending(&ids(&[9, 10])) && !seen.is_ascending(&ids(&[12, 11])));
    }

    /// A8, A9: a record that comes again is no second row, and one that comes late is not taken for one that comes again.
    #[test]
    fn each_record_is_taken_once_in_whatever_order() {
        let mut seen = Seen { all: Some(ids(&[5, 9]).into_iter().collect()), ..Seen::up_to(RecordId(9)) };
        assert_eq!(seen.new_rows(&ids(&[9, 10, 11, 5, 12])), (vec![1..3, 4..5], false));
        assert_eq!(seen.new_rows(&ids(&[7, 8, 12, 6])), (vec![0..2, 3..4], true));
        assert_eq!(seen.new_rows(&ids(&[7])), (vec![], false));
    }
}
