//! Conversation threads.

use serde_json::{Map, Value};

use super::ApiRequest;
use super::errors::ApiError;
use super::list::{end_page, limit, seal, unseal};
use super::reply::Reply;
use crate::data::store::Store;
use crate::data::view::RecordView;
use crate::portal::Portal;
use crate::property::Kind;
use crate::schema::Schema;

/// Most threads of a page.
const MOST: usize = 500;

pub(super) fn list(portal: &Portal, store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let schema = store.schema();
    let limit = limit(request, 100, MOST)?;
    let after = match request.parameter("after").filter(|after| !after.is_empty()) {
        None => 0,
        Some(cursor) => unseal(portal.seed(), cursor)
            .ok_or_else(|| ApiError::invalid(format!("Invalid paging offset: {cursor}")))?,
    };
    let (results, last, more) = {
        let reading = store.read();
        let mut views = reading.live_after(after);
        let page: Vec<RecordView<'_>> = views.by_ref().take(limit).collect();
        let results: Vec<Value> = page.iter().map(|view| describe(&schema, view)).collect();
        (results, page.last().map_or(0, |view| view.id), views.next().is_some())
    };
    let records = results.len();
    let mut body = b"{\"results\":".to_vec();
    body.extend_from_slice(Value::Array(results).to_string().as_bytes());
    end_page(more.then(|| seal(portal.seed(), last)).as_deref(), request, &mut body);
    portal.churn(store);
    Ok(Reply::bytes(200, body, records))
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
