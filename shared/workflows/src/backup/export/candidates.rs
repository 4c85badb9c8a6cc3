//! The chunks that lanes may take, in the order in which they take them.

use std::cmp::Reverse;

use domain::chunk::{Chunk, ChunkState};
use domain::ids::ChunkKey;

/// A chunk that was free when it was listed or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: ChunkKey,
    /// About how many records are left in it. None if they are not counted.
    pub(super) left: Option<u64>,
    is_ready: bool,
}

impl Candidate {
    pub(super) fn of(chunk: &Chunk) -> Self {
        let is_ready = chunk.state == ChunkState::Ready;
        Self { key: chunk.key.clone(), left: chunk.expected_left(), is_ready }
    }
}

/// Candidates, the best last: chunks that a run has begun before those that wait, then the largest, then the lowest.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    /// Adds chunks, in any order.
    pub(super) fn add(&mut self, free: impl IntoIterator<Item = Candidate>) {
        self.0.extend(free);
        self.0.sort_by_key(|candidate| (candidate.is_ready, candidate.left.unwrap_or(0), Reverse(candidate.key.lower)));
    }

    pub(super) fn take_best(&mut self) -> Option<Candidate> {
        self.0.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{ObjectType, RecordId};

    use super::*;

    fn candidate(lower: u64, left: Option<u64>, is_ready: bool) -> Candidate {
        let object_type = ObjectType::parse("contacts").expect("a name");
        Candidate { key: ChunkKey { object_type, generation: 1, lower: RecordId(lower) }, left, is_ready }
    }

    /// A split adds its chunks one after another, the largest first.
    #[test]
    fn the_largest_is_taken_first_whenever_it_was_added() {
        let mut candidates = Candidates::default();
        candidates.add([candidate(40, Some(30_000), false)]);
        candidates.add([candidate(30, Some(2_475), false), candidate(5, Some(7), true)]);
        candidates.add([candidate(20, Some(2_475), false), candidate(10, None, false)]);
        let taken: Vec<u64> =
            std::iter::from_fn(|| candidates.take_best()).map(|candidate| candidate.key.lower.0).collect();
        assert_eq!(taken, [5, 40, 20, 30, 10]);
        assert!(candidates.is_empty());
    }
}
