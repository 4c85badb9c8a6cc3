//! Property definitions.

use serde_json::{Value, json};

use super::ApiRequest;
use super::errors::ApiError;
use super::reply::Reply;
use crate::data::clock::{OPENED, time_text};
use crate::data::store::Store;
use crate::property::{Property, Sensitivity};

pub(super) fn list(store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    let wanted = wanted_sensitivity(request)?;
    let schema = store.schema();
    let archived = request.flag("archived");
    let all = if archived { schema.archived_properties() } else { schema.properties() };
    let listed = all.iter().filter(|property| property.sensitivity == wanted);
    let results: Vec<Value> = listed.map(|property| describe(property, archived)).collect();
    Ok(Reply::json(200, &json!({"results": results})))
}

pub(super) fn one(store: &Store, name: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let wanted = wanted_sensitivity(request)?;
    let schema = store.schema();
    let property = schema.property(name).filter(|property| property.sensitivity == wanted);
    property.map(|property| Reply::json(200, &describe(property, false))).ok_or_else(ApiError::not_found)
}

/// The oldest paths answer a bare array.
pub(super) fn legacy(store: &Store) -> Reply {
    let schema = store.schema();
    let plain = schema.properties().iter().filter(|property| property.sensitivity == Sensitivity::NonSensitive);
    let results: Vec<Value> = plain.map(|property| describe(property, false)).collect();
    Reply::json(200, &Value::Array(results))
}

fn wanted_sensitivity(request: &ApiRequest) -> Result<Sensitivity, ApiError> {
    match request.parameter("dataSensitivity") {
        None | Some("" | "non_sensitive") => Ok(Sensitivity::NonSensitive),
        Some("sensitive") => Ok(Sensitivity::Sensitive),
        Some("highly_sensitive") => Ok(Sensitivity::HighlySensitive),
        Some(other) => Err(ApiError::invalid(format!("'{other}' is not a data sensitivity"))),
    }
}

/// A definition as the CRM shows it.
pub(super) fn describe(property: &Property, archived: bool) -> Value {
    let option = |(at, choice): (usize, &crate::property::Choice)| {
        json!({
            "label": if choice.label.is_empty() { &choice.value } else { &choice.label },
            "value": choice.value,
            "description": "",
            "displayOrder": at,
            "hidden": false,
        })
    };
    let options: Vec<Value> = property.options.iter().enumerate().map(option).collect();
    json!({
        "name": property.name,
        "label": property.label,
        "type": property.kind.as_str(),
        "fieldType": property.field_type,
        "description": "",
        "groupName": property.group,
        "options": options,
        "externalOptions": property.external_options,
        "referencedObjectType": property.referenced_object,
        "displayOrder": -1,
        "calculated": property.calculated,
        "hubspotDefined": property.hubspot_defined,
        "hidden": property.hidden,
        "hasUniqueValue": property.unique,
        "formField": !property.read_only && !property.hidden,
        "archived": archived,
        "dataSensitivity": property.sensitivity.as_str(),
        "createdAt": time_text(OPENED),
        "updatedAt": time_text(OPENED),
        "modificationMetadata": {
            "readOnlyValue": property.read_only,
            "readOnlyDefinition": property.hubspot_defined,
            "archivable": !property.hubspot_defined,
        },
    })
}
