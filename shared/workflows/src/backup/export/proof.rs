//! Checks whether the finished chunks of an object contain all of it, and which parts of them must be read once more.
//!
//! Boundaries are proven by what both neighbours saw. The end is proven in the same way: the first id behind it, found
//! by a search, must belong to a record that was created after reading began. The search is made only if the CRM's
//! counts disagree with the rows or with each other. Rows that the counts cannot explain are compared range by range.

use std::collections::BTreeMap;

use domain::chunk::Chunk;
use domain::ids::RecordId;
use domain::object::{Counts, ObjectExport, Verdict};
use domain::ports::crm::{Crm, CrmError};
use domain::ports::ledger::Versioned;

/// The most records that one call can request.
const IDS_PER_CALL: usize = 100;

/// The part of a chunk that must be read once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reread {
    /// The part above the highest id that was read.
    Rest,
    Whole,
}

/// The parts of an object that must be read once more, by the places of its chunks.
pub(super) type OnceMore = BTreeMap<usize, Reread>;

/// The result of proving the boundaries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Boundaries {
    /// Every chunk begins where the one on its left ends.
    Hold,
    /// These chunks missed a record.
    Missed(OnceMore),
    /// They do not fit, and reading single chunks once more cannot repair that.
    Broken,
}

/// An id next to a boundary that only one of the two neighbours saw.
struct Suspect {
    id: RecordId,
    /// The place of the neighbour that did not see it.
    place: usize,
}

/// The first id past the boundary at the end of the chunk at `place` that only one of the two neighbours saw. If they
/// saw different ids, it is the lower one. The neighbour that saw the higher id first either missed the lower one, or
/// rightly found it already gone or not yet there.
fn seen_by_one(place: usize, left: &Chunk, right: &Chunk) -> Option<Suspect> {
    match (left.seen_past_end, right.first_seen) {
        (left, right) if left == right => None,
        (Some(left), Some(right)) if left < right => Some(Suspect { id: left, place: place + 1 }),
        (Some(left), None) => Some(Suspect { id: left, place: place + 1 }),
        (_, right) => right.map(|id| Suspect { id, place }),
    }
}

/// The first id that the left chunk saw past its bound must be the first that the right chunk saw. If only one of them
/// saw an id, its record must have been deleted meanwhile, or created after reading began. Otherwise the other one
/// missed it.
///
/// # Errors
/// [`CrmError`].
pub(super) async fn boundaries(
    crm: &dyn Crm,
    object: &ObjectExport,
    chunks: &[Versioned<Chunk>],
) -> Result<Boundaries, CrmError> {
    let pairs = chunks.windows(2).map(|pair| (&pair[0].record, &pair[1].record));
    if pairs.clone().any(|(left, right)| left.upper != Some(right.key.lower)) {
        return Ok(Boundaries::Broken);
    }
    let suspects: Vec<Suspect> =
        pairs.enumerate().filter_map(|(place, (left, right))| seen_by_one(place, left, right)).collect();
    let mut missed = OnceMore::new();
    for suspects in suspects.chunks(IDS_PER_CALL) {
        let ids: Vec<RecordId> = suspects.iter().map(|suspect| suspect.id).collect();
        let existing = crm.existing(&object.definition.object_type, &ids).await?;
        let was_there = |id| existing.iter().any(|(found, created)| *found == id && *created < object.window_from);
        for Suspect { place, .. } in suspects.iter().filter(|suspect| was_there(suspect.id)) {
            let Some(part) = part_of(object, &chunks[*place].record) else { return Ok(Boundaries::Broken) };
            let known = missed.entry(*place).or_insert(part);
            *known = part.max(*known);
        }
    }
    Ok(if missed.is_empty() { Boundaries::Hold } else { Boundaries::Missed(missed) })
}

/// The part to read of a chunk that missed a record next to its boundary. None if no part can be read once more.
fn part_of(object: &ObjectExport, chunk: &Chunk) -> Option<Reread> {
    // Without a count there is no search.
    object.expected_records()?;
    // A list was cut off if it ended below the chunk's bound although records lie behind that bound.
    let was_cut_off = chunk.upper.is_some() && chunk.seen_past_end.is_none();
    if was_cut_off && !chunk.again.went_on {
        return Some(Reread::Rest);
    }
    (!chunk.again.whole).then_some(Reread::Whole)
}

/// The chunks that may have missed a record that moved. If cursors stand for numbers of records, deleting a record that
/// was read moves an unread one to the side of the cursor that counts as read.
pub(super) fn moved(chunks: &[Versioned<Chunk>], counts: Counts) -> OnceMore {
    let chunks = chunks.iter().map(|chunk| &chunk.record).enumerate();
    let moved = chunks.filter(|(_, chunk)| chunk.followed_opaque_cursors() && !chunk.again.whole);
    moved.filter(|_| counts.deleted() > 0).map(|(place, _)| (place, Reread::Whole)).collect()
}

/// The parts that the counts prove missing: records behind the end, and ranges with fewer rows than records.
///
/// # Errors
/// [`CrmError`].
pub(super) async fn missing(
    crm: &dyn Crm,
    object: &ObjectExport,
    chunks: &[Versioned<Chunk>],
    counts: Counts,
) -> Result<OnceMore, CrmError> {
    let agree = counts.after.is_none_or(|after| {
        object.found() == after && counts.before.map_or(object.listed_empty, |before| before == after)
    });
    if agree {
        return Ok(OnceMore::new());
    }
    if let Some(last) = chunks.last().filter(|last| !last.record.again.went_on)
        && is_cut_off(crm, object, &last.record).await?
    {
        return Ok(OnceMore::from([(chunks.len() - 1, Reread::Rest)]));
    }
    if counts.verdict(object.found()) != Verdict::Short {
        return Ok(OnceMore::new());
    }
    let mut short = OnceMore::new();
    for (place, chunk) in chunks.iter().map(|chunk| &chunk.record).enumerate().filter(|(_, chunk)| !chunk.again.whole) {
        let counted = match chunks.len() {
            1 => counts.after,
            _ => crm.count_in(&object.definition.object_type, chunk.key.lower, chunk.upper).await?,
        };
        let found = chunk.records + object.unreadable_in(chunk).count() as u64;
        if counted.is_some_and(|counted| counted > found) {
            short.insert(place, Reread::Whole);
        }
    }
    Ok(short)
}

/// Whether a record behind the object's end already existed when reading began.
async fn is_cut_off(crm: &dyn Crm, object: &ObjectExport, last: &Chunk) -> Result<bool, CrmError> {
    let name = &object.definition.object_type;
    let read_to = object.unreadable_in(last).max().map_or(last.committed_to, |id| id.max(last.committed_to));
    let Some(behind) = crm.nth_after(name, read_to, 1).await? else { return Ok(false) };
    let existing = crm.existing(name, &[behind]).await?;
    Ok(existing.iter().any(|(_, created)| *created < object.window_from))
}
