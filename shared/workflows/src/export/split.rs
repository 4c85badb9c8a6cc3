//! Where to split a chunk, so that parallelism follows the data.
//!
//! Ids are clumpy: equal ranges of ids hold very unequal numbers of records. So bounds are found by asking the CRM's
//! search for the id so many records ahead, and where that is too far, by bisecting with counts.

use domain::chunk::{Chunk, ChunkState};
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Crm, CrmError, FARTHEST};
use domain::ports::ledger::MAX_CHANGES;

/// A part of a split has at least this many records: below it, the calls that a boundary costs show.
pub(crate) const SMALLEST_PART: u64 = 1_500;

/// Up to so many searches walk to a bound; farther ones are bisected.
const MOST_HOPS: u64 = 5;

/// Searches that a bisection may take.
const MOST_PROBES: u32 = 48;

/// Another chunk of the backup.
pub(crate) struct Other<'a> {
    pub(crate) chunk: &'a Chunk,
    /// Whether its object is read by ranges.
    pub(crate) can_split: bool,
}

/// A split puts its new chunks into one transaction with the old one and their object.
const MOST_PARTS: u64 = MAX_CHANGES as u64 - 10;

/// Into how many parts the holder of `own` should split it now: as many as there are free places, but only if no other
/// chunk that could split has more left to read. 1: not at all.
pub(crate) fn wanted_parts(own: &Chunk, others: &[Other<'_>], left: u64, cap: usize) -> u64 {
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
/// Fewer than wanted, or none, where the search index knows no better.
///
/// # Errors
/// [`CrmError`].
pub(crate) async fn bounds(
    crm: &dyn Crm,
    object: &ObjectType,
    read_to: RecordId,
    upper: Option<RecordId>,
    parts: u64,
    each: u64,
) -> Result<Vec<RecordId>, CrmError> {
    let mut found = Vec::new();
    let mut from = read_to;
    for _ in 1..parts {
        let Some(bound) = bound_after(crm, object, from, upper, each).await? else { break };
        if bound <= from || upper.is_some_and(|upper| bound >= upper) {
            break;
        }
        found.push(bound);
        from = bound;
    }
    Ok(found)
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
