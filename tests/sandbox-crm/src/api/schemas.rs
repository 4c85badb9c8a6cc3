//! Object types that the account defined itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ApiRequest;
use super::errors::ApiError;
use super::properties::describe;
use super::reply::Reply;
use crate::data::clock::{OPENED, time_text};
use crate::data::store::Store;
use crate::portal::Portal;
use crate::property::Sensitivity;
use crate::schema::{CustomType, Schema};
use crate::variants::CustomObjects;

/// The user id that every definition has as its author.
const FIRST_USER: u64 = 1_000_001;

pub(super) fn list(portal: &Portal, request: &ApiRequest) -> Reply {
    let archived = request.flag("archived");
    let variants = &portal.settings().variants;
    let stores = portal.stores().iter().filter(|_| !archived && variants.custom_objects == CustomObjects::Offered);
    let describe = |store: &Store| describe_type(&store.schema(), &variants.labels, &Parts::of(request));
    let results: Vec<Value> = stores.filter_map(describe).collect();
    Reply::json(200, &json!({"results": results}))
}

pub(super) fn one(portal: &Portal, name: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let variants = &portal.settings().variants;
    let store = portal.store(name).filter(|_| variants.custom_objects == CustomObjects::Offered);
    let schema = store.and_then(|store| describe_type(&store.schema(), &variants.labels, &Parts::of(request)));
    schema.map(|schema| Reply::json(200, &schema)).ok_or_else(ApiError::not_found)
}

/// Which parts of a description are asked for.
struct Parts {
    /// There unless they are declined: large accounts have tens of megabytes of them.
    properties: bool,
    /// There only when they are asked for.
    audit: bool,
}

impl Parts {
    fn of(request: &ApiRequest) -> Self {
        let declined =
            request.parameter("includePropertyDefinitions").is_some_and(|value| value.eq_ignore_ascii_case("false"));
        Self { properties: !declined, audit: request.flag("includeAuditMetadata") }
    }
}

fn describe_type(schema: &Schema, labels: &BTreeMap<String, String>, parts: &Parts) -> Option<Value> {
    let CustomType { number, fully_qualified_name, primary_display_property } = schema.custom.as_ref()?;
    let all = schema.properties();
    let plain = all.iter().filter(|property| parts.properties && property.sensitivity == Sensitivity::NonSensitive);
    let properties: Vec<Value> = plain.map(|property| describe(property, false)).collect();
    let label = labels.iter().find(|(object, _)| schema.answers_to(object)).map(|(_, label)| label);
    let (singular, plural) = match label {
        Some(label) => (label.clone(), format!("{label}s")),
        None => (schema.singular.clone(), schema.plural.clone()),
    };
    let mut described = json!({
        "id": number.to_string(),
        "objectTypeId": schema.type_id,
        "name": schema.name,
        "fullyQualifiedName": fully_qualified_name,
        "labels": {"singular": singular, "plural": plural},
        "primaryDisplayProperty": primary_display_property,
        "secondaryDisplayProperties": [],
        "searchableProperties": [primary_display_property],
        "requiredProperties": schema.required,
        "properties": properties,
        "associations": [],
        "allowsSensitiveProperties": all.iter().any(|property| property.sensitivity != Sensitivity::NonSensitive),
        "archived": false,
        "createdAt": time_text(OPENED),
        "updatedAt": time_text(OPENED),
    });
    if parts.audit {
        described["createdByUserId"] = json!(FIRST_USER);
        described["updatedByUserId"] = json!(FIRST_USER);
    }
    Some(described)
}
