//! Where to split a chunk, so that parallelism follows the data.
//!
//! Ids are clumpy: equal ranges of ids hold very unequal numbers of records. So bounds are found by asking the CRM's
//! search for the id so many records ahead, and where that is too far, by bisecting with counts.

use std::time::Duration;

use domain::chunk::{Chunk, ChunkState};
use domain::ids::{ObjectType, RecordId};
use domain::object::{ObjectExport, ReadMode};
use domain::ports::crm::{Crm, CrmError, FARTHEST};
use domain::ports::ledger::{Change, MAX_CHANGES, Versioned};
use jiff::{SignedDuration, Timestamp};

use super::reading::Reading;
use crate::contention;
use crate::run::StepError;

/// How long bounds are looked for at a time.
const LONGEST_SEARCH: Duration = Duration::from_secs(15);

/// How long a run leaves splitting alone after a search that failed or took too long.
const NO_SPLIT_FOR: SignedDuration = SignedDuration::from_mins(1);

/// A part of a split has at least this many records: below it, the calls that a boundary costs show.
const SMALLEST_PART: u64 = 1_500;

/// Up to so many searches walk to a bound; farther ones are bisected.
const MOST_HOPS: u64 = 5;

/// Searches that a bisection may take.
const MOST_PROBES: u32 = 48;

/// A split puts its new chunks into one transaction with the old one and their object.
const MOST_PARTS: u64 = MAX_CHANGES as u64 - 10;

impl Reading<'_> {
    /// Gives a part of the chunk away if workers are free and it is worth it. Reading goes on all the same: a search that
    /// fails or takes long must not stop it.
    pub(super) async fn split_or_wait(
        &mut self,
        chunks: &[Versioned<Chunk>],
        objects: &[ObjectExport],
        now: Timestamp,
    ) -> Result<(), StepError> {
        if self.no_split_before.is_some_and(|at| now < at) {
            return Ok(());
        }
        let own = &self.subject.chunk.record;
        let others: Vec<Other<'_>> = chunks
            .iter()
            .filter(|chunk| chunk.record.key != own.key)
            .map(|chunk| Other { chunk: &chunk.record, can_split: can_split(&chunk.record, objects) })
            .collect();
        if wanted_parts(own, &others, own.expected_left().unwrap_or(0), self.export.cap.0) < 2 {
            return Ok(());
        }
        let mut found = Found::default();
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

    /// Looks for bounds; those that are found are in `found` also when it breaks off.
    async fn search(&self, others: &[Other<'_>], found: &mut Found) -> Result<(), CrmError> {
        let own = &self.subject.chunk.record;
        let object = &own.key.object_type;
        // Counted anew: the expectation may be old.
        let Some(left) = self.crm.count_in(object, self.last_id, own.upper).await? else { return Ok(()) };
        let parts = wanted_parts(own, others, left, self.export.cap.0);
        (found.left, found.each) = (left, left / parts.max(1));
        bounds(self.crm, object, self.last_id, own.upper, parts, found.each, &mut found.bounds).await
    }

    async fn split(&mut self, found: &Found, now: Timestamp) -> Result<(), StepError> {
        let (own, expected) = (&self.subject.chunk.record, (found.left, found.each));
        if found.bounds.is_empty() {
            return Ok(());
        }
        let Ok((left_part, right)) = own.split(self.lease, self.last_id, &found.bounds, expected, now) else {
            return Ok(());
        };
        self.commit_split(&left_part, &right, now).await?;
        self.reload_chunk().await?;
        self.export.dispatch(&self.subject.backup).await
    }

    /// Meanwhile nothing is read, so a split gets a small part of the run only.
    fn time_to_search(&self, now: Timestamp) -> Duration {
        let left = Duration::try_from(self.run.ends.duration_since(now)).unwrap_or_default();
        (left / 4).min(LONGEST_SEARCH)
    }

    async fn commit_split(&self, left_part: &Chunk, right: &[Chunk], now: Timestamp) -> Result<(), StepError> {
        let ledger = self.export.ledger();
        let generation = left_part.key.generation;
        let more = u32::try_from(right.len()).unwrap_or(u32::MAX);
        contention::retry(|| async {
            let object = self.load_object().await?;
            let counted = object.record.split(generation, more, now).map_err(|_| StepError::TakenOver)?;
            let mut changes = vec![Change::replace(&self.subject.chunk, left_part), Change::replace(&object, &counted)];
            changes.extend(right.iter().map(Change::create));
            self.settle(ledger.commit(&changes).await).await
        })
        .await
    }
}

fn can_split(chunk: &Chunk, objects: &[ObjectExport]) -> bool {
    let object = objects.iter().find(|object| object.definition.object_type == chunk.key.object_type);
    object.is_some_and(|object| object.mode == ReadMode::Ranges)
}

/// Where to split.
#[derive(Default)]
struct Found {
    /// Records that are left.
    left: u64,
    /// About so many between two bounds.
    each: u64,
    bounds: Vec<RecordId>,
}

/// Another chunk of the backup.
struct Other<'a> {
    chunk: &'a Chunk,
    /// Whether its object is read by ranges.
    can_split: bool,
}

/// Into how many parts the holder of `own` should split it now: as many as there are free places, but only if no other
/// chunk that could split has more left to read. 1: not at all.
fn wanted_parts(own: &Chunk, others: &[Other<'_>], left: u64, cap: usize) -> u64 {
    let open = others.iter().filter(|other| other.chunk.state != ChunkState::Done).count();
    // The own chunk holds a place as well.
    let free = cap.saturating_sub(open + 1) as u64;
    let larger = others
        .iter()
        .filter(|other| other.can_split && other.chunk.state == ChunkState::Ready)
        .any(|other| (other.chunk.expected_left(), &other.chunk.key.lower) > (Some(left), &own.key.lower));
    if free == 0 || larger { 1 } else { (free + 1).min(left / SMALLEST_PART).clamp(1, MOST_PARTS) }
}

/// Bounds that cut what is above `read_to` into `parts` parts of about `each` records, ascending and inside the range.
/// Fewer than wanted, or none, where the search index knows no better. They go to `found` one by one, so that some are
/// there when the search breaks off.
///
/// # Errors
/// [`CrmError`].
async fn bounds(
    crm: &dyn Crm,
    object: &ObjectType,
    read_to: RecordId,
    upper: Option<RecordId>,
    parts: u64,
    each: u64,
    found: &mut Vec<RecordId>,
) -> Result<(), CrmError> {
    let mut from = read_to;
    for _ in 1..parts {
        let Some(bound) = bound_after(crm, object, from, upper, each).await? else { break };
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
    if n > u64::from(FARTHEST) * MOST_HOPS {
        return bisect(crm, object, from, upper, n).await;
    }
    let mut at = from;
    let mut left = n;
    while left > 0 {
        let hop = u16::try_from(left).unwrap_or(FARTHEST).min(FARTHEST);
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
