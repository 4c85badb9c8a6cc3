//! What is read from and written to the CRM a hundred records at a time, and what the CRM says to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ObjectType, RecordId};
use crate::property::Property;

/// The most records of one batch, in HubSpot's API.
pub const BATCH: usize = 100;

/// A property as it is defined now, with what somebody who writes to it must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyDefinition {
    /// Name, label, type, sensitivity, and whether it can be written at all.
    #[serde(flatten)]
    pub property: Property,
    /// It was deleted, which the CRM calls archived, and can be brought back by people.
    pub archived: bool,
    /// The values that it may have; empty where any will do, or where they are defined elsewhere (owners, pipelines).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Several options at once, separated by `;`, in no particular order.
    pub multiple: bool,
    /// The CRM ignores a change to an earlier option without a word, unless the value is cleared first.
    pub forward_only: bool,
    /// What else happens when it is written.
    pub side_effect: Option<SideEffect>,
}

/// What a write to a property sets off beyond the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SideEffect {
    /// An e-mail address identifies its record, and gets mail.
    Email,
    /// An owner is told, and sees the record.
    Owner,
    /// No two records may have the same value.
    Unique,
    /// A stage moves the record, with all that is automated about it.
    Stage,
}

/// Which values of which records to read.
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
    /// Internal names and values; an empty value clears.
    pub values: Vec<(String, String)>,
}

/// What the CRM answered to a batch of updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchUpdate {
    /// It wrote what it lists, and refused single records.
    Written {
        /// The records as they are now.
        records: Vec<UpdatedRecord>,
        /// The records that it refused, where it names them.
        refused: Vec<(RecordId, WriteRefusal)>,
    },
    /// It wrote nothing, because of one or more of the values.
    Refused(WriteRefusal),
}

/// A record as the CRM shows it after an update.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdatedRecord {
    /// Its id, which is another one than was sent where the record has been merged.
    pub id: RecordId,
    /// Internal names and values; null is empty.
    pub values: Vec<(String, String)>,
}

/// Why the CRM did not write.
#[derive(Clone, PartialEq, Eq)]
pub struct WriteRefusal {
    /// The CRM's word for it, such as `INVALID_OPTION`.
    pub code: String,
    /// The properties at fault, where it names them.
    pub properties: Vec<String>,
    /// Its sentence. May quote property values: for the account's own files, never for a log.
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
