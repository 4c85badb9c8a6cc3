//! Decides where to split a chunk, so that all lanes of a run have work.
//!
//! Ids are clumpy: equal ranges of ids contain very unequal numbers of records. So bounds are found by searching the
//! CRM for the id a given number of records ahead. One search reaches far enough for some seconds of all lanes, so
//! every bound takes one search, and a large chunk is split again when its parts have been taken. The lane reads on
//! while the bounds are searched, and uses those that were found after each page.

use domain::chunk::{Chunk, ExpectedRecords, ReadSoFar};
use domain::ids::RecordId;
use domain::ports::crm::PageSource;
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{Change, MAX_CHANGES};
use jiff::{SignedDuration, Timestamp};

use super::bound_search::{Bound, BoundSearch, BoundsAhead, Promise};
use super::candidates::Candidate;
use super::reading::ChunkReading;
use crate::contention;
use crate::run::StepError;

/// The longest time that one search for bounds takes.
const LONGEST_SEARCH: SignedDuration = SignedDuration::from_secs(15);

/// How long a run does not split after a search that failed or took too long.
const NO_SPLIT_FOR: SignedDuration = SignedDuration::from_mins(1);

/// A part of a split has at least this many records: six pages. In smaller parts the calls for a boundary cost too much.
const SMALLEST_PART: u64 = 600;

/// The parts that the first chunk keeps if it reads the list and all others search. Its calls use another limit than
/// theirs, so it should work as long as they do.
const LIST_SHARE: u64 = 2;

/// Two lanes whose records left differ by less than this have about as many.
const ABOUT: u64 = 2_000;

/// A split puts its new chunks into one transaction with the old one and their object.
const MOST_PARTS: u64 = MAX_CHANGES as u64 - 10;

impl<'a> ChunkReading<'a> {
    /// Gives parts of the chunk to lanes without work, if there are any and it pays: begins to search for bounds, or
    /// splits at those that were found. A search that fails does not stop the reading.
    pub(super) async fn split_if_it_pays(&mut self, so_far: ReadSoFar, now: Timestamp) -> Result<(), StepError> {
        if let Some(search) = self.search.take() {
            self.search = self.split_as_found(search, so_far, now).await?;
        }
        let left = self.left(so_far);
        self.export_run.standing().note_left(&self.subject.chunk.record.key, left);
        if self.search.is_none() {
            self.search = self.search_for(left.unwrap_or(0), so_far, now);
        }
        Ok(())
    }

    /// About how many records are left to read. None if the chunk cannot be split.
    fn left(&self, so_far: ReadSoFar) -> Option<u64> {
        let chunk = &self.subject.chunk.record;
        let expected = chunk.expected_records.filter(|_| self.subject.object.mode == ReadMode::Ranges);
        expected.map(|expected| expected.saturating_sub(chunk.records + so_far.records))
    }

    /// A search for bounds. None if splitting does not pay.
    fn search_for(&self, left: u64, so_far: ReadSoFar, now: Timestamp) -> Option<BoundSearch<'a>> {
        if self.no_split_before.is_some_and(|at| now < at) {
            return None;
        }
        let own = &self.subject.chunk.record;
        let parts = {
            let standing = self.export_run.standing();
            wanted_parts(left, standing.left_beside(&own.key), standing.without_work())
        };
        if parts < 2 {
            return None;
        }
        let (crm, object) = (self.crm, own.key.object_type.clone());
        let kept = if self.reads_the_list_beside_searches() { LIST_SHARE } else { 1 };
        let farthest = u64::from(crm.model().call_sizes(&object).farthest);
        // More parts would be too small within the reach of a search.
        let parts = parts.min((farthest / SMALLEST_PART + 2).saturating_sub(kept)).max(2);
        // The parts up to the last bound.
        let below = parts - 2 + kept;
        let each = (left / (below + 1)).min(farthest / below);
        let source = if kept == LIST_SHARE { PageSource::Search } else { self.way().source };
        let page = u64::from(crm.model().call_sizes(&object).page(source));
        let each = whole_pages(each, page, farthest.min(left.saturating_sub(each / 2)) / below);
        let ahead = (0..parts - 1).map(|part| u16::try_from(each * (kept + part)).unwrap_or(u16::MAX)).collect();
        let wish = BoundsAhead { object, read_to: self.last_id, ahead };
        let promise = Promise::of(self.export_run, usize::try_from(parts - 1).unwrap_or(0));
        let counts = (own.records + so_far.records, each);
        Some(BoundSearch::begin(crm, wish, promise, counts, now + LONGEST_SEARCH))
    }

    /// Splits the chunk at the bounds that were found since the last look. Returns the search if it goes on.
    async fn split_as_found(
        &mut self,
        mut search: BoundSearch<'a>,
        so_far: ReadSoFar,
        now: Timestamp,
    ) -> Result<Option<BoundSearch<'a>>, StepError> {
        if let Some(points) = self.points(&mut search, so_far) {
            let chunks = self.split(&points, so_far, now).await?;
            self.export_run.add(chunks, &mut search.promise).await;
        }
        let why = match search.ended.take() {
            None if now < search.ends => return Ok(Some(search)),
            Some(Ok(())) if search.promise.served > 0 => return Ok(None),
            // The search index has fewer records than were counted, or the lane was faster.
            Some(Ok(())) => "no bound was found ahead of the lane".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "the search takes long".to_owned(),
        };
        tracing::info!(why, object = %self.subject.chunk.record.key.object_type, "export.split-broke-off");
        self.no_split_before = Some(now + NO_SPLIT_FOR);
        Ok(None)
    }

    /// The points for a split at the bounds found since the last look. None if the lane has read past all of them.
    fn points(&self, search: &mut BoundSearch<'_>, so_far: ReadSoFar) -> Option<SplitPoints> {
        let chunk = &self.subject.chunk.record;
        let read_since = (chunk.records + so_far.records).saturating_sub(search.read_before);
        let left = self.left(so_far).unwrap_or(0);
        let found = std::mem::take(&mut search.found);
        SplitPoints::at(found, (self.last_id, chunk.upper), (left, read_since, search.each))
    }

    /// Splits the chunk at the bounds. Returns the chunks that were made.
    async fn split(
        &mut self,
        found: &SplitPoints,
        so_far: ReadSoFar,
        now: Timestamp,
    ) -> Result<Vec<Candidate>, StepError> {
        let own = &self.subject.chunk.record;
        if found.bounds.is_empty() || own.split(self.lease, self.last_id, &found.bounds, found.expected(), now).is_err()
        {
            return Ok(Vec::new());
        }
        let (left_part, right) = self.commit_split(found, so_far, now).await?;
        self.subject.chunk.record = left_part;
        Ok(right.iter().map(Candidate::of).collect())
    }

    /// Returns the rest of the chunk, and the chunks that were made.
    async fn commit_split(
        &self,
        found: &SplitPoints,
        so_far: ReadSoFar,
        now: Timestamp,
    ) -> Result<(Chunk, Vec<Chunk>), StepError> {
        let expected = found.expected();
        contention::retry(|| async {
            let (chunk, object) = futures_util::future::try_join(self.load_chunk(), self.load_object()).await?;
            let reported = chunk.record.reading(self.lease, so_far)?;
            let (left_part, right) = reported.split(self.lease, self.last_id, &found.bounds, expected, now)?;
            let more = u32::try_from(right.len()).unwrap_or(u32::MAX);
            let counted = object.record.split(left_part.key.generation, more, now)?;
            let mut changes = vec![Change::replace(&chunk, &left_part), Change::replace(&object, &counted)];
            changes.extend(right.iter().map(Change::create));
            let answer = self.export_run.ledger().commit(&changes).await;
            Ok::<_, StepError>(contention::settle(answer, (left_part, right))?)
        })
        .await
    }
}

struct SplitPoints {
    /// Records left to read.
    left: u64,
    /// Of these, in the lane's own part.
    own: u64,
    /// In each part but the last, which has the rest.
    each: u64,
    bounds: Vec<RecordId>,
}

impl SplitPoints {
    /// The points at those of the bounds that are inside the range from the highest id read to the upper bound. `left`,
    /// `read_since` and `each` are numbers of records: those left in the chunk, those read since the search began, and
    /// those between two bounds.
    fn at(
        mut found: Vec<Bound>,
        (last_id, upper): (RecordId, Option<RecordId>),
        (left, read_since, each): (u64, u64, u64),
    ) -> Option<Self> {
        found.retain(|bound| bound.id > last_id && upper.is_none_or(|upper| bound.id < upper));
        found.sort_unstable_by_key(|bound| bound.id);
        found.dedup_by_key(|bound| bound.id);
        let own = found.first()?.ahead.saturating_sub(read_since);
        Some(Self { left, own, each, bounds: found.into_iter().map(|bound| bound.id).collect() })
    }

    fn expected(&self) -> ExpectedRecords {
        ExpectedRecords { above: self.left, own: self.own, each: self.each }
    }
}

/// About `each` records, at most `most`: two less than whole pages have. A part's last page then has room for the first
/// record of the next part, which proves the boundary. And some lists begin with the last record of the part before.
fn whole_pages(each: u64, page: u64, most: u64) -> u64 {
    let nearest = (each + 2 + page / 2) / page.max(1);
    let whole = [nearest, nearest.saturating_sub(1)].map(|pages| (pages * page).saturating_sub(2));
    whole.into_iter().find(|whole| (1..=most).contains(whole)).unwrap_or(each)
}

/// The number of parts into which a lane with `left` records to read should split its chunk now, if `free` lanes have no
/// work. It shares them with lanes that have about as much left, and leaves them to lanes that have clearly more. 1
/// means no split.
fn wanted_parts(left: u64, others: impl Iterator<Item = u64>, free: usize) -> u64 {
    let about = (left / 8).max(ABOUT);
    let (mut larger, mut alike) = (false, 0);
    for others_left in others {
        larger |= others_left > left + about;
        alike += u64::from(others_left + about >= left);
    }
    let free = free as u64;
    if free == 0 || larger {
        return 1;
    }
    (free.div_ceil(alike + 1) + 1).min(left / SMALLEST_PART).clamp(1, MOST_PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of parts that each of the lanes would make, of eight.
    fn wanted<const N: usize>(left: [u64; N]) -> [u64; N] {
        std::array::from_fn(|own| {
            let others = left.iter().enumerate().filter(|(at, _)| *at != own).map(|(_, left)| *left);
            wanted_parts(left[own], others, 8 - N)
        })
    }

    fn bounds(found: &[(u64, u64)]) -> Vec<Bound> {
        found.iter().map(|(id, ahead)| Bound { id: RecordId(*id), ahead: *ahead }).collect()
    }

    /// 5,000 records whose ids are ten times their place, in eight parts.
    #[test]
    fn parts_add_up_when_bounds_are_found_one_after_another() {
        let above = |found: &[(u64, u64)], read: u64, upper: Option<u64>, left: u64| {
            let points = SplitPoints::at(bounds(found), (RecordId(read * 10), upper.map(RecordId)), (left, read, 625))
                .expect("a bound inside");
            (points.expected(), points.bounds.iter().map(|id| id.0).collect::<Vec<_>>())
        };
        // The two farthest: the lane has read a page, and keeps what is below them.
        let expected = ExpectedRecords { above: 4_900, own: 3_650, each: 625 };
        assert_eq!(above(&[(43_750, 4_375), (37_500, 3_750)], 100, None, 4_900), (expected, vec![37_500, 43_750]));
        // Then the next one: all that is left above it is one part.
        let expected = ExpectedRecords { above: 3_550, own: 2_925, each: 625 };
        assert_eq!(above(&[(31_250, 3_125)], 200, Some(37_500), 3_550), (expected, vec![31_250]));
    }

    #[test]
    fn bounds_that_the_lane_has_passed_or_that_are_odd_are_not_used() {
        let at =
            |found: &[(u64, u64)]| SplitPoints::at(bounds(found), (RecordId(50), Some(RecordId(90))), (900, 0, 100));
        assert!(at(&[]).is_none() && at(&[(90, 300), (50, 100), (7, 10)]).is_none());
        let points = at(&[(60, 300), (80, 200), (60, 100)]).expect("two bounds inside");
        assert_eq!(points.bounds, [RecordId(60), RecordId(80)]);
    }

    #[test]
    fn a_part_takes_whole_pages_if_the_last_bound_stays_within_reach() {
        for (each, most, whole) in
            [(625, 650, 598), (650, 700, 698), (650, 697, 598), (598, 600, 598), (30, 40, 30), (1, 1, 1)]
        {
            assert_eq!(whole_pages(each, 100, most), whole, "about {each}, at most {most}");
        }
        assert_eq!(whole_pages(625, 1, 700), 625);
    }

    #[test]
    fn a_single_chunk_takes_all_lanes() {
        assert_eq!(wanted([100_000]), [8]);
    }

    #[test]
    fn chunks_of_about_the_same_size_share_the_free_lanes() {
        assert_eq!(wanted([50_000, 49_500]), [4, 4]);
        assert_eq!(wanted([50_000, 49_500, 50_400, 49_000]), [2, 2, 2, 2]);
    }

    #[test]
    fn a_chunk_with_clearly_less_leaves_them_to_the_larger() {
        assert_eq!(wanted([50_000, 20_000]), [7, 1]);
    }

    #[test]
    fn no_chunk_is_split_without_a_free_lane_or_into_too_small_parts() {
        assert_eq!(wanted([50_000; 8]), [1; 8]);
        assert_eq!(wanted([1_100]), [1]);
        assert_eq!(wanted([2_500]), [4]);
    }
}
