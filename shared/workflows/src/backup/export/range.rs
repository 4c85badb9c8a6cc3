//! Reading a range page by page, and proving that the CRM honours it.
//!
//! That a list can be started at any id is unconfirmed behaviour of the CRM, so every page is held against it: ids
//! ascend, the first is above the cursor, and the CRM's next cursor is the last id that it listed, or that id plus one.
//! HubSpot's guide shows the second, recordings show both. In a list that starts *at* its cursor, the first record can be
//! the one that was read last; it is dropped. An object whose list breaks a rule is read again from the beginning: by
//! searching for ids where the CRM can, and otherwise by one worker with the CRM's own cursors.

use std::ops::Range;

use domain::ids::RecordId;
use domain::object::{ListUse, ReadMode};
use domain::ports::crm::{Cursor, PageEnd, PageSource};

/// A page does not fit the range that it was asked for: range starts are not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the CRM does not honour range starts: {reason}")]
pub(crate) struct NotHonoured {
    /// What is wrong, as part of a sentence.
    pub reason: &'static str,
    /// Whether the records came in the order of their ids all the same.
    pub is_in_order: bool,
}

impl NotHonoured {
    /// The records were in order; what is wrong is the cursor.
    pub(crate) const fn in_order(reason: &'static str) -> Self {
        Self { reason, is_in_order: true }
    }

    /// Nothing about the order is known.
    pub(crate) const fn of(reason: &'static str) -> Self {
        Self { reason, is_in_order: false }
    }
}

/// How a chunk is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// By ranges or from the beginning to the end.
    pub mode: ReadMode,
    /// What the CRM's list is good for.
    pub list_use: ListUse,
    /// Where ids come from.
    pub source: PageSource,
}

/// What a page was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The highest id that was read before, or the range's lower bound.
    pub after: RecordId,
    /// The ids of the page before, as far as this run knows it.
    pub before: &'a [RecordId],
    /// The range's upper bound.
    pub upper: Option<RecordId>,
}

/// What to take from a page, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Which of the page's rows belong to the range and were not read before.
    pub rows: Range<usize>,
    /// The first id above what was read before, even one past the range's end.
    pub first_shown: Option<RecordId>,
    /// Where to go on, or how the range ended.
    pub next: Next,
}

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another page: where it begins, as the ledger remembers it, and as the CRM said.
    Page {
        /// What a run that goes on later asks for.
        cursor: Cursor,
        /// What the same run asks for next.
        given: String,
    },
    /// Nothing: the range ended before this id, which is past its bound, or with the list.
    End(Option<RecordId>),
}

/// Judges a page.
///
/// # Errors
/// [`NotHonoured`] when it breaks a rule.
pub(crate) fn accept(way: Way, asked: Asked<'_>, ids: &[RecordId], end: &PageEnd) -> Result<Accepted, NotHonoured> {
    match way.mode {
        ReadMode::Sequential => Ok(accept_sequential(ids, end)),
        ReadMode::Ranges => accept_range(way, asked, ids, end),
    }
}

fn accept_sequential(ids: &[RecordId], end: &PageEnd) -> Accepted {
    let next = end.next.as_ref().map_or(Next::End(None), |text| opaque_page(text));
    Accepted { rows: 0..ids.len(), first_shown: ids.first().copied(), next }
}

fn opaque_page(text: &str) -> Next {
    Next::Page { cursor: Cursor::Opaque(text.to_owned()), given: text.to_owned() }
}

fn accept_range(way: Way, asked: Asked<'_>, ids: &[RecordId], end: &PageEnd) -> Result<Accepted, NotHonoured> {
    if !ids.is_sorted_by(|a, b| a < b) {
        return Err(NotHonoured::of("ids do not ascend"));
    }
    let known = ids.partition_point(|id| *id <= asked.after);
    // A list in pages of the CRM's own making may show records of a page again on the next one. Others below the cursor were
    // never read.
    let may_repeat = way.list_use == ListUse::FirstRange && way.source == PageSource::List;
    let was_read = |id: &RecordId| *id == asked.after || may_repeat && asked.before.contains(id);
    if !ids[..known].iter().all(was_read) {
        return Err(NotHonoured::of("a page begins before its cursor"));
    }
    let past = asked.upper.map_or(ids.len(), |upper| ids.partition_point(|id| *id <= upper)).max(known);
    let mut next = next_page(way, asked, ids, end)?;
    let beyond = |bound: RecordId| {
        let unreadable = end.unreadable.iter().copied().filter(|id| *id > bound).min();
        let shown = ids.get(ids.partition_point(|id| *id <= bound)).copied();
        [shown, unreadable].into_iter().flatten().min()
    };
    if let Some(first_past) = asked.upper.and_then(beyond) {
        next = Next::End(Some(first_past));
    }
    Ok(Accepted { rows: known..past, first_shown: beyond(asked.after), next })
}

/// Where the list says that it goes on.
fn next_page(way: Way, asked: Asked<'_>, ids: &[RecordId], end: &PageEnd) -> Result<Next, NotHonoured> {
    let Some(text) = &end.next else { return Ok(Next::End(None)) };
    if way.list_use == ListUse::FirstRange && way.source == PageSource::List {
        return Ok(opaque_page(text));
    }
    let last = end.last_listed.or(ids.last().copied());
    match (RecordId::parse(text), last) {
        (Ok(id), Some(last)) if (id == last || id.0 == last.0 + 1) && last >= asked.after => {
            Ok(Next::Page { cursor: Cursor::AfterId(last), given: text.clone() })
        }
        _ => Err(NotHonoured::in_order("the next cursor is not the last id, nor the one after it")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BY_RANGES: Way = Way { mode: ReadMode::Ranges, list_use: ListUse::AnyRange, source: PageSource::List };
    const FIRST_RANGE: Way = Way { list_use: ListUse::FirstRange, ..BY_RANGES };

    fn ids(of: &[u64]) -> Vec<RecordId> {
        of.iter().copied().map(RecordId).collect()
    }
    fn after(id: u64) -> Cursor {
        Cursor::AfterId(RecordId(id))
    }
    fn page(cursor: Cursor, given: &str) -> Next {
        Next::Page { cursor, given: given.to_owned() }
    }
    fn end(next: Option<&str>) -> PageEnd {
        PageEnd { next: next.map(str::to_owned), ..PageEnd::default() }
    }
    fn judged(
        way: Way,
        from: u64,
        upper: Option<u64>,
        of: &[u64],
        next: Option<&str>,
    ) -> Result<Accepted, NotHonoured> {
        let before = ids(&[5, 11, 12]);
        let asked = Asked { after: RecordId(from), before: &before, upper: upper.map(RecordId) };
        accept(way, asked, &ids(of), &end(next))
    }
    fn ranges(from: u64, upper: Option<u64>, of: &[u64], next: Option<&str>) -> Result<Accepted, NotHonoured> {
        judged(BY_RANGES, from, upper, of, next)
    }
    fn accepted(rows: Range<usize>, first: u64, next: Next) -> Accepted {
        Accepted { rows, first_shown: Some(RecordId(first)), next }
    }

    #[test]
    fn a_range_takes_what_is_in_it_and_names_what_is_past_it() {
        assert_eq!(ranges(10, Some(20), &[11, 15], Some("15")), Ok(accepted(0..2, 11, page(after(15), "15"))));
        let past = ranges(10, Some(20), &[11, 20, 21], Some("21"));
        assert_eq!(past, Ok(accepted(0..2, 11, Next::End(Some(RecordId(21))))));
        assert_eq!(ranges(10, Some(20), &[30], None), Ok(accepted(0..0, 30, Next::End(Some(RecordId(30))))));
        assert_eq!(ranges(10, Some(20), &[11], None), Ok(accepted(0..1, 11, Next::End(None))));
    }

    /// C1: `last id + 1` is as good a cursor as `last id`.
    #[test]
    fn a_cursor_may_name_the_last_id_or_the_one_after_it() {
        assert_eq!(ranges(10, None, &[11, 15], Some("16")), Ok(accepted(0..2, 11, page(after(15), "16"))));
        let started_at = ranges(10, None, &[10, 11], Some("12"));
        assert_eq!(started_at, Ok(accepted(1..2, 11, page(after(11), "12"))), "the list starts at its cursor");
    }

    #[test]
    fn a_list_that_does_not_honour_a_range_start_is_noticed() {
        assert!(ranges(10, None, &[5, 11], Some("11")).is_err(), "started at the beginning");
        assert!(ranges(10, None, &[12, 11], Some("11")).is_err(), "not in order");
        let opaque = ranges(10, None, &[11, 12], Some("NTI1")).expect_err("opaque");
        assert!(opaque.is_in_order);
        assert!(ranges(10, None, &[11, 12], Some("2")).is_err(), "an offset");
        assert!(ranges(10, None, &[], Some("10")).is_err(), "an empty page that goes on");
    }

    /// A9: a record that comes on two pages of an opaque list is taken once.
    #[test]
    fn the_first_range_goes_on_with_opaque_cursors_and_takes_each_record_once() {
        let repeated = judged(FIRST_RANGE, 12, Some(20), &[11, 12, 13], Some("x"));
        assert_eq!(repeated, Ok(accepted(2..3, 13, page(Cursor::Opaque("x".into()), "x"))));
        assert!(judged(FIRST_RANGE, 12, Some(20), &[7, 12, 13], Some("x")).is_err(), "7 was never read");
        let past = judged(FIRST_RANGE, 12, Some(20), &[13, 25], Some("x"));
        assert_eq!(past, Ok(accepted(0..1, 13, Next::End(Some(RecordId(25))))));
    }

    /// B5: a record that cannot be read still proves the boundary that it stands at.
    #[test]
    fn records_that_cannot_be_read_count_as_shown() {
        let asked = Asked { after: RecordId(10), before: &[], upper: Some(RecordId(20)) };
        let end = PageEnd { unreadable: ids(&[11, 21]), last_listed: Some(RecordId(22)), ..PageEnd::default() };
        let judged = accept(BY_RANGES, asked, &ids(&[12, 22]), &end);
        assert_eq!(judged, Ok(accepted(0..1, 11, Next::End(Some(RecordId(21))))));
    }

    #[test]
    fn an_opaque_list_is_followed_to_its_end() {
        let way = Way { mode: ReadMode::Sequential, ..BY_RANGES };
        let more = judged(way, 0, None, &[7, 3], Some("abc"));
        assert_eq!(more, Ok(accepted(0..2, 7, page(Cursor::Opaque("abc".into()), "abc"))));
        assert_eq!(judged(way, 0, None, &[], None).expect("the end").next, Next::End(None));
    }

    proptest! {
        /// However a list is cut into ranges, and whichever of the two forms its cursors have, reading all of them shows
        /// every record once, and neighbours see the same first id past their boundary.
        #[test]
        fn ranges_are_disjoint_and_complete(
            records in prop::collection::btree_set(1_u64..500, 0..120),
            bounds in prop::collection::btree_set(1_u64..500, 0..5),
            page_size in 1_usize..20,
            inclusive in prop::bool::ANY,
        ) {
            let all: Vec<u64> = records.into_iter().collect();
            let lowers = std::iter::once(0).chain(bounds.iter().copied());
            let uppers = bounds.iter().copied().map(Some).chain([None]);
            let mut read = Vec::new();
            let mut past_previous: Option<Option<RecordId>> = None;
            for (lower, upper) in lowers.zip(uppers) {
                let (mut from, mut start) = (lower, lower);
                let mut first_seen = None;
                let past = loop {
                    let starts = |id: &u64| if inclusive { *id >= start } else { *id > start };
                    let rest: Vec<_> = all.iter().copied().filter(starts).collect();
                    let shown = &rest[..rest.len().min(page_size)];
                    let last = shown.last().copied();
                    let next = last.filter(|_| rest.len() > page_size).map(|last| last + u64::from(inclusive));
                    let judged = ranges(from, upper, shown, next.map(|next| next.to_string()).as_deref())
                        .map_err(|e| TestCaseError::fail(e.to_string()))?;
                    first_seen = first_seen.or(judged.first_shown);
                    read.extend_from_slice(&shown[judged.rows]);
                    match judged.next {
                        Next::Page { cursor: Cursor::AfterId(id), given } => {
                            from = id.0;
                            start = given.parse().map_err(|_| TestCaseError::fail("a cursor that is no number"))?;
                        }
                        Next::Page { .. } => prop_assert!(false, "an opaque cursor"),
                        Next::End(past) => break past,
                    }
                };
                if let Some(expected) = past_previous {
                    prop_assert_eq!(expected, first_seen, "the boundary is proven");
                }
                past_previous = Some(past);
            }
            prop_assert_eq!(read, all);
        }
    }
}
