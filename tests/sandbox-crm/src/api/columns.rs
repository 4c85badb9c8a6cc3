//! Which properties an answer shows.

use crate::data::store::Changes;
use crate::data::view::RecordView;
use crate::json::Column;
use crate::portal::Portal;
use crate::property::Sensitivity;
use crate::schema::Schema;
use crate::variants::{UnseenValues, Variants};

use super::errors::ApiError;
use super::scopes;

/// The kinds of calls that read records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    List,
    /// One record, a batch or a search.
    Other,
}

/// The properties of an answer: the known ones of those asked for, and those that every answer has.
///
/// # Errors
/// 403 when it asks for values that the token may not see, where that is refused.
pub(super) fn columns<S: AsRef<str>>(
    portal: &Portal,
    schema: &Schema,
    wanted: &[S],
    reader: Reader,
) -> Result<Vec<Column>, ApiError> {
    let settings = portal.settings();
    let unseen = settings.variants.unseen_values;
    let mut columns = visible(&settings.variants, schema, wanted, reader);
    let mut missing = Vec::new();
    for column in &mut columns {
        if let Err(scope) = scopes::may(portal, schema, column.property.sensitivity, "read") {
            column.is_blank = true;
            missing.push(scope);
        }
    }
    if unseen == UnseenValues::Refused && !missing.is_empty() {
        missing.sort();
        missing.dedup();
        return Err(scopes::missing(portal, missing));
    }
    if unseen == UnseenValues::Absent {
        columns.retain(|column| !column.is_blank);
    }
    Ok(columns)
}

/// The properties of the answer to a write: what it touched, and what the CRM sets and computes itself.
pub(super) fn after_write(portal: &Portal, schema: &Schema, changes: &Changes, view: &RecordView<'_>) -> Vec<Column> {
    let computed = schema.properties().iter().filter(|property| {
        let is_plain = property.sensitivity == Sensitivity::NonSensitive;
        property.hubspot_defined && property.calculated && is_plain && view.value(property).is_some()
    });
    // Even a write without properties shows only those that every answer has.
    let names: Vec<&str> = changes
        .keys()
        .map(String::as_str)
        .chain(computed.map(|property| property.name.as_str()))
        .chain(["hs_object_id"])
        .collect();
    let mut columns = visible(&portal.settings().variants, schema, &names, Reader::Other);
    columns.retain(|column| scopes::may(portal, schema, column.property.sensitivity, "read").is_ok());
    columns
}

fn visible<S: AsRef<str>>(variants: &Variants, schema: &Schema, wanted: &[S], reader: Reader) -> Vec<Column> {
    let hides =
        |names, name: &str| Variants::names_of(names, |object| schema.answers_to(object)).any(|hidden| hidden == name);
    let mut properties = schema.selection(wanted);
    if !variants.unreadable.is_empty() {
        properties.retain(|property| !hides(&variants.unreadable, &property.name));
    }
    if reader == Reader::List && !variants.unlisted.is_empty() {
        properties.retain(|property| !hides(&variants.unlisted, &property.name));
    }
    properties.into_iter().map(|property| Column { property, is_blank: false }).collect()
}
