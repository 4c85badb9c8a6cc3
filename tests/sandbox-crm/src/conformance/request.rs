//! What a client may send.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::endpoints::{Does, Known, LONGEST_URL};
use super::{Exchange, Findings};

const MOST_INPUTS: usize = 100;
const MOST_FOUND: u64 = 200;
const LAST_FOUND: u64 = 10_000;
const LONGEST_SEARCH: usize = 3_000;
const OPERATORS: [(&str, &[&str]); 13] = [
    ("EQ", &["value"]),
    ("NEQ", &["value"]),
    ("LT", &["value"]),
    ("LTE", &["value"]),
    ("GT", &["value"]),
    ("GTE", &["value"]),
    ("BETWEEN", &["value", "highValue"]),
    ("IN", &["values"]),
    ("NOT_IN", &["values"]),
    ("HAS_PROPERTY", &[]),
    ("NOT_HAS_PROPERTY", &[]),
    ("CONTAINS_TOKEN", &["value"]),
    ("NOT_CONTAINS_TOKEN", &["value"]),
];

pub(super) fn check(exchange: &Exchange, known: &Known, found: &mut Findings) {
    check_url(exchange, known, found);
    let takes_body = matches!(
        known.does,
        Does::Create
            | Does::Update
            | Does::BatchRead
            | Does::BatchCreate
            | Does::BatchUpdate
            | Does::BatchArchive
            | Does::Merge
            | Does::Search
    );
    if !takes_body {
        // HubSpot's own clients send an empty object with a GET.
        let is_empty = exchange.body.is_empty() || exchange.body == b"{}";
        found.unless(is_empty, "the request has a body, which it must not have");
        return;
    }
    let media_type = exchange.content_type.as_deref().unwrap_or_default();
    found.unless(media_type.starts_with("application/json"), "the request's media type is not application/json");
    match serde_json::from_slice::<Value>(&exchange.body) {
        Ok(Value::Object(body)) => check_body(known.does, &body, exchange, found),
        _ => found.add("the request's body is not a JSON object"),
    }
}

fn check_url(exchange: &Exchange, known: &Known, found: &mut Findings) {
    let separator = usize::from(!exchange.query.is_empty());
    let length = exchange.path.len() + separator + exchange.query.len();
    found.unless(length <= LONGEST_URL, format!("path and query have {length} characters"));
    let mut seen = HashSet::new();
    for pair in exchange.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !known.parameters.contains(&name) {
            found.add(format!("it takes no query parameter {name}"));
            continue;
        }
        let is_list = matches!(name, "properties" | "propertiesWithHistory" | "associations");
        found.unless(seen.insert(name) || is_list, format!("the query parameter {name} appears twice"));
        check_parameter(known.does, name, value, found);
    }
}

fn check_parameter(does: Does, name: &str, value: &str, found: &mut Findings) {
    let is_flag = matches!(value.to_ascii_lowercase().as_str(), "true" | "false");
    match name {
        "limit" => {
            let most = if does == Does::Threads { 500 } else { 100 };
            let limit = value.parse::<u64>().ok().filter(|limit| (1..=most).contains(limit));
            found.unless(limit.is_some(), format!("limit is not a number from 1 to {most}"));
        }
        "archived" | "includePropertyDefinitions" | "includeAssociationDefinitions" | "includeAuditMetadata" => {
            found.unless(is_flag, format!("{name} is neither true nor false"));
        }
        "dataSensitivity" => {
            let is_level = matches!(value, "non_sensitive" | "sensitive" | "highly_sensitive");
            found.unless(is_level, "dataSensitivity is not one of the three levels");
        }
        "sort" => found.unless(matches!(value, "id" | "latestMessageTimestamp"), "threads have no such order"),
        _ => {}
    }
}

fn check_body(does: Does, body: &Map<String, Value>, exchange: &Exchange, found: &mut Findings) {
    match does {
        Does::BatchRead => {
            members(body, &["inputs", "properties", "propertiesWithHistory"], &["idProperty"], "the body", found);
            texts(body, "properties", found);
            texts(body, "propertiesWithHistory", found);
            check_inputs(body, &["id"], &[], found);
        }
        Does::BatchUpdate => {
            members(body, &["inputs"], &[], "the body", found);
            check_inputs(body, &["id", "properties"], &["idProperty", "objectWriteTraceId"], found);
            let inputs = body.get("inputs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let ids: HashSet<Option<&str>> = inputs.iter().map(|input| input["id"].as_str()).collect();
            found.unless(ids.len() == inputs.len(), "an id appears twice in inputs");
        }
        Does::BatchCreate => {
            members(body, &["inputs"], &[], "the body", found);
            check_inputs(body, &["properties"], &["associations", "objectWriteTraceId"], found);
        }
        Does::BatchArchive => {
            members(body, &["inputs"], &[], "the body", found);
            check_inputs(body, &["id"], &[], found);
        }
        Does::Create => {
            members(body, &["properties"], &["associations", "objectWriteTraceId"], "the body", found);
            values(body, found);
        }
        Does::Update => {
            members(body, &["properties"], &["objectWriteTraceId"], "the body", found);
            values(body, found);
        }
        Does::Merge => {
            members(body, &["primaryObjectId", "objectIdToMerge"], &[], "the body", found);
        }
        Does::Search => check_search(body, exchange, found),
        _ => {}
    }
}

/// Which members an object has.
fn members(object: &Map<String, Value>, required: &[&str], optional: &[&str], what: &str, found: &mut Findings) {
    for name in required {
        found.unless(object.contains_key(*name), format!("{what} lacks {name}"));
    }
    for name in object.keys().map(String::as_str) {
        let is_known = required.contains(&name) || optional.contains(&name);
        found.unless(is_known, format!("{what} has an unknown member {name}"));
    }
}

fn texts(object: &Map<String, Value>, name: &str, found: &mut Findings) {
    let Some(list) = object.get(name) else { return };
    let are_texts = list.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    found.unless(are_texts, format!("{name} is not a list of texts"));
}

/// `properties` that are written: a text for each.
fn values(object: &Map<String, Value>, found: &mut Findings) {
    let Some(properties) = object.get("properties") else { return };
    let are_texts = properties.as_object().is_some_and(|values| values.values().all(Value::is_string));
    found.unless(are_texts, "properties is not an object of texts");
}

fn check_inputs(body: &Map<String, Value>, required: &[&str], optional: &[&str], found: &mut Findings) {
    let Some(inputs) = body.get("inputs").and_then(Value::as_array) else {
        found.add("inputs is not a list");
        return;
    };
    let is_right = (1..=MOST_INPUTS).contains(&inputs.len());
    found.unless(is_right, format!("inputs has {} entries, not 1 to {MOST_INPUTS}", inputs.len()));
    for input in inputs {
        let Some(input) = input.as_object() else {
            found.add("an input is not an object");
            continue;
        };
        members(input, required, optional, "an input", found);
        found.unless(input.get("id").is_none_or(Value::is_string), "an input's id is not a text");
        values(input, found);
    }
}

fn check_search(body: &Map<String, Value>, exchange: &Exchange, found: &mut Findings) {
    let characters = String::from_utf8_lossy(&exchange.body).chars().count();
    found.unless(characters <= LONGEST_SEARCH, format!("the body has {characters} characters"));
    let optional = ["filterGroups", "sorts", "query", "properties", "limit", "after"];
    members(body, &[], &optional, "the body", found);
    texts(body, "properties", found);
    let limit = body.get("limit").map_or(Some(10), Value::as_u64);
    found.unless(limit.is_some_and(|limit| limit <= MOST_FOUND), format!("limit is not a number up to {MOST_FOUND}"));
    let after = match body.get("after") {
        None => Some(0),
        Some(Value::String(text)) if text.is_empty() => Some(0),
        Some(Value::String(text)) => text.parse::<u64>().ok(),
        Some(other) => other.as_u64(),
    };
    let end = after.zip(limit).map(|(after, limit)| after.saturating_add(limit));
    found.unless(end.is_some_and(|end| end <= LAST_FOUND), format!("it pages past {LAST_FOUND} results"));
    let sorts = body.get("sorts").map_or(Some(0), |sorts| sorts.as_array().map(Vec::len));
    found.unless(sorts.is_some_and(|sorts| sorts <= 1), "it sorts by more than one property");
    let groups = body.get("filterGroups").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    found.unless(groups.len() <= 5, "it has more than 5 filterGroups");
    for filter in groups.iter().flat_map(|group| group["filters"].as_array().into_iter().flatten()) {
        check_filter(filter, found);
    }
}

fn check_filter(filter: &Value, found: &mut Findings) {
    found.unless(filter["propertyName"].is_string(), "a filter names no property");
    let operator = filter["operator"].as_str().unwrap_or_default();
    match OPERATORS.iter().find(|(name, _)| *name == operator) {
        None => found.add("a filter has an unknown operator"),
        Some((name, operands)) => {
            for operand in *operands {
                found.unless(!filter[*operand].is_null(), format!("a filter with {name} lacks {operand}"));
            }
        }
    }
}
