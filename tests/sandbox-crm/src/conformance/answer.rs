//! What a server may answer.

use serde_json::Value;

use super::endpoints::{Does, Known};
use super::{Answered, Exchange, Findings};

const RECORD: &[(&str, Kind)] =
    &[("id", Kind::Text), ("properties", Kind::Object), ("createdAt", Kind::Time), ("updatedAt", Kind::Time)];
const DEFINITION: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("label", Kind::Text),
    ("type", Kind::Text),
    ("fieldType", Kind::Text),
    ("groupName", Kind::Text),
    ("description", Kind::Text),
    ("options", Kind::List),
];
const OBJECT_TYPE: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("objectTypeId", Kind::Text),
    ("fullyQualifiedName", Kind::Text),
    ("labels", Kind::Object),
    ("requiredProperties", Kind::List),
    ("properties", Kind::List),
    ("associations", Kind::List),
];
const THREAD: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("status", Kind::Text),
    ("createdAt", Kind::Time),
    ("inboxId", Kind::Text),
    ("originalChannelId", Kind::Text),
    ("originalChannelAccountId", Kind::Text),
    ("spam", Kind::Flag),
    ("archived", Kind::Flag),
];
const ACCOUNT: &[(&str, Kind)] = &[
    ("portalId", Kind::Number),
    ("accountType", Kind::Text),
    ("timeZone", Kind::Text),
    ("companyCurrency", Kind::Text),
    ("uiDomain", Kind::Text),
];
const RECORD_COUNTS: &[(&str, Kind)] =
    &[("hubspotDefinedObjectTypes", Kind::List), ("customObjectTypes", Kind::Object)];
const BATCH: &[(&str, Kind)] =
    &[("status", Kind::Text), ("results", Kind::List), ("startedAt", Kind::Time), ("completedAt", Kind::Time)];
const STATES: [&str; 4] = ["COMPLETE", "PENDING", "PROCESSING", "CANCELED"];
const ERROR: &[(&str, Kind)] = &[("message", Kind::Text), ("correlationId", Kind::Text)];

/// What a member is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Time,
    Number,
    Flag,
    List,
    Object,
}

impl Kind {
    fn is_kind_of(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Time => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            Self::Number => value.is_number(),
            Self::Flag => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

pub(super) fn check(exchange: &Exchange, answered: &Answered, known: &Known, found: &mut Findings) {
    let status = answered.status;
    if status >= 400 {
        return check_error(answered, found);
    }
    let expected: &[u16] = match known.does {
        Does::Create | Does::BatchCreate => &[201, 207],
        Does::Archive | Does::BatchArchive => &[204],
        Does::BatchRead | Does::BatchUpdate => &[200, 207],
        _ => &[200],
    };
    found.unless(expected.contains(&status), format!("{status} is no status of its success"));
    if status == 204 {
        return found.unless(answered.body.is_empty(), "an answer without content has a body");
    }
    found.unless(answered.content_type.starts_with("application/json"), "a success is not application/json");
    match serde_json::from_slice::<Value>(&answered.body) {
        Ok(document) if document.is_object() => check_document(exchange, &document, known.does, found),
        _ => found.add("a success is not a JSON object"),
    }
}

/// Errors are documents of the CRM, or pages of what stands before it.
fn check_error(answered: &Answered, found: &mut Findings) {
    if !answered.content_type.starts_with("application/json") {
        return;
    }
    let Ok(document) = serde_json::from_slice::<Value>(&answered.body) else {
        return found.add("an error is not JSON, though its content type is");
    };
    members(&document, ERROR, "an error", found);
    found.unless(document["status"] == "error", "the status of an error is not error");
    let word = if answered.status == 429 && document["category"].is_null() { "errorType" } else { "category" };
    // Some refusals for scopes that no app can have come without a word.
    let is_told = document[word].is_string() || answered.status == 403;
    found.unless(is_told, format!("an error lacks {word}"));
}

fn check_document(exchange: &Exchange, document: &Value, does: Does, found: &mut Findings) {
    match does {
        Does::List => {
            check_page(document, RECORD, "a record", found);
            let asked = exchange.query.split('&').find_map(|pair| pair.strip_prefix("limit="));
            check_size(document, asked.map_or(Some(10), |limit| limit.parse().ok()), found);
        }
        Does::Search => {
            found.unless(document["total"].is_u64(), "a search lacks its total");
            check_page(document, RECORD, "a record", found);
            let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
            check_size(document, body.get("limit").map_or(Some(10), Value::as_u64), found);
        }
        Does::Threads => check_page(document, THREAD, "a thread", found),
        Does::Definitions => check_results(document, DEFINITION, "a definition", found),
        Does::ObjectTypes => {
            check_results(document, OBJECT_TYPE, "an object type", found);
            for entry in document["results"].as_array().into_iter().flatten() {
                let labels = &entry["labels"];
                found.unless(labels["singular"].is_string() && labels["plural"].is_string(), "a label is missing");
            }
        }
        Does::BatchRead | Does::BatchCreate | Does::BatchUpdate => check_batch(document, found),
        Does::Get | Does::Create | Does::Update | Does::Merge => members(document, RECORD, "a record", found),
        Does::Definition => members(document, DEFINITION, "a definition", found),
        Does::ObjectType => members(document, OBJECT_TYPE, "an object type", found),
        Does::Thread => members(document, THREAD, "a thread", found),
        Does::Account => members(document, ACCOUNT, "the account", found),
        Does::RecordCounts => members(document, RECORD_COUNTS, "the counts", found),
        Does::Archive | Does::BatchArchive => {}
    }
}

/// The members that an object must have. Any others are fine: HubSpot adds to its answers.
fn members(object: &Value, required: &[(&str, Kind)], what: &str, found: &mut Findings) {
    for (name, kind) in required {
        match object.get(*name) {
            None | Some(Value::Null) => found.add(format!("{what} lacks {name}")),
            Some(value) => found.unless(kind.is_kind_of(value), format!("{name} of {what} is not what it should be")),
        }
    }
}

fn check_results(document: &Value, entry: &[(&str, Kind)], what: &str, found: &mut Findings) {
    let Some(results) = document["results"].as_array() else {
        return found.add("an answer lacks its results");
    };
    for result in results {
        members(result, entry, what, found);
    }
}

fn check_page(document: &Value, entry: &[(&str, Kind)], what: &str, found: &mut Findings) {
    check_results(document, entry, what, found);
    if let Some(paging) = document.get("paging") {
        let after = paging["next"]["after"].as_str();
        found.unless(after.is_some_and(|after| !after.is_empty()), "paging leads nowhere");
    }
    for record in document["results"].as_array().into_iter().flatten() {
        check_values(record, found);
    }
}

/// Values are texts or null.
fn check_values(record: &Value, found: &mut Findings) {
    let values = record["properties"].as_object().into_iter().flat_map(|properties| properties.values());
    let are_texts = values.into_iter().all(|value| value.is_string() || value.is_null());
    found.unless(are_texts, "a value is neither a text nor null");
}

fn check_size(document: &Value, limit: Option<u64>, found: &mut Findings) {
    let results = document["results"].as_array().map_or(0, |results| results.len() as u64);
    found.unless(limit.is_none_or(|limit| results <= limit), "a page has more results than were asked for");
}

fn check_batch(document: &Value, found: &mut Findings) {
    members(document, BATCH, "a batch", found);
    let state = document["status"].as_str().unwrap_or_default();
    found.unless(STATES.contains(&state), "a batch has an unknown status");
    for record in document["results"].as_array().into_iter().flatten() {
        members(record, RECORD, "a record", found);
        check_values(record, found);
    }
    let Some(errors) = document.get("errors") else { return };
    let Some(errors) = errors.as_array() else { return found.add("errors is not a list") };
    let counted = document["numErrors"].as_u64();
    found.unless(counted == Some(errors.len() as u64), "numErrors is not the number of errors");
    for error in errors {
        members(error, &[("category", Kind::Text), ("message", Kind::Text)], "an error of a batch", found);
    }
}
