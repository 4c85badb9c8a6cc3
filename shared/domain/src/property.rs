//! Object types and their properties, as discovered in the CRM, and the columns that they become.

use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::ids::ObjectType;

/// How sensitive a property's values are, in the CRM's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Visible with the record.
    #[default]
    NonSensitive,
    /// Needs the `sensitive.read` scope.
    Sensitive,
    /// Needs the `highly_sensitive.read` scope.
    HighlySensitive,
}

/// A property of an object type: one column of its CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// The internal name, unique in the object type.
    pub name: String,
    /// The name that people see.
    pub label: String,
    /// The CRM's type, such as `string`, `number`, `datetime`, `enumeration`.
    #[serde(rename = "type")]
    pub kind: String,
    pub sensitivity: Sensitivity,
    /// Whether the CRM computes the value.
    #[serde(default)]
    pub calculated: bool,
    /// Whether the CRM refuses writes.
    #[serde(default)]
    pub read_only: bool,
}

/// An object type as found in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDefinition {
    /// The name used in the CRM's API and for the CSV file.
    pub object_type: ObjectType,
    /// The CRM's id of the type, if it has one, such as `0-1` or `2-1234567`.
    pub type_id: Option<String>,
    /// The singular label that people see, such as `Contact`.
    pub label: String,
    /// Whether the account defined it.
    pub custom: bool,
}

/// The columns of an object's CSV file, without the first one, which is always the record id.
///
/// Discovery fixes their order, and it never changes during the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Columns {
    /// In file order, without the record id's property.
    pub properties: Vec<Property>,
}

/// The name of every file's first column, which holds the record id. Part of the archive's format for every CRM.
pub const RECORD_ID_COLUMN: &str = "hs_object_id";

impl Document for Columns {}

impl Columns {
    /// Columns from an object type's properties in any order, with or without repetitions: sorted by internal name,
    /// each name once, without [`RECORD_ID_COLUMN`]. If two properties have one name, the more sensitive one stays.
    pub fn from_properties(mut properties: Vec<Property>) -> Self {
        properties.retain(|property| property.name != RECORD_ID_COLUMN);
        properties.sort_by(|a, b| a.name.cmp(&b.name).then(b.sensitivity.cmp(&a.sensitivity)));
        properties.dedup_by(|later, kept| later.name == kept.name);
        Self { properties }
    }

    /// Internal names in file order, without the record id.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.properties.iter().map(|property| property.name.as_str())
    }

    /// How many bytes the CSV file's first line has: names between commas, quoted if they contain a comma, a quote or a
    /// line end, and CRLF.
    pub fn header_bytes(&self) -> u64 {
        let bytes = |name: &str| {
            let quotes = name.bytes().filter(|byte| *byte == b'"').count();
            let is_quoted = name.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
            name.len() + quotes + if is_quoted { 2 } else { 0 }
        };
        let names: usize = self.names().map(|name| 1 + bytes(name)).sum();
        (bytes(RECORD_ID_COLUMN) + names + 2) as u64
    }

    /// Whether any column holds sensitive or highly sensitive values.
    pub fn contains_sensitive_data(&self) -> bool {
        self.properties.iter().any(|property| property.sensitivity != Sensitivity::NonSensitive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, sensitivity: Sensitivity) -> Property {
        Property {
            name: name.into(),
            label: name.into(),
            kind: "string".into(),
            sensitivity,
            calculated: false,
            read_only: false,
        }
    }

    #[test]
    fn columns_are_sorted_unique_and_without_the_record_id() {
        let columns = Columns::from_properties(vec![
            property("ssn", Sensitivity::NonSensitive),
            property("email", Sensitivity::NonSensitive),
            property("hs_object_id", Sensitivity::NonSensitive),
            property("ssn", Sensitivity::Sensitive),
        ]);
        assert_eq!(columns.names().collect::<Vec<_>>(), ["email", "ssn"]);
        assert!(columns.contains_sensitive_data());
    }
}
