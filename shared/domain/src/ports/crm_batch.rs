//! Reading and writing the CRM's records in batches of a hundred, and its answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ObjectType, RecordId};
use crate::property::Property;
use crate::restore::difference::Comparison;

/// The most records of one batch. A CRM that takes fewer at once needs several calls for a batch.
pub const BATCH: usize = 100;

/// A property's present definition, with everything that matters for writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyDefinition {
    #[serde(flatten)]
    pub property: Property,
    /// Whether it was deleted, which the CRM calls archived. People can bring it back.
    pub archived: bool,
    /// The allowed values. Empty if any value is allowed, or if they are defined elsewhere (owners, pipelines).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// How two of its values are compared.
    pub comparison: Comparison,
    /// Whether the CRM silently ignores a change to an earlier option unless the value is cleared first.
    pub forward_only: bool,
    pub side_effect: Option<SideEffect>,
}

/// An effect of a write to a property beyond the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SideEffect {
    /// An e-mail address identifies its record, and gets mail.
    Email,
    /// The owner is notified, and can see the record.
    Owner,
    /// All records must have different values.
    Unique,
    /// A stage moves the record and starts the automation of that stage.
    Stage,
}

/// A request for values of a batch of records.
#[derive(Debug, Clone, Copy)]
pub struct BatchRead<'a> {
    pub object: &'a ObjectType,
    /// Internal names, in column order.
    pub properties: &'a [&'a str],
    pub ids: &'a [RecordId],
}

/// New values of one record.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordUpdate {
    pub id: RecordId,
    /// Internal names and values. An empty value clears.
    pub values: Vec<(String, String)>,
}

/// The CRM's answer to a batch of updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchUpdate {
    /// It wrote some records and refused others.
    Written {
        records: Vec<UpdatedRecord>,
        /// The refused records, if the CRM names them.
        refused: Vec<(RecordId, WriteRefusal)>,
    },
    /// It wrote nothing because of one or more values.
    Refused(WriteRefusal),
}

/// A record as the CRM returned it after an update.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdatedRecord {
    /// Differs from the sent id if the record was merged.
    pub id: RecordId,
    /// Internal names and values. Null is empty.
    pub values: Vec<(String, String)>,
}

/// Why the CRM refused a write.
#[derive(Clone, PartialEq, Eq)]
pub struct WriteRefusal {
    /// The CRM's error code, such as `INVALID_OPTION`.
    pub code: String,
    /// The properties at fault, if the CRM names them.
    pub properties: Vec<String>,
    /// The CRM's sentence. It may quote property values, so it is for the account's files and never for a log.
    pub message: String,
}

// Property values are not shown in logs or panics.

impl fmt::Debug for RecordUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordUpdate").field("id", &self.id).field("values", &self.values.len()).finish()
    }
}

impl fmt::Debug for UpdatedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdatedRecord").field("id", &self.id).field("values", &self.values.len()).finish()
    }
}

impl fmt::Debug for WriteRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteRefusal")
            .field("code", &self.code)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown() {
        let values = vec![("email".to_owned(), "secret".to_owned())];
        let refusal =
            WriteRefusal { code: "INVALID_EMAIL".into(), properties: vec!["email".into()], message: "secret".into() };
        let answer = BatchUpdate::Written {
            records: vec![UpdatedRecord { id: RecordId(7), values: values.clone() }],
            refused: vec![(RecordId(8), refusal)],
        };
        let shown = format!("{answer:?} {:?}", RecordUpdate { id: RecordId(7), values });
        assert!(shown.contains("INVALID_EMAIL") && !shown.contains("secret"), "{shown}");
    }
}
