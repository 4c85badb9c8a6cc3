//! Lists of the API, which come page by page.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::http::Request;
use crate::problem::Problem;

/// Items on a page, unless the request says otherwise.
const PAGE: u32 = 20;
const LONGEST_PAGE: u32 = 100;

/// Which page of a list a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery<I> {
    /// Items at most, 1 to 100.
    pub limit: u32,
    /// The last item of the page before; None for the first page.
    pub after: Option<I>,
}

impl<I> PageQuery<I> {
    /// Reads the query parameters `limit` and `cursor`; `parse` reads an item's id.
    ///
    /// # Errors
    /// A 400 problem that names the parameter at fault.
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

/// The cursor of the page after the one that ends with the item of this id. Clients need not know that it is an id, so
/// it does not look like one.
pub fn cursor(last: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last)
}

fn parse_cursor<I, E>(text: &str, parse: impl FnOnce(&str) -> Result<I, E>) -> Result<I, Problem> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let last = decoded.and_then(|text| parse(&text).ok());
    last.ok_or_else(|| Problem::parameter_invalid("cursor", "It must be the `next` of an earlier answer."))
}
