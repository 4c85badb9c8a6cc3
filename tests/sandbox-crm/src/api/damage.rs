//! Applies faults to answers.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ApiRequest;
use super::errors::{ApiError, correlation_id};
use super::list::{after_empty_page, end_page};
use super::reply::Reply;
use crate::data::clock::{now, time_text};
use crate::faults::{Cursors, Fault, ScriptedFault};
use crate::portal::Portal;
use crate::route::Endpoint;
use crate::variants::Refusal;

/// More bytes than a careful client reads.
const OVERSIZE: usize = 129 * 1024 * 1024;

/// The refusal that a fault stands for.
pub(super) const fn refusal(fault: Fault) -> Option<Refusal> {
    match fault {
        Fault::MissingScopes => Some(Refusal::Scopes),
        Fault::UnnamedScopes => Some(Refusal::UnnamedScopes),
        Fault::Uncategorised => Some(Refusal::Uncategorised),
        Fault::Forbidden => Some(Refusal::Forbidden),
        Fault::MissingPermission => Some(Refusal::Permission),
        Fault::BlockPage => Some(Refusal::BlockPage),
        _ => None,
    }
}

/// The answer of a fault that replaces the endpoint's answer.
pub(super) fn instead(
    portal: &Portal,
    endpoint: Endpoint,
    request: &ApiRequest,
    scripted: &ScriptedFault,
) -> Option<Reply> {
    let error = |status, category, message: &str| Some(ApiError::new(status, category, message).reply());
    match scripted.fault {
        Fault::TooManyRequests => error(429, "RATE_LIMITS", "Too many requests"),
        Fault::InternalError => error(500, "INTERNAL_ERROR", "internal error"),
        Fault::BadGateway => Some(Reply::html(502, "Bad Gateway")),
        Fault::ServiceUnavailable => Some(Reply::html(503, "Service Temporarily Unavailable")),
        Fault::GatewayTimeout => Some(Reply::html(504, "Gateway Time-out")),
        Fault::NotFoundPage => Some(Reply::html(404, "Not Found")),
        Fault::HtmlPage => Some(Reply::html(200, "Please wait")),
        Fault::Locked => error(423, "LOCKED", "This resource is locked by another operation; try again later"),
        Fault::Migrating => {
            let reply = error(477, "MIGRATION_IN_PROGRESS", "The account is being moved to another data centre");
            reply.map(|reply| Reply { retry_after: Some(2), ..reply })
        }
        Fault::TokenExpired => Some(ApiError::bad_token().reply()),
        Fault::ObjectNotFound => {
            let ids = (endpoint == Endpoint::BatchRead).then(|| input_ids(request));
            Some(ApiError::records_not_found(ids).reply())
        }
        Fault::ErrorDocument => Some(error_document(scripted)),
        Fault::EmptyPage if matches!(endpoint, Endpoint::List | Endpoint::Threads) => {
            Some(empty_page(portal, endpoint, request))
        }
        _ => None,
    }
}

fn error_document(scripted: &ScriptedFault) -> Reply {
    let document = json!({
        "status": "error",
        "message": "internal error",
        "correlationId": correlation_id(),
        "category": scripted.category.as_deref().unwrap_or("INTERNAL_ERROR"),
    });
    Reply::json(200, &document)
}

fn empty_page(portal: &Portal, endpoint: Endpoint, request: &ApiRequest) -> Reply {
    // Threads have opaque cursors in any case.
    let cursors = if endpoint == Endpoint::Threads { Cursors::Opaque } else { portal.settings().faults.cursors };
    let next = after_empty_page(cursors, request.parameter("after").unwrap_or_default());
    let mut body = b"{\"results\":[]".to_vec();
    end_page(Some(&next), request, &mut body);
    Reply::bytes(200, body, 0)
}

/// The inputs that a fault removes from a batch before the batch is carried out.
pub(super) struct Chosen {
    pub(super) ids: Vec<String>,
    /// Whether none is left.
    pub(super) is_everything: bool,
}

/// The request without the inputs that a fault concerns.
pub(super) fn without_some(
    endpoint: Endpoint,
    request: &ApiRequest,
    scripted: &ScriptedFault,
) -> (ApiRequest, Option<Chosen>) {
    let is_batch = matches!(endpoint, Endpoint::BatchRead | Endpoint::BatchUpdate);
    let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let inputs =
        body.get_mut("inputs").and_then(Value::as_array_mut).filter(|_| is_batch && takes_some(scripted.fault));
    let Some(inputs) = inputs else { return (request.clone(), None) };
    let hit = hit(inputs, &scripted.ids);
    let mut ids = Vec::new();
    inputs.retain(|input| {
        let id = id_of(input);
        let stays = !hit.contains(&id);
        if !stays {
            ids.push(id);
        }
        stays
    });
    let chosen = Chosen { ids, is_everything: inputs.is_empty() };
    (ApiRequest { body: Bytes::from(body.to_string()), ..request.clone() }, Some(chosen))
}

const fn takes_some(fault: Fault) -> bool {
    matches!(fault, Fault::PartialErrors | Fault::LeftOut | Fault::Pending | Fault::Processing | Fault::Canceled)
}

/// The ids of `records` that a fault concerns: those that it names, or else every second one, or the only one.
fn hit(records: &[Value], named: &[u64]) -> HashSet<String> {
    if !named.is_empty() {
        return named.iter().map(u64::to_string).collect();
    }
    let first = usize::from(records.len() > 1);
    records.iter().skip(first).step_by(2).map(id_of).collect()
}

/// A record's id, or a definition's name.
fn id_of(record: &Value) -> String {
    let id = if record["id"].is_null() { &record["name"] } else { &record["id"] };
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn input_ids(request: &ApiRequest) -> Vec<String> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["inputs"].as_array().into_iter().flatten().map(id_of).collect()
}

/// The answer to a batch without inputs.
pub(super) fn empty_batch() -> Reply {
    let at = time_text(now());
    Reply::json(200, &json!({"status": "COMPLETE", "results": [], "startedAt": at, "completedAt": at}))
}

/// Applies a fault to a successful answer. `taken` are the inputs that the fault removed from a batch.
pub(super) fn afterwards(reply: Reply, taken: Option<Vec<String>>, scripted: &ScriptedFault) -> Reply {
    if scripted.fault == Fault::Oversized {
        let mut body = vec![b' '; OVERSIZE.saturating_sub(reply.body.len())];
        body.extend_from_slice(&reply.body);
        return Reply { body, ..reply };
    }
    if scripted.fault == Fault::ByteOrderMark {
        return Reply { body: [b"\xEF\xBB\xBF".as_slice(), &reply.body].concat(), ..reply };
    }
    let alters = takes_some(scripted.fault)
        || matches!(scripted.fault, Fault::NumericIds | Fault::NullProperties | Fault::LackingMembers);
    if !alters || reply.status >= 300 {
        return reply;
    }
    let Ok(mut document) = serde_json::from_slice::<Value>(&reply.body) else { return reply };
    let Some(results) = document.get_mut("results").and_then(Value::as_array_mut) else { return reply };
    let mut status = reply.status;
    match scripted.fault {
        Fault::NumericIds => results.iter_mut().for_each(make_id_a_number),
        Fault::NullProperties => {
            let hit = hit(results, &scripted.ids);
            let concerned = results.iter_mut().filter(|record| hit.contains(&id_of(record)));
            concerned.for_each(|record| record["properties"] = Value::Null);
        }
        Fault::LackingMembers => results.iter_mut().filter_map(Value::as_object_mut).for_each(|entry| {
            entry.retain(|name, _| !scripted.members.contains(name));
        }),
        _ => {
            let gone = taken.unwrap_or_else(|| take_out(results, &scripted.ids));
            status = tell(&mut document, &gone, status, scripted);
        }
    }
    let records = document["results"].as_array().map_or(0, Vec::len);
    Reply { status, retry_after: reply.retry_after, ..Reply::bytes(status, document.to_string().into_bytes(), records) }
}

fn make_id_a_number(record: &mut Value) {
    if let Some(id) = record["id"].as_str().and_then(|id| id.parse::<u64>().ok()) {
        record["id"] = json!(id);
    }
}

/// Removes the results that a fault concerns from a list.
fn take_out(results: &mut Vec<Value>, named: &[u64]) -> Vec<String> {
    let hit = hit(results, named);
    let mut gone = Vec::new();
    results.retain(|record| {
        let id = id_of(record);
        let stays = !hit.contains(&id);
        if !stays {
            gone.push(id);
        }
        stays
    });
    gone
}

/// Adds to an answer what the fault reports about its missing records. Returns the answer's status.
fn tell(document: &mut Value, gone: &[String], status: u16, scripted: &ScriptedFault) -> u16 {
    let state = match scripted.fault {
        Fault::Pending => "PENDING",
        Fault::Processing => "PROCESSING",
        Fault::Canceled => "CANCELED",
        Fault::PartialErrors if !gone.is_empty() => {
            let error = json!({
                "status": "error",
                "category": scripted.category.as_deref().unwrap_or("INTERNAL_ERROR"),
                "message": "These records could not be processed",
                "context": {"ids": gone},
            });
            match document["errors"].as_array_mut() {
                Some(errors) => errors.push(error),
                None => document["errors"] = json!([error]),
            }
            document["numErrors"] = json!(document["errors"].as_array().map_or(0, Vec::len));
            return scripted.status.unwrap_or(207);
        }
        _ => return status,
    };
    document["status"] = json!(state);
    status
}
