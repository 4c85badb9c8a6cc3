//! Pages of the API's lists.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::problem::Problem;
use crate::request::Request;

/// Items per page without `limit`.
const PAGE: u32 = 20;
const LONGEST_PAGE: u32 = 100;

/// The most bytes of a page's items; a single item may have more. A function's answer may have 6 MB.
const LARGEST_PAGE: usize = 1_000_000;

/// The page of a list that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery<I> {
    /// At most this many items, 1 to 100.
    pub limit: u32,
    /// The last item of the previous page; `None` for the first page.
    pub after: Option<I>,
}

impl<I> PageQuery<I> {
    /// Reads the query parameters `limit` and `cursor`; `parse` reads an item's id.
    ///
    /// # Errors
    /// A 400 problem that names the invalid parameter.
    pub fn of<E>(request: &Request, parse: impl FnOnce(&str) -> Result<I, E>) -> Result<Self, Problem> {
        let limit = request.query("limit").map_or(Ok(PAGE), parse_limit)?;
        let after = request.query("cursor").map(|text| parse_cursor(text, parse)).transpose()?;
        Ok(Self { limit, after })
    }
}

fn parse_limit(text: &str) -> Result<u32, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
    limit.ok_or_else(|| {
        Problem::parameter_invalid("limit", format!("It must be a whole number from 1 to {LONGEST_PAGE}."))
    })
}

/// The cursor of the page after the item with the id `last`. It is encoded so that clients do not rely on its content.
pub fn cursor(last: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last)
}

/// Whether a page leaves no entry out; then its `leftOut` is absent.
pub const fn is_zero(left_out: &usize) -> bool {
    *left_out == 0
}

fn parse_cursor<I, E>(text: &str, parse: impl FnOnce(&str) -> Result<I, E>) -> Result<I, Problem> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let last = decoded.and_then(|text| parse(&text).ok());
    last.ok_or_else(|| Problem::parameter_invalid("cursor", "It must be the `next` of an earlier page."))
}

/// The first of `items` that fit into one answer, and the cursor of the next page. If all fit, this is the cursor for
/// `next`; otherwise `id` gives the id of the last item that fits, by its place.
///
/// # Panics
/// If an item does not serialise to JSON, which is a bug in its type.
pub fn within_bounds<T: Serialize>(
    mut items: Vec<T>,
    id: impl Fn(usize) -> String,
    next: Option<&str>,
) -> (Vec<T>, Option<String>) {
    let mut bytes = 0;
    let too_many = items.iter().position(|item| {
        bytes += serde_json::to_vec(item).expect("answers are plain data").len();
        bytes > LARGEST_PAGE
    });
    match too_many.map(|place| place.max(1)).filter(|taken| *taken < items.len()) {
        None => (items, next.map(cursor)),
        Some(taken) => {
            items.truncate(taken);
            (items, Some(cursor(&id(taken - 1))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D7: a page ends early instead of being too large to send, and no item is lost.
    #[test]
    fn a_page_of_large_items_ends_early_with_a_cursor() {
        let page = |count: usize, bytes: usize, next: Option<&str>| {
            let items = vec!["x".repeat(bytes); count];
            let (taken, next) = within_bounds(items, |place| format!("id-{place}"), next);
            (taken.len(), next)
        };
        assert_eq!(page(100, 9_000, None), (100, None));
        assert_eq!(page(100, 9_000, Some("id-99")), (100, Some(cursor("id-99"))));
        assert_eq!(page(60, 58_000, None), (17, Some(cursor("id-16"))));
        assert_eq!(page(2, 2_000_000, None), (1, Some(cursor("id-0"))));
        assert_eq!(page(1, 2_000_000, None), (1, None));
        assert_eq!(page(0, 0, None), (0, None));
    }
}
