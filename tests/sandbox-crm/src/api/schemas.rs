//! Object types that the account defined itself.

use serde_json::{Value, json};

use super::ApiRequest;
use super::errors::ApiError;
use super::properties::describe;
use super::reply::Reply;
use crate::data::clock::{OPENED, time_text};
use crate::portal::Portal;
use crate::property::Sensitivity;
use crate::schema::{CustomType, Schema};

pub(super) fn list(portal: &Portal, request: &ApiRequest) -> Reply {
    let archived = request.flag("archived");
    let stores = portal.stores().iter().filter(|_| !archived);
    let results: Vec<Value> = stores.filter_map(|store| describe_type(&store.schema())).collect();
    Reply::json(200, &json!({"results": results}))
}

pub(super) fn one(portal: &Portal, name: &str) -> Result<Reply, ApiError> {
    let schema = portal.store(name).and_then(|store| describe_type(&store.schema()));
    schema.map(|schema| Reply::json(200, &schema)).ok_or_else(ApiError::not_found)
}

fn describe_type(schema: &Schema) -> Option<Value> {
    let CustomType { number, fully_qualified_name, primary_display_property } = schema.custom.as_ref()?;
    let plain = schema.properties().iter().filter(|property| property.sensitivity == Sensitivity::NonSensitive);
    let properties: Vec<Value> = plain.map(|property| describe(property, false)).collect();
    Some(json!({
        "id": number.to_string(),
        "objectTypeId": schema.type_id,
        "name": schema.name,
        "fullyQualifiedName": fully_qualified_name,
        "labels": {"singular": schema.singular, "plural": schema.plural},
        "primaryDisplayProperty": primary_display_property,
        "secondaryDisplayProperties": [],
        "searchableProperties": [primary_display_property],
        "requiredProperties": schema.required,
        "properties": properties,
        "associations": [],
        "archived": false,
        "createdAt": time_text(OPENED),
        "updatedAt": time_text(OPENED),
    }))
}
