//! What a backup does not hold although the CRM may have it, and why. Nothing is left out without such an entry.

use serde::{Deserialize, Serialize};

use crate::ids::{ObjectType, RecordId};
use crate::property::Sensitivity;

/// Something that a backup does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The object type; None where it is about all objects that the account has defined itself.
    pub object_type: Option<ObjectType>,
    /// What people call it, such as `Ticket`.
    pub label: String,
    /// What is missing of it.
    #[serde(flatten)]
    pub missing: Missing,
    /// Why, in one sentence that names what to do, if anything can be done.
    pub reason: String,
    /// Scopes that may help, as the CRM's settings name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Whether the backup before this one held it.
    #[serde(default)]
    pub in_last_backup: bool,
}

/// What is missing of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "missing", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Missing {
    /// All of it: the account does not offer it, or the token may not read it.
    Object,
    /// Properties of one sensitivity, if there are any: the CRM refused to list them.
    Properties { sensitivity: Sensitivity },
    /// Values of one property that the CRM has not shown. They stand as empty fields in the file.
    Values {
        /// The property's internal name.
        property: String,
        /// In how many rows.
        rows: u64,
    },
    /// Records that the CRM has and could not give.
    Records { ids: Vec<RecordId> },
    /// Records that moved in the CRM's list while it was read, if there were any: the list has no fixed order.
    MovedRecords,
}

impl Gap {
    /// Whether it is of values of `property` of `object`: empty fields of theirs may stand for anything.
    pub fn is_of_values(&self, object: &ObjectType, property: &str) -> bool {
        let of_property = matches!(&self.missing, Missing::Values { property: missing, .. } if missing == property);
        of_property && self.object_type.as_ref() == Some(object)
    }
}

/// The gap of an object that a backup does not hold at all.
pub fn of_object(object_type: Option<ObjectType>, label: &str, reason: String, scopes: Vec<String>) -> Gap {
    Gap { object_type, label: label.to_owned(), missing: Missing::Object, reason, scopes, in_last_backup: false }
}
