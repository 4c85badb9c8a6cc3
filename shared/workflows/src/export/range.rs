//! Reading a range page by page, and proving that the CRM honours it.
//!
//! That a list can be started at any id is unconfirmed behaviour of the CRM, so every page is held against it: ids
//! ascend, the first is above the cursor, and the CRM's next cursor is the last id that it listed. Whoever breaks a
//! rule gets its object read again from the beginning by one worker, with the CRM's own opaque cursors.

use domain::ids::RecordId;
use domain::object::ReadMode;
use domain::ports::crm::{Cursor, PageEnd};

/// A page does not fit the range that it was asked for: range starts are not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the CRM does not honour range starts: {0}")]
pub(crate) struct NotHonoured(pub &'static str);

/// What to take from a page, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// How many of the page's rows, from the first, belong to the range.
    pub rows: usize,
    /// Where to go on, or how the range ended.
    pub next: Next,
}

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another page.
    Page(Cursor),
    /// Nothing: the range ended before this id, which is past its bound, or with the list.
    End(Option<RecordId>),
}

/// Judges a page that was read at `cursor`.
///
/// # Errors
/// [`NotHonoured`] when it breaks a rule of `mode`.
pub(crate) fn accept(
    mode: ReadMode,
    cursor: &Cursor,
    upper: Option<RecordId>,
    ids: &[RecordId],
    end: &PageEnd,
) -> Result<Accepted, NotHonoured> {
    match mode {
        ReadMode::Sequential => Ok(accept_sequential(ids, end)),
        ReadMode::Ranges => accept_range(cursor, upper, ids, end),
    }
}

fn accept_sequential(ids: &[RecordId], end: &PageEnd) -> Accepted {
    let next = end.next.as_ref().map_or(Next::End(None), |text| Next::Page(Cursor::Opaque(text.clone())));
    Accepted { rows: ids.len(), next }
}

fn accept_range(
    cursor: &Cursor,
    upper: Option<RecordId>,
    ids: &[RecordId],
    end: &PageEnd,
) -> Result<Accepted, NotHonoured> {
    let Cursor::AfterId(after) = *cursor else { return Err(NotHonoured("the cursor is not an id")) };
    if !ids.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(NotHonoured("ids do not ascend"));
    }
    if ids.first().is_some_and(|first| *first <= after) {
        return Err(NotHonoured("a page begins before its cursor"));
    }
    let last_listed = end.last_listed.or(ids.last().copied());
    let next_cursor = match &end.next {
        None => None,
        Some(text) => match (RecordId::parse(text), last_listed) {
            (Ok(id), Some(last)) if id == last && id > after => Some(id),
            _ => return Err(NotHonoured("the next cursor is not the last id")),
        },
    };
    if let Some(upper) = upper {
        let rows = ids.partition_point(|id| *id <= upper);
        if rows < ids.len() {
            return Ok(Accepted { rows, next: Next::End(Some(ids[rows])) });
        }
    }
    let next = next_cursor.map_or(Next::End(None), |id| Next::Page(Cursor::AfterId(id)));
    Ok(Accepted { rows: ids.len(), next })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(of: &[u64]) -> Vec<RecordId> {
        of.iter().copied().map(RecordId).collect()
    }
    fn after(id: u64) -> Cursor {
        Cursor::AfterId(RecordId(id))
    }
    fn end(next: Option<&str>) -> PageEnd {
        PageEnd { next: next.map(str::to_owned), ..PageEnd::default() }
    }
    fn ranges(cursor: u64, upper: Option<u64>, of: &[u64], next: Option<&str>) -> Result<Accepted, NotHonoured> {
        accept(ReadMode::Ranges, &after(cursor), upper.map(RecordId), &ids(of), &end(next))
    }

    #[test]
    fn a_range_takes_what_is_in_it_and_names_what_is_past_it() {
        let more = ranges(10, Some(20), &[11, 15], Some("15"));
        assert_eq!(more, Ok(Accepted { rows: 2, next: Next::Page(after(15)) }));
        let past = ranges(10, Some(20), &[11, 20, 21], Some("21"));
        assert_eq!(past, Ok(Accepted { rows: 2, next: Next::End(Some(RecordId(21))) }));
        let empty = ranges(10, Some(20), &[30], None);
        assert_eq!(empty, Ok(Accepted { rows: 0, next: Next::End(Some(RecordId(30))) }));
        let list_end = ranges(10, Some(20), &[11], None);
        assert_eq!(list_end, Ok(Accepted { rows: 1, next: Next::End(None) }));
    }

    #[test]
    fn whoever_does_not_honour_a_range_start_is_noticed() {
        assert!(ranges(10, None, &[5, 11], Some("11")).is_err(), "started at the beginning");
        assert!(ranges(10, None, &[12, 11], Some("11")).is_err(), "out of order");
        assert!(ranges(10, None, &[11, 12], Some("NTI1Cg%3D%3D")).is_err(), "opaque cursor");
        assert!(ranges(10, None, &[11, 12], Some("13")).is_err(), "cursor of another record");
        assert!(ranges(10, None, &[], Some("10")).is_err(), "no progress");
    }

    #[test]
    fn a_record_deleted_between_list_and_read_does_not_look_like_a_fault() {
        let page = PageEnd { next: Some("12".into()), last_listed: Some(RecordId(12)), response_bytes: 0 };
        let accepted = accept(ReadMode::Ranges, &after(10), None, &ids(&[11]), &page);
        assert_eq!(accepted, Ok(Accepted { rows: 1, next: Next::Page(after(12)) }));
    }

    #[test]
    fn a_sequential_scan_follows_any_cursor() {
        let opaque = Cursor::Opaque("a".into());
        let page = accept(ReadMode::Sequential, &opaque, None, &ids(&[9, 3]), &end(Some("b")));
        assert_eq!(page, Ok(Accepted { rows: 2, next: Next::Page(Cursor::Opaque("b".into())) }));
    }

    proptest! {
        /// Reading all parts of a split list by pages of any size gives exactly the list.
        #[test]
        fn parts_of_a_list_add_up_to_it(
            all in prop::collection::btree_set(1_u64..500, 0..80),
            bounds in prop::collection::btree_set(1_u64..500, 0..6),
            page in 1_usize..9,
        ) {
            let all: Vec<_> = all.into_iter().collect();
            let mut read = Vec::new();
            let lowers = std::iter::once(0).chain(bounds.iter().copied());
            let uppers = bounds.iter().copied().map(Some).chain([None]);
            let mut past_previous: Option<Option<RecordId>> = None;
            for (lower, upper) in lowers.zip(uppers) {
                let mut cursor = lower;
                let mut first_seen = None;
                let past = loop {
                    let rest: Vec<_> = all.iter().copied().filter(|id| *id > cursor).collect();
                    let shown = &rest[..rest.len().min(page)];
                    first_seen = first_seen.or(shown.first().copied().map(RecordId));
                    let next = (rest.len() > page).then(|| shown[page - 1].to_string());
                    let accepted = ranges(cursor, upper, shown, next.as_deref())
                        .map_err(|e| TestCaseError::fail(e.to_string()))?;
                    read.extend_from_slice(&shown[..accepted.rows]);
                    match accepted.next {
                        Next::Page(Cursor::AfterId(id)) => cursor = id.0,
                        Next::Page(Cursor::Opaque(_)) => prop_assert!(false, "an opaque cursor"),
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
