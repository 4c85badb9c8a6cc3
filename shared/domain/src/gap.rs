//! Gaps: data that a backup does not hold although the CRM may have it, with the reason. Every omission has such an
//! entry.

use serde::{Deserialize, Serialize};

use crate::ids::{ObjectType, RecordId};
use crate::property::Sensitivity;

/// Data that a backup does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The object type. None for all objects that the account defined itself.
    pub object_type: Option<ObjectType>,
    /// The label that people see, such as `Ticket`.
    pub label: String,
    #[serde(flatten)]
    pub missing: Missing,
    /// One sentence for people: the cause, and the remedy if there is one.
    pub reason: String,
    /// Scopes that may help, as the CRM's settings name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Whether the backup before this one held it.
    #[serde(default)]
    pub in_last_backup: bool,
}

/// The missing part of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "missing", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Missing {
    /// The whole object: the account does not offer it, or the token may not read it.
    Object,
    /// Properties of one sensitivity that the CRM refused to list, if it has any.
    Properties { sensitivity: Sensitivity },
    /// Values of one property that the CRM did not show. Their fields are empty in the file.
    Values { property: String, rows: u64 },
    /// Records that the CRM has but could not return.
    Records { ids: Vec<RecordId> },
    /// Records that moved in the CRM's list while it was read, if any did. The list has no fixed order.
    MovedRecords,
}

impl Gap {
    /// Whether values of `property` of `object` are missing. Then its empty fields may stand for any value.
    pub fn is_of_values(&self, object: &ObjectType, property: &str) -> bool {
        let of_property = matches!(&self.missing, Missing::Values { property: missing, .. } if missing == property);
        of_property && self.object_type.as_ref() == Some(object)
    }
}

/// The gap of a whole object.
pub fn of_object(object_type: Option<ObjectType>, label: &str, reason: String, scopes: Vec<String>) -> Gap {
    Gap { object_type, label: label.to_owned(), missing: Missing::Object, reason, scopes, in_last_backup: false }
}
