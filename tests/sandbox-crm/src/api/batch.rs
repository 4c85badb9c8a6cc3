//! Up to 100 records at a time.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiRequest;
use super::columns::{Reader, after_write, columns};
use super::errors::ApiError;
use super::reply::Reply;
use super::validate::{PropertiesInput, Validator};
use crate::data::clock::{now, time_text};
use crate::data::overlay::Presence;
use crate::data::random::mix;
use crate::data::store::{Changes, Store};
use crate::json::RecordWriter;
use crate::portal::Portal;
use crate::route::Version;
use crate::schema::Schema;
use crate::variants::GoneIds;

/// Most inputs of a batch.
const MOST: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadInput {
    inputs: Vec<IdInput>,
    #[serde(default)]
    properties: Vec<String>,
    #[serde(default)]
    id_property: Option<String>,
}

#[derive(Debug, Deserialize)]
struct IdInput {
    id: Value,
}

#[derive(Debug, Deserialize)]
struct Batch<T> {
    inputs: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateInput {
    id: Value,
    properties: PropertiesInput,
    #[serde(default)]
    id_property: Option<String>,
}

#[derive(Debug, Deserialize)]
struct CreateInput {
    properties: PropertiesInput,
}

pub(super) fn read(portal: &Portal, store: &Store, version: Version, request: &ApiRequest) -> Result<Reply, ApiError> {
    let input: ReadInput = request.json()?;
    check_size(input.inputs.len())?;
    check_id_property(input.id_property.as_deref())?;
    let schema = store.schema();
    let started = now();
    let reading = store.read();
    let archived = request.flag("archived");
    let find = |id: u64| if archived { reading.archived(id) } else { reading.resolve(id) };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for input in &input.inputs {
        let text = id_text(&input.id);
        match text.parse().ok().and_then(find) {
            Some(view) => found.push(view.id),
            None => missing.push(text),
        }
    }
    // Each record once, in an order that clients should not rely on.
    found.sort_unstable_by_key(|id| mix(*id, portal.seed()));
    found.dedup();
    let gone_ids = portal.settings().variants.gone_ids;
    if !missing.is_empty() && matches!(gone_ids, GoneIds::Refused | GoneIds::RefusedUnnamed) {
        return Err(ApiError::records_not_found((gone_ids == GoneIds::Refused).then_some(missing)));
    }
    let names_missing = version == Version::V3 || gone_ids == GoneIds::Named;
    let mut writer = RecordWriter::new(columns(portal, &schema, &input.properties, Reader::Other)?);
    let mut results = vec![b'['];
    for view in found.iter().filter_map(|id| reading.get(*id)) {
        if results.len() > 1 {
            results.push(b',');
        }
        writer.write(&view, &mut results);
    }
    results.push(b']');
    Ok(batch_reply(200, &results, found.len(), &missing_errors(names_missing, &schema, &missing), started))
}

pub(super) fn update(
    portal: &Portal,
    store: &Store,
    version: Version,
    request: &ApiRequest,
) -> Result<Reply, ApiError> {
    let batch: Batch<UpdateInput> = request.json()?;
    check_size(batch.inputs.len())?;
    let schema = store.schema();
    let started = now();
    let mut writes = Vec::new();
    let (mut missing, mut seen) = (Vec::new(), HashSet::new());
    let mut validator = Validator::new(portal, &schema, version);
    {
        let reading = store.read();
        for input in &batch.inputs {
            check_id_property(input.id_property.as_deref())?;
            let text = id_text(&input.id);
            if !seen.insert(text.clone()) {
                return Err(ApiError::invalid(format!("Duplicate IDs found in batch input: [{text}]")));
            }
            let view = text.parse().ok().and_then(|id| reading.resolve(id));
            let changes = validator.changes(&input.properties, view.as_ref())?;
            match view {
                Some(view) => writes.push((view.id, changes)),
                None => missing.push(text),
            }
        }
    }
    validator.finish()?;
    let mut writing = store.write();
    writes.retain(|(id, changes)| writing.update(*id, changes));
    drop(writing);
    let results = write_results(portal, store, &schema, &writes);
    let errors = missing_errors(version == Version::V3, &schema, &missing);
    Ok(batch_reply(200, &results, writes.len(), &errors, started))
}

pub(super) fn create(
    portal: &Portal,
    store: &Store,
    version: Version,
    request: &ApiRequest,
) -> Result<Reply, ApiError> {
    let batch: Batch<CreateInput> = request.json()?;
    check_size(batch.inputs.len())?;
    let schema = store.schema();
    let started = now();
    let mut validator = Validator::new(portal, &schema, version);
    let checked: Result<Vec<Changes>, ApiError> =
        batch.inputs.iter().map(|input| validator.changes(&input.properties, None)).collect();
    let checked = checked?;
    validator.finish()?;
    let mut writing = store.write();
    let writes: Vec<(u64, Changes)> =
        checked.into_iter().map(|changes| (writing.create(&changes, None), changes)).collect();
    drop(writing);
    let results = write_results(portal, store, &schema, &writes);
    Ok(batch_reply(201, &results, writes.len(), &[], started))
}

pub(super) fn archive(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let batch: Batch<IdInput> = request.json()?;
    check_size(batch.inputs.len())?;
    let mut writing = store.write();
    for id in batch.inputs.iter().filter_map(|input| id_text(&input.id).parse().ok()) {
        writing.hide(id, Presence::Archived(now()));
    }
    Ok(Reply::empty())
}

/// The records after a write, with the properties that it touched.
fn write_results(portal: &Portal, store: &Store, schema: &Schema, writes: &[(u64, Changes)]) -> Vec<u8> {
    let reading = store.read();
    let mut results = vec![b'['];
    for (id, changes) in writes {
        let Some(view) = reading.get(*id) else { continue };
        if results.len() > 1 {
            results.push(b',');
        }
        RecordWriter::new(after_write(portal, schema, changes, &view)).write(&view, &mut results);
    }
    results.push(b']');
    results
}

/// The error that names ids which do not exist, where they are not just absent.
fn missing_errors(are_named: bool, schema: &Schema, missing: &[String]) -> Vec<Value> {
    if !are_named || missing.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "Could not get some {} objects, they may be deleted or not exist. Check that ids are valid.",
        schema.singular.to_uppercase()
    );
    vec![json!({
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": message,
        "context": {"ids": missing},
    })]
}

fn batch_reply(status: u16, results: &[u8], records: usize, errors: &[Value], started: i64) -> Reply {
    let mut body = b"{\"status\":\"COMPLETE\",\"results\":".to_vec();
    body.extend_from_slice(results);
    if !errors.is_empty() {
        let text = format!(",\"numErrors\":{},\"errors\":{}", errors.len(), Value::Array(errors.to_vec()));
        body.extend_from_slice(text.as_bytes());
    }
    let times = format!(",\"startedAt\":\"{}\",\"completedAt\":\"{}\"}}", time_text(started), time_text(now()));
    body.extend_from_slice(times.as_bytes());
    Reply::bytes(if errors.is_empty() { status } else { 207 }, body, records)
}

fn check_size(inputs: usize) -> Result<(), ApiError> {
    match inputs {
        0 => Err(ApiError::invalid("Some required fields were not set: [inputs]")),
        1..=MOST => Ok(()),
        _ => Err(ApiError::invalid(format!("The number of inputs in a batch is limited to {MOST}, but was {inputs}"))),
    }
}

/// Records are known by their ids only.
fn check_id_property(id_property: Option<&str>) -> Result<(), ApiError> {
    match id_property {
        None | Some("") => Ok(()),
        Some(name) => Err(ApiError::invalid(format!("Unable to perform this by non-unique property {name}"))),
    }
}

fn id_text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}
