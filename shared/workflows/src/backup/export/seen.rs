//! The records that were seen in a list that is read from its beginning to its end.
//!
//! Such a list can return a record on two pages: a conversation moves when it gets a message. While ids ascend from
//! page to page, no record is repeated, and the highest id is enough to know that. From the first page out of order,
//! all ids are looked up. The ids of committed segments are read back from storage.

use std::collections::HashSet;
use std::ops::Range;

use domain::ids::RecordId;

/// The ids of a chunk that a run knows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The highest id of committed segments, and of this run while ids ascend.
    highest: RecordId,
    /// Ids of this run that are not yet committed.
    pub(super) uncommitted: Vec<RecordId>,
    /// All ids, once they no longer ascend.
    pub(super) all: Option<HashSet<RecordId>>,
}

impl Seen {
    /// For a list whose ids have ascended up to `highest`.
    pub(super) fn up_to(highest: RecordId) -> Self {
        Self { highest, ..Self::default() }
    }

    /// For a list whose records came out of order in an earlier run: every id is looked up.
    pub(super) fn unordered() -> Self {
        Self::up_to(RecordId(u64::MAX))
    }

    /// The ids of this run are now in a committed segment.
    pub(super) fn committed(&mut self) {
        self.uncommitted.clear();
    }

    /// Whether `ids` ascend and are all above those seen before.
    pub(super) fn is_ascending(&self, ids: &[RecordId]) -> bool {
        self.all.is_none() && ids.first().is_none_or(|first| *first > self.highest) && ids.is_sorted_by(|a, b| a < b)
    }

    pub(super) fn go_on(&mut self, ids: &[RecordId]) {
        self.highest = ids.last().copied().unwrap_or(self.highest);
        self.uncommitted.extend(ids);
    }

    /// The rows of a page that were not seen before, and whether one of them comes after a higher id.
    pub(super) fn new_rows(&mut self, ids: &[RecordId]) -> (Vec<Range<usize>>, bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &[u64]) -> Vec<RecordId> {
        of.iter().copied().map(RecordId).collect()
    }

    #[test]
    fn ids_that_ascend_from_page_to_page_need_no_look_up() {
        let mut seen = Seen::up_to(RecordId(4));
        assert!(seen.is_ascending(&ids(&[5, 9])) && seen.is_ascending(&[]));
        seen.go_on(&ids(&[5, 9]));
        assert!(!seen.is_ascending(&ids(&[9, 10])) && !seen.is_ascending(&ids(&[12, 11])));
    }

    /// A8, A9: a repeated record makes no second row, and a record out of order is not taken for a repeated one.
    #[test]
    fn each_record_is_taken_once_in_any_order() {
        let mut seen = Seen { all: Some(ids(&[5, 9]).into_iter().collect()), ..Seen::up_to(RecordId(9)) };
        assert_eq!(seen.new_rows(&ids(&[9, 10, 11, 5, 12])), (vec![1..3, 4..5], false));
        assert_eq!(seen.new_rows(&ids(&[7, 8, 12, 6])), (vec![0..2, 3..4], true));
        assert_eq!(seen.new_rows(&ids(&[7])), (vec![], false));
    }
}
