//! One record at a time.

use serde::Deserialize;
use serde_json::Value;

use super::ApiRequest;
use super::columns::after_write;
use super::errors::ApiError;
use super::reply::Reply;
use super::validate::{PropertiesInput, Validator};
use crate::data::clock::now;
use crate::data::overlay::Presence;
use crate::data::store::{Changes, Store};
use crate::json::RecordWriter;
use crate::portal::Portal;
use crate::route::Version;

#[derive(Debug, Deserialize)]
struct WriteInput {
    properties: PropertiesInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MergeInput {
    primary_object_id: Value,
    object_id_to_merge: Value,
}

pub(super) fn create(
    portal: &Portal,
    store: &Store,
    version: Version,
    request: &ApiRequest,
) -> Result<Reply, ApiError> {
    let input: WriteInput = request.json()?;
    let schema = store.schema();
    let mut validator = Validator::new(portal, &schema, version);
    let changes = validator.changes(&input.properties, None)?;
    validator.finish()?;
    let id = store.write().create(&changes, None);
    Ok(show(portal, store, id, &changes, 201))
}

pub(super) fn update(
    portal: &Portal,
    store: &Store,
    version: Version,
    id: &str,
    request: &ApiRequest,
) -> Result<Reply, ApiError> {
    let input: WriteInput = request.json()?;
    let schema = store.schema();
    let mut validator = Validator::new(portal, &schema, version);
    let (id, changes) = {
        let reading = store.read();
        let view = id.parse().ok().and_then(|id| reading.resolve(id)).ok_or_else(ApiError::not_found)?;
        (view.id, validator.changes(&input.properties, Some(&view))?)
    };
    validator.finish()?;
    if !store.write().update(id, &changes) {
        return Err(ApiError::not_found());
    }
    Ok(show(portal, store, id, &changes, 200))
}

pub(super) fn archive(store: &Store, id: &str) -> Result<Reply, ApiError> {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    // Archiving what is not there is no error.
    store.write().hide(id, Presence::Archived(now()));
    Ok(Reply::empty())
}

pub(super) fn merge(portal: &Portal, store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let input: MergeInput = request.json()?;
    let id = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).ok_or_else(ApiError::not_found);
    let (survivor, merged) = (id(&input.primary_object_id)?, id(&input.object_id_to_merge)?);
    if !store.write().merge(survivor, merged) {
        return Err(ApiError::not_found());
    }
    Ok(show(portal, store, survivor, &Changes::new(), 200))
}

fn show(portal: &Portal, store: &Store, id: u64, changes: &Changes, status: u16) -> Reply {
    let reading = store.read();
    let mut body = Vec::new();
    if let Some(view) = reading.get(id) {
        RecordWriter::new(after_write(portal, &store.schema(), changes, &view)).write(&view, &mut body);
    }
    Reply::bytes(status, body, 1)
}
