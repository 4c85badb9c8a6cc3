//! Conversation threads.

use serde_json::{Map, Value};

use super::ApiRequest;
use super::errors::ApiError;
use super::list::{before_empty_pages, end_page, limit, seal, unseal};
use super::reply::Reply;
use crate::data::store::{Reading, Store};
use crate::data::view::RecordView;
use crate::portal::Portal;
use crate::property::Kind;
use crate::schema::Schema;
use crate::variants::{ThreadOrder, ThreadSort};

pub(super) fn list(portal: &Portal, store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let schema = store.schema();
    let limit = limit(request, 100, portal.settings().variants.most_threads)?;
    let order = order(portal, request)?;
    let place = match request.parameter("after").map(before_empty_pages).filter(|after| !after.is_empty()) {
        None => 0,
        Some(cursor) => unseal(portal.seed(), cursor)
            .ok_or_else(|| ApiError::invalid(format!("Invalid paging offset: {cursor}")))?,
    };
    let (results, next) = {
        let reading = store.read();
        let (page, next) = page(&reading, order, place, limit);
        let results: Vec<Value> = page.iter().map(|view| describe(&schema, view)).collect();
        (results, next)
    };
    let records = results.len();
    let mut body = b"{\"results\":".to_vec();
    body.extend_from_slice(Value::Array(results).to_string().as_bytes());
    end_page(next.map(|next| seal(portal.seed(), next)).as_deref(), request, &mut body);
    portal.churn(store);
    Ok(Reply::bytes(200, body, records))
}

/// The order of the list: what is asked for, or what is usual in the portal.
fn order(portal: &Portal, request: &ApiRequest) -> Result<ThreadOrder, ApiError> {
    let variants = &portal.settings().variants;
    let Some(wish) = request.parameter("sort").filter(|wish| !wish.is_empty()) else {
        return Ok(variants.thread_order);
    };
    match (variants.thread_sort, wish) {
        (ThreadSort::Ignored, _) => Ok(variants.thread_order),
        (ThreadSort::Honoured, "id") => Ok(ThreadOrder::Id),
        (ThreadSort::Honoured, "latestMessageTimestamp") => Ok(ThreadOrder::LatestLast),
        (ThreadSort::Honoured | ThreadSort::Refused, _) => {
            Err(ApiError::invalid(format!("Threads cannot be sorted by {wish}")))
        }
    }
}

/// The threads of a page and the place where the next one begins: after an id, or after so many threads of a list that
/// is in no order of ids.
fn page<'a>(
    reading: &'a Reading<'a>,
    order: ThreadOrder,
    place: u64,
    limit: usize,
) -> (Vec<RecordView<'a>>, Option<u64>) {
    if order == ThreadOrder::Id {
        let mut views = reading.live_after(place);
        let page: Vec<RecordView<'_>> = views.by_ref().take(limit).collect();
        let last = page.last().map(|view| view.id);
        return (page, last.filter(|_| views.next().is_some()));
    }
    let mut views: Vec<RecordView<'_>> = reading.live_after(0).collect();
    views.sort_by_key(|view| (view.updated_at(), view.id));
    if order == ThreadOrder::LatestFirst {
        views.reverse();
    }
    let passed = usize::try_from(place).unwrap_or(usize::MAX);
    let more = views.len() > passed.saturating_add(limit);
    let page = views.into_iter().skip(passed).take(limit).collect();
    (page, more.then_some(place + limit as u64))
}

pub(super) fn one(store: &Store, id: &str) -> Result<Reply, ApiError> {
    let schema = store.schema();
    let id = id.parse::<u64>().map_err(|_| ApiError::not_found())?;
    let reading = store.read();
    let view = reading.resolve(id).ok_or_else(ApiError::not_found)?;
    Ok(Reply::json(200, &describe(&schema, &view)))
}

/// A thread as the API shows it. Fields without a value are left out.
fn describe(schema: &Schema, view: &RecordView<'_>) -> Value {
    let mut thread = Map::new();
    for property in schema.properties() {
        if let Some(value) = view.value(property) {
            let value = match property.kind {
                Kind::Bool => Value::Bool(value == "true"),
                _ => Value::String(value),
            };
            thread.insert(property.name.clone(), value);
        }
    }
    Value::Object(thread)
}
