//! Pages of records.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ApiRequest;
use super::columns::{Reader, columns};
use super::errors::ApiError;
use super::reply::Reply;
use crate::data::random::mix;
use crate::data::store::Store;
use crate::data::view::RecordView;
use crate::faults::Cursors;
use crate::json::{RecordWriter, write_string};
use crate::portal::Portal;
use crate::schema::Schema;

/// Most records of a page, and of a batch.
const MOST: usize = 100;
/// How many records a start in the middle loses under [`Cursors::Skip`].
const SKIPPED: usize = 7;
/// A number that no id reaches, for the cursors of empty pages.
const FIRST_BEYOND: u64 = 9_000_000_000_000_000;

/// Where a page begins.
enum Start {
    After(u64),
    /// After so many records.
    Offset(usize),
    /// After this id and so many records more.
    AfterAndSkip(u64),
}

pub(super) fn list(portal: &Portal, store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let schema = store.schema();
    let limit = limit(request, 10, MOST)?;
    let settings = portal.settings();
    let cursors = settings.faults.cursors;
    let start = start(portal, &schema, cursors, request.parameter("after"))?;
    let archived = request.flag("archived");
    let mut writer = RecordWriter::new(columns(portal, &schema, &request.property_names(), Reader::List)?);
    let (from, skip) = match start {
        Start::After(id) => (id, 0),
        Start::Offset(passed) => (0, passed),
        Start::AfterAndSkip(id) => (id, SKIPPED),
    };
    let page = {
        let reading = store.read();
        if archived {
            write_page(reading.archived_after(from).skip(skip), limit, &mut writer)
        } else {
            write_page(reading.live_after(from).skip(skip), limit, &mut writer)
        }
    };
    let next = page.more.then(|| match cursors {
        Cursors::Opaque => seal(portal.seed(), page.last_but(settings.faults.repeats)),
        Cursors::Offsets => (skip + page.ids.len()).to_string(),
        Cursors::NextId => (page.last() + 1).to_string(),
        Cursors::Ids | Cursors::Restart | Cursors::Refuse | Cursors::Skip => {
            portal.hand_out(&schema.name, page.last());
            page.last().to_string()
        }
    });
    let mut body = page.body;
    end_page(next.as_deref(), request, &mut body);
    if !archived {
        portal.churn(store);
    }
    Ok(Reply::bytes(200, body, page.ids.len()))
}

struct Page {
    body: Vec<u8>,
    ids: Vec<u64>,
    more: bool,
}

impl Page {
    fn last(&self) -> u64 {
        self.last_but(0)
    }

    /// The id after which so many of the page's records come again; the last id when the page has no more than these.
    fn last_but(&self, repeats: u32) -> u64 {
        let again = usize::try_from(repeats).unwrap_or(usize::MAX);
        let place = self.ids.len().checked_sub(again + 1).unwrap_or(self.ids.len().saturating_sub(1));
        self.ids.get(place).copied().unwrap_or(0)
    }
}

fn write_page<'a>(mut views: impl Iterator<Item = RecordView<'a>>, limit: usize, writer: &mut RecordWriter) -> Page {
    let mut page = Page { body: b"{\"results\":[".to_vec(), ids: Vec::with_capacity(limit), more: false };
    while let Some(view) = views.next() {
        if !page.ids.is_empty() {
            page.body.push(b',');
        }
        writer.write(&view, &mut page.body);
        page.ids.push(view.id);
        if page.ids.len() == limit {
            page.more = views.next().is_some();
            break;
        }
    }
    page.body.push(b']');
    page
}

/// Ends a page with the way to the next, which clients follow as an absolute URL.
pub(super) fn end_page(next: Option<&str>, request: &ApiRequest, body: &mut Vec<u8>) {
    if let Some(after) = next {
        let mut link = format!("{}{}?", request.origin, request.path);
        for (name, value) in request.query.iter().filter(|(name, _)| name != "after") {
            let _ = write!(link, "{}={}&", encoded(name), encoded(value));
        }
        let _ = write!(link, "after={}", encoded(after));
        body.extend_from_slice(b",\"paging\":{\"next\":{\"after\":");
        write_string(after, body);
        body.extend_from_slice(b",\"link\":");
        write_string(&link, body);
        body.extend_from_slice(b"}}");
    }
    body.push(b'}');
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The page size that is asked for.
pub(super) fn limit(request: &ApiRequest, default: usize, most: usize) -> Result<usize, ApiError> {
    let Some(text) = request.parameter("limit") else { return Ok(default) };
    let limit = text.parse::<usize>().ok().filter(|limit| *limit > 0);
    let limit =
        limit.ok_or_else(|| ApiError::invalid(format!("Invalid integer value in query parameter limit: {text}")))?;
    if limit > most {
        return Err(ApiError::invalid(format!("Limit must be less than or equal to {most}, but was {limit}")));
    }
    Ok(limit)
}

fn start(portal: &Portal, schema: &Schema, cursors: Cursors, after: Option<&str>) -> Result<Start, ApiError> {
    let Some(after) = after.filter(|after| !after.is_empty()) else { return Ok(Start::After(0)) };
    let refused = || ApiError::invalid(format!("Invalid paging offset: {after}"));
    if cursors == Cursors::Opaque {
        let after = before_empty_pages(after);
        return if after.is_empty() {
            Ok(Start::After(0))
        } else {
            unseal(portal.seed(), after).map(Start::After).ok_or_else(refused)
        };
    }
    let number = after.parse::<u64>().map_err(|_| refused())?;
    if number == 0 {
        return Ok(Start::After(0));
    }
    let known = portal.was_handed_out(&schema.name, number);
    match cursors {
        Cursors::NextId => Ok(Start::After(number - 1)),
        Cursors::Offsets => Ok(Start::Offset(usize::try_from(number).map_err(|_| refused())?)),
        Cursors::Restart if !known => Ok(Start::After(0)),
        Cursors::Refuse if !known => Err(refused()),
        Cursors::Skip if !known => Ok(Start::AfterAndSkip(number)),
        _ => Ok(Start::After(number)),
    }
}

/// A cursor for the page after an empty one: where cursors are opaque it leads to the place where the empty page was,
/// and where they are numbers only to more empty pages.
pub(super) fn after_empty_page(cursors: Cursors, after: &str) -> String {
    static EMPTY_PAGES: AtomicU64 = AtomicU64::new(1);
    let number = EMPTY_PAGES.fetch_add(1, Ordering::Relaxed);
    if cursors == Cursors::Opaque {
        format!("E{number}.{}", before_empty_pages(after))
    } else {
        (FIRST_BEYOND + number).to_string()
    }
}

/// A cursor without what [`after_empty_page`] put before it.
pub(super) fn before_empty_pages(after: &str) -> &str {
    let number = after.strip_prefix('E').and_then(|rest| rest.split_once('.'));
    number.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit())).map_or(after, |(_, rest)| rest)
}

/// A cursor that only this portal can make or read.
pub(super) fn seal(seed: u64, id: u64) -> String {
    let sealed = (id ^ mix(seed, 0x5EA1)).rotate_left(23);
    format!("NTQ{sealed:016x}{:04x}", mix(sealed, seed) & 0xFFFF)
}

/// The id in a cursor made by [`seal`].
pub(super) fn unseal(seed: u64, cursor: &str) -> Option<u64> {
    let digits = cursor.strip_prefix("NTQ").filter(|digits| digits.len() == 20 && digits.is_ascii())?;
    let sealed = u64::from_str_radix(&digits[..16], 16).ok()?;
    let check = u64::from_str_radix(&digits[16..], 16).ok()?;
    (mix(sealed, seed) & 0xFFFF == check).then_some(sealed.rotate_right(23) ^ mix(seed, 0x5EA1))
}

pub(super) fn one(portal: &Portal, store: &Store, id: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let schema = store.schema();
    let id = id.parse::<u64>().map_err(|_| ApiError::not_found())?;
    let archived = request.flag("archived");
    let reading = store.read();
    let found = if archived { reading.archived(id) } else { reading.resolve(id) };
    let view = found.ok_or_else(ApiError::not_found)?;
    let mut body = Vec::new();
    RecordWriter::new(columns(portal, &schema, &request.property_names(), Reader::Other)?).write(&view, &mut body);
    Ok(Reply::bytes(200, body, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_cursors_open_only_with_the_portals_seed() {
        let cursor = seal(7, 1_234_567);
        assert_eq!(unseal(7, &cursor), Some(1_234_567));
        assert_eq!(unseal(8, &cursor), None);
        assert_eq!(unseal(7, "1234567"), None);
        assert!(cursor.parse::<u64>().is_err());
    }

    #[test]
    fn the_next_link_is_absolute_and_repeats_the_query() {
        let request = ApiRequest {
            path: "/crm/v3/objects/contacts".to_owned(),
            query: vec![("limit".to_owned(), "2".to_owned()), ("after".to_owned(), "5".to_owned())],
            origin: "http://127.0.0.1:8080".to_owned(),
            body: bytes::Bytes::new(),
        };
        let mut body = b"{\"results\":[]".to_vec();
        end_page(Some("9"), &request, &mut body);
        let page: serde_json::Value = serde_json::from_slice(&body).expect("valid JSON");
        let link = page["paging"]["next"]["link"].as_str().expect("a link");
        assert_eq!(link, "http://127.0.0.1:8080/crm/v3/objects/contacts?limit=2&after=9");
    }
}
