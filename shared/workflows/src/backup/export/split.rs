//! Decides where to split a chunk, so that parallelism follows the data.
//!
//! Ids are clumpy: equal ranges of ids contain very unequal numbers of records. So bounds are found by searching the
//! CRM for the id a given number of records ahead or, if that is too far, by bisecting with counts.

use std::time::Duration;

use domain::chunk::{Chunk, ChunkState, ExpectedRecords};
use domain::ids::{ObjectType, RecordId};
use domain::object::ObjectExport;
use domain::ports::crm::{Crm, CrmError};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{Change, MAX_CHANGES};
use jiff::{SignedDuration, Timestamp};

use super::reading::ChunkReading;
use crate::backup::dispatch;
use crate::contention;
use crate::run::StepError;

/// The longest time that one search for bounds takes.
const LONGEST_SEARCH: Duration = Duration::from_secs(15);

/// How long a run does not split after a search that failed or took too long.
const NO_SPLIT_FOR: SignedDuration = SignedDuration::from_mins(1);

/// A part of a split has at least this many records. In smaller parts the calls for a boundary cost too much.
const SMALLEST_PART: u64 = 1_500;

/// The parts that the first chunk keeps if it reads the list and all others search. Its calls use another limit than
/// theirs, so it should work as long as they do.
const LIST_SHARE: u64 = 2;

/// At least this many records are read between two reports of progress, or a few more.
const STALE_BY: u64 = 2_000;

/// Up to this many searches walk to a bound. Bounds further away are bisected.
const MOST_HOPS: u64 = 5;

/// The most searches of a bisection.
const MOST_PROBES: u32 = 48;

/// A split puts its new chunks into one transaction with the old one and their object.
const MOST_PARTS: u64 = MAX_CHANGES as u64 - 10;

impl ChunkReading<'_> {
    /// Whether splitting the chunk pays if all other places are free. Does not read the ledger.
    pub(super) fn may_split(&self, now: Timestamp) -> bool {
        let own = &self.subject.chunk.record;
        self.subject.object.mode == ReadMode::Ranges
            && self.no_split_before.is_none_or(|at| now >= at)
            && wanted_parts(own, &[], own.expected_left().unwrap_or(0), self.export.cap.0) >= 2
    }

    /// All objects of the backup if a split depends on them, otherwise only the chunk's own. Reading all of them every
    /// two seconds would be expensive.
    pub(super) async fn objects_to_look_at(&self, may_split: bool) -> Result<Vec<ObjectExport>, StepError> {
        if may_split {
            return Ok(dispatch::objects(self.export.ledger(), &self.subject.backup.backup_id).await?);
        }
        Ok(vec![self.load_object().await?.record])
    }

    /// Gives a part of the chunk away if workers are free and it pays. Reading continues in any case: a search that
    /// fails or takes long must not stop it.
    pub(super) async fn split_or_wait(&mut self, objects: &[ObjectExport], now: Timestamp) -> Result<(), StepError> {
        // The objects contain the number of open chunks. There may be thousands of chunks, so they are read only if a
        // place is free.
        let open: usize = objects.iter().map(|object| object.open_chunks as usize).sum();
        if open >= self.export.cap.0 || !self.may_split(now) {
            return Ok(());
        }
        let chunks = dispatch::present_chunks(self.export.ledger(), &self.subject.backup.backup_id, objects).await?;
        let own = &self.subject.chunk.record;
        let others: Vec<Other<'_>> = chunks
            .iter()
            .filter(|chunk| chunk.record.key != own.key)
            .map(|chunk| Other { chunk: &chunk.record, can_split: can_split(&chunk.record, objects) })
            .collect();
        if wanted_parts(own, &others, own.expected_left().unwrap_or(0), self.export.cap.0) < 2 {
            return Ok(());
        }
        let mut found = SplitPoints::default();
        let searched = tokio::time::timeout(self.time_to_search(now), self.search(&others, &mut found)).await;
        let why = match searched {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the search takes long".to_owned()),
        };
        if let Some(why) = why {
            tracing::info!(why, bounds = found.bounds.len(), object = %own.key.object_type, "export.split-broke-off");
            self.no_split_before = Some(now + NO_SPLIT_FOR);
        }
        self.split(&found, now).await
    }

    /// Searches for bounds. `found` contains the bounds found so far, even if the search is interrupted.
    async fn search(&self, others: &[Other<'_>], found: &mut SplitPoints) -> Result<(), CrmError> {
        let own = &self.subject.chunk.record;
        let object = &own.key.object_type;
        // Counted again, since the expectation may be old.
        let Some(left) = self.crm.count_in(object, self.last_id, own.upper).await? else { return Ok(()) };
        let parts = wanted_parts(own, others, left, self.export.cap.0).max(1);
        let kept = if self.reads_the_list_beside_searches() { LIST_SHARE } else { 1 };
        (found.left, found.each) = (left, left / (parts - 1 + kept));
        let first = found.each * kept;
        bounds(self.crm, object, (self.last_id, own.upper), parts, (first, found.each), &mut found.bounds).await
    }

    async fn split(&mut self, found: &SplitPoints, now: Timestamp) -> Result<(), StepError> {
        let (own, expected) = (&self.subject.chunk.record, found.expected());
        if found.bounds.is_empty() {
            return Ok(());
        }
        if own.split(self.lease, self.last_id, &found.bounds, expected, now).is_err() {
            return Ok(());
        }
        let left_part = self.commit_split(found, now).await?;
        self.subject.chunk.record = left_part;
        self.export.dispatch(&self.subject.backup).await
    }

    /// No records are read meanwhile, so a split gets only a small part of the run.
    fn time_to_search(&self, now: Timestamp) -> Duration {
        let left = Duration::try_from(self.run.ends.duration_since(now)).unwrap_or_default();
        (left / 4).min(LONGEST_SEARCH)
    }

    /// Returns the rest of the chunk.
    async fn commit_split(&self, found: &SplitPoints, now: Timestamp) -> Result<Chunk, StepError> {
        let expected = found.expected();
        contention::retry(|| async {
            let (chunk, object) = futures_util::future::try_join(self.load_chunk(), self.load_object()).await?;
            let split = chunk.record.split(self.lease, self.last_id, &found.bounds, expected, now);
            let (left_part, right) = split?;
            let more = u32::try_from(right.len()).unwrap_or(u32::MAX);
            let counted = object.record.split(left_part.key.generation, more, now)?;
            let mut changes = vec![Change::replace(&chunk, &left_part), Change::replace(&object, &counted)];
            changes.extend(right.iter().map(Change::create));
            let answer = self.export.ledger().commit(&changes).await;
            Ok::<_, StepError>(contention::settle(answer, left_part)?)
        })
        .await
    }
}

fn can_split(chunk: &Chunk, objects: &[ObjectExport]) -> bool {
    let object = objects.iter().find(|object| object.definition.object_type == chunk.key.object_type);
    object.is_some_and(|object| object.mode == ReadMode::Ranges)
}

#[derive(Default)]
struct SplitPoints {
    /// Records left to read.
    left: u64,
    /// About this many records between two bounds.
    each: u64,
    bounds: Vec<RecordId>,
}

impl SplitPoints {
    fn expected(&self) -> ExpectedRecords {
        ExpectedRecords { above: self.left, each: self.each }
    }
}

struct Other<'a> {
    chunk: &'a Chunk,
    /// Whether its object is read by ranges.
    can_split: bool,
}

/// The number of parts into which the run of `own`, which has `left` records to read, should split it now. The run
/// takes all free places, shares them with chunks that have about as much left, and leaves them to chunks that have
/// clearly more. 1 means no split.
///
/// The numbers of other chunks are some seconds old, and so always slightly too high. If they were taken as exact, two
/// chunks of the same size would each leave the free places to the other.
fn wanted_parts(own: &Chunk, others: &[Other<'_>], left: u64, cap: usize) -> u64 {
    let open = others.iter().filter(|other| other.chunk.state != ChunkState::Done).count();
    // The run's own chunk has a place too.
    let free = cap.saturating_sub(open + 1) as u64;
    let about = (left / 8).max(STALE_BY);
    let rivals = others
        .iter()
        .filter(|other| other.can_split && other.chunk.state == ChunkState::Ready && other.chunk.key != own.key)
        .map(|other| other.chunk.expected_left().unwrap_or(0));
    let (mut larger, mut alike) = (false, 0);
    for others_left in rivals {
        larger |= others_left > left + about;
        alike += u64::from(others_left + about >= left);
    }
    if free == 0 || larger {
        return 1;
    }
    (free.div_ceil(alike + 1) + 1).min(left / SMALLEST_PART).clamp(1, MOST_PARTS)
}

/// Bounds that divide the range above `read_to` into `parts` parts of about `each` records, the first of about `first`,
/// ascending and inside the range. Fewer than requested, or none, if the search index finds no more. They are added to
/// `found` one by one, so that an interrupted search leaves those found so far.
///
/// # Errors
/// [`CrmError`].
async fn bounds(
    crm: &dyn Crm,
    object: &ObjectType,
    (read_to, upper): (RecordId, Option<RecordId>),
    parts: u64,
    (first, each): (u64, u64),
    found: &mut Vec<RecordId>,
) -> Result<(), CrmError> {
    let mut from = read_to;
    for part in 1..parts {
        let size = if part == 1 { first } else { each };
        let Some(bound) = bound_after(crm, object, from, upper, size).await? else { break };
        if bound <= from || upper.is_some_and(|upper| bound >= upper) {
            break;
        }
        found.push(bound);
        from = bound;
    }
    Ok(())
}

/// The id about `n` records above `from`.
async fn bound_after(
    crm: &dyn Crm,
    object: &ObjectType,
    from: RecordId,
    upper: Option<RecordId>,
    n: u64,
) -> Result<Option<RecordId>, CrmError> {
    let farthest = crm.model().call_sizes(object).farthest;
    if n > u64::from(farthest) * MOST_HOPS {
        return bisect(crm, object, from, upper, n).await;
    }
    let mut at = from;
    let mut left = n;
    while left > 0 {
        let hop = u16::try_from(left).unwrap_or(farthest).min(farthest);
        match crm.nth_after(object, at, hop).await? {
            Some(id) => at = id,
            None => return Ok(None),
        }
        left -= u64::from(hop);
    }
    Ok(Some(at))
}

/// The id about `n` records above `from`, to a quarter of `n`.
async fn bisect(
    crm: &dyn Crm,
    object: &ObjectType,
    from: RecordId,
    upper: Option<RecordId>,
    n: u64,
) -> Result<Option<RecordId>, CrmError> {
    let highest = match upper {
        Some(upper) => Some(upper),
        None => crm.census(object).await?.and_then(|census| census.highest_id),
    };
    let Some(highest) = highest else { return Ok(None) };
    let (mut low, mut high) = (from.0, highest.0);
    for _ in 0..MOST_PROBES {
        if high.saturating_sub(low) < 2 {
            break;
        }
        let middle = low + (high - low) / 2;
        let Some(count) = crm.count_in(object, from, Some(RecordId(middle))).await? else { return Ok(None) };
        if count.abs_diff(n) <= n / 4 {
            return Ok(Some(RecordId(middle)));
        }
        if count < n { low = middle } else { high = middle }
    }
    Ok((high < highest.0).then_some(RecordId(high)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, NOW};

    const CAP: usize = 8;

    /// Chunks that are being read, with these numbers of records left.
    fn reading<const N: usize>(left: [u64; N]) -> [Chunk; N] {
        let backup = samples::exporting(1);
        let (_, whole) = samples::discovered(&backup, "contacts", None);
        let mut lower = 0;
        left.map(|left| {
            lower += 1_000_000;
            let key = domain::ids::ChunkKey { lower: RecordId(lower), ..whole.key.clone() };
            let chunk = Chunk::waiting(&backup.reference(), key, None, Some(left), NOW);
            chunk.activate(NOW).expect("waiting")
        })
    }

    /// The number of parts that each of the chunks would make.
    fn wanted<const N: usize>(left: [u64; N]) -> [u64; N] {
        let chunks = reading(left);
        std::array::from_fn(|own| {
            let others: Vec<_> = chunks.iter().filter(|chunk| chunk.key != chunks[own].key).collect();
            let others: Vec<_> = others.into_iter().map(|chunk| Other { chunk, can_split: true }).collect();
            wanted_parts(&chunks[own], &others, left[own], CAP)
        })
    }

    #[test]
    fn a_single_chunk_takes_all_places() {
        assert_eq!(wanted([100_000]), [8]);
    }

    #[test]
    fn chunks_of_about_the_same_size_share_the_free_places() {
        assert_eq!(wanted([50_000, 49_500]), [4, 4]);
        assert_eq!(wanted([50_000, 49_500, 50_400, 49_000]), [2, 2, 2, 2]);
    }

    #[test]
    fn a_chunk_with_clearly_less_leaves_them_to_the_larger() {
        assert_eq!(wanted([50_000, 20_000]), [7, 1]);
    }

    #[test]
    fn no_chunk_is_split_without_a_free_place_or_into_too_small_parts() {
        assert_eq!(wanted([50_000; CAP]), [1; CAP]);
        assert_eq!(wanted([2_900]), [1]);
        assert_eq!(wanted([6_100]), [4]);
    }

    #[test]
    fn chunks_that_cannot_split_only_take_their_place() {
        let chunks = reading([50_000, 90_000]);
        let others = [Other { chunk: &chunks[1], can_split: false }];
        assert_eq!(wanted_parts(&chunks[0], &others, 50_000, CAP), 7);
    }
}
