//! Reads a range page by page, and checks that the CRM honours it.
//!
//! It is unconfirmed that the CRM's list can be started at any id. So every page is checked: ids ascend, the first is
//! above the cursor, and the CRM's next cursor is the last id on the page, or that id plus one. HubSpot's guide shows
//! the second form, recordings show both. If a list starts *at* its cursor, its first record can be the one that was
//! read last; it is dropped. An object whose list breaks a rule is read again from the beginning: by searching for ids
//! if the CRM supports it, otherwise by one worker with the CRM's own cursors.

use std::ops::Range;

use domain::ids::RecordId;
use domain::object::ListUse;
use domain::ports::crm::{Cursor, PageEnd, PageSource};
use domain::ports::crm_model::ReadMode;

/// A page does not fit the requested range: the CRM does not honour range starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the CRM does not honour range starts: {reason}")]
pub(crate) struct NotHonoured {
    /// The broken rule, as part of a sentence.
    pub reason: &'static str,
    /// Whether the records came in the order of their ids nevertheless.
    pub is_in_order: bool,
}

impl NotHonoured {
    /// The records were in order, but the cursor is wrong.
    pub(crate) const fn in_order(reason: &'static str) -> Self {
        Self { reason, is_in_order: true }
    }

    /// The order is unknown.
    pub(crate) const fn of(reason: &'static str) -> Self {
        Self { reason, is_in_order: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// By ranges, or from the beginning to the end.
    pub mode: ReadMode,
    pub list_use: ListUse,
    pub source: PageSource,
}

/// The request for a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The highest id that was read before, or the range's lower bound.
    pub after: RecordId,
    /// The ids of the page before, if this run read it.
    pub before: &'a [RecordId],
    pub upper: Option<RecordId>,
}

/// The rows to take from a page, and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The page's rows that belong to the range and were not read before.
    pub rows: Range<usize>,
    /// The first id above those that were read before, even if it is past the range's end.
    pub first_shown: Option<RecordId>,
    pub next: Next,
}

/// The step after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another page: its start, as stored in the ledger and as given by the CRM.
    Page {
        /// The cursor that a later run uses.
        cursor: Cursor,
        /// The cursor that the same run uses.
        given: String,
    },
    /// No page: the range ended before this id, which is past its bound, or with the list.
    End(Option<RecordId>),
}

/// Checks a page.
///
/// # Errors
/// [`NotHonoured`] if it breaks a rule.
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
    // A list with opaque cursors may repeat records of one page on the next. Other records below the cursor were never
    // read.
    let may_repeat = way.list_use == ListUse::FirstRange && way.source == PageSource::List;
    let was_read = |id: &RecordId| *id == asked.after || may_repeat && asked.before.contains(id);
    if !ids[..known].iter().all(was_read) {
        return Err(NotHonoured::of("a page starts before its cursor"));
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

/// The start of the next page, from the list's own cursor.
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
    fn a_range_takes_its_records_and_returns_the_first_id_past_it() {
        assert_eq!(ranges(10, Some(20), &[11, 15], Some("15")), Ok(accepted(0..2, 11, page(after(15), "15"))));
        let past = ranges(10, Some(20), &[11, 20, 21], Some("21"));
        assert_eq!(past, Ok(accepted(0..2, 11, Next::End(Some(RecordId(21))))));
        assert_eq!(ranges(10, Some(20), &[30], None), Ok(accepted(0..0, 30, Next::End(Some(RecordId(30))))));
        assert_eq!(ranges(10, Some(20), &[11], None), Ok(accepted(0..1, 11, Next::End(None))));
    }

    /// C1: `last id + 1` is as valid a cursor as `last id`.
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

    /// A9: a record that is on two pages of an opaque list is taken once.
    #[test]
    fn the_first_range_goes_on_with_opaque_cursors_and_takes_each_record_once() {
        let repeated = judged(FIRST_RANGE, 12, Some(20), &[11, 12, 13], Some("x"));
        assert_eq!(repeated, Ok(accepted(2..3, 13, page(Cursor::Opaque("x".into()), "x"))));
        assert!(judged(FIRST_RANGE, 12, Some(20), &[7, 12, 13], Some("x")).is_err(), "7 was never read");
        let past = judged(FIRST_RANGE, 12, Some(20), &[13, 25], Some("x"));
        assert_eq!(past, Ok(accepted(0..1, 13, Next::End(Some(RecordId(25))))));
    }

    /// B5: an unreadable record still proves the boundary next to it.
    #[test]
    fn unreadable_records_count_as_seen() {
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
        /// With any division of a list into ranges, and with both forms of cursors, reading all ranges yields every
        /// record once, and neighbours see the same first id past their boundary.
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
