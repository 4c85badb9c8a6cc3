//! Object types and their properties.
//!
//! Sensitive properties are listed by calls of their own. HubSpot's guide says that definitions need no sensitive
//! scope but values do, and connectors report that a call naming a sensitive property is refused with 403 when the scope
//! is missing. So after listing, one search names a property of each level that was found: a missing scope shows before
//! the backup has begun, not as a refused page later or as values that are left out. An account without sensitive
//! data (its plan may not even have the feature) needs none of those scopes. A call that is refused for a scope does
//! not keep the others from being asked, so that all missing scopes are told at once.

use std::collections::HashSet;

use domain::ids::ObjectType;
use domain::ports::crm::{CrmError, ListedProperties, MissingScopes};
use domain::property::{ObjectDefinition, Property, Sensitivity};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::{Answer, CallError};
use crate::connector::HubSpot;
use crate::counts::Search;
use crate::endpoints::{CONVERSATIONS, Query, definition_scope, is_conversations, sensitive_scope};
use crate::refusal::{self, Refusal};
use crate::scan::Malformed;

/// Name, type id and singular label of the object types that every account has.
const STANDARD: [(&str, Option<&str>, &str); 8] = [
    ("contacts", Some("0-1"), "Contact"),
    ("companies", Some("0-2"), "Company"),
    ("deals", Some("0-3"), "Deal"),
    ("tickets", Some("0-5"), "Ticket"),
    ("products", Some("0-7"), "Product"),
    ("calls", Some("0-48"), "Call"),
    ("tasks", Some("0-27"), "Task"),
    (CONVERSATIONS, None, "Conversation"),
];

/// Name, label and type of what the API tells about a conversation.
const CONVERSATION_PROPERTIES: [(&str, &str, &str); 13] = [
    ("archived", "Archived", "bool"),
    ("assignedTo", "Assigned to", "string"),
    ("associatedContactId", "Contact", "string"),
    ("closedAt", "Closed at", "datetime"),
    ("createdAt", "Created at", "datetime"),
    ("inboxId", "Inbox", "string"),
    ("latestMessageReceivedTimestamp", "Last message received at", "datetime"),
    ("latestMessageSentTimestamp", "Last message sent at", "datetime"),
    ("latestMessageTimestamp", "Last message at", "datetime"),
    ("originalChannelAccountId", "Original channel account", "string"),
    ("originalChannelId", "Original channel", "string"),
    ("spam", "Spam", "bool"),
    ("status", "Status", "enumeration"),
];

/// Levels that are listed by calls of their own, with the names that the calls have for them.
pub(crate) const SENSITIVE_LEVELS: [(Sensitivity, &str); 2] =
    [(Sensitivity::Sensitive, "sensitive"), (Sensitivity::HighlySensitive, "highly_sensitive")];

#[derive(Deserialize)]
struct Listed<T> {
    results: Vec<T>,
}

impl<T: DeserializeOwned> Listed<T> {
    fn read(answer: &Answer) -> Result<Vec<T>, Malformed> {
        answer.json().map(|listed: Self| listed.results)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    object_type_id: String,
    name: String,
    fully_qualified_name: Option<String>,
    labels: Option<Labels>,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct Labels {
    singular: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PropertyDocument {
    pub(crate) name: String,
    label: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    calculated: Option<bool>,
    pub(crate) archived: Option<bool>,
    data_sensitivity: Option<String>,
    modification_metadata: Option<ModificationMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModificationMetadata {
    read_only_value: Option<bool>,
}

impl HubSpot {
    pub(crate) async fn defined_objects(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        let call = self.endpoints.schemas();
        let schemas = self.fetch(&call, Listed::<Schema>::read).await?;
        let custom = schemas.into_iter().filter(|schema| !schema.archived).filter_map(Schema::into_definition);
        Ok(custom.collect())
    }

    pub(crate) async fn defined_properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError> {
        if is_conversations(object) {
            return Ok(ListedProperties { properties: conversation_properties(), refused: Vec::new() });
        }
        let mut missing = MissingScopes::default();
        let listed = missing.note(self.plain_documents(object, false).await)?.unwrap_or_default();
        let mut properties = into_properties(listed, Sensitivity::NonSensitive, &HashSet::new());
        for (level, parameter) in SENSITIVE_LEVELS {
            let known = properties.iter().map(|property| property.name.clone()).collect();
            let listed = missing.note(self.sensitive_documents(object, parameter).await)?.unwrap_or_default();
            let found = into_properties(listed, level, &known);
            if let Some(example) = found.iter().find(|property| property.sensitivity == level) {
                missing.note(self.check_sensitive_scope(object, parameter, &example.name).await)?;
            }
            properties.extend(found);
        }
        if missing.is_empty() {
            Ok(ListedProperties { properties, refused: Vec::new() })
        } else {
            Err(refusal::missing_scopes(missing.into_names()))
        }
    }

    /// Properties that are not sensitive, either those that are archived or those that are not.
    pub(crate) async fn plain_documents<T: DeserializeOwned + Send>(
        &self,
        object: &ObjectType,
        archived: bool,
    ) -> Result<Vec<T>, CrmError> {
        let query = Query::default().with("archived", if archived { "true" } else { "false" });
        let call = self.endpoints.properties(object, query, definition_scope(object));
        self.fetch(&call, Listed::read).await
    }

    /// Properties of one of [`SENSITIVE_LEVELS`]. An account, or an object type, that has no sensitive data at all may
    /// refuse the question; that means none. Only a missing scope is an error.
    pub(crate) async fn sensitive_documents<T: DeserializeOwned + Send>(
        &self,
        object: &ObjectType,
        parameter: &str,
    ) -> Result<Vec<T>, CrmError> {
        let query = Query::default().with("archived", "false").with("dataSensitivity", parameter);
        let call = self.endpoints.properties(object, query, sensitive_scope(object, parameter));
        match self.try_fetch(&call, Listed::read).await {
            Err(CallError::Refused(refusal)) if means_no_such_data(&refusal) => Ok(Vec::new()),
            listed => listed.map_err(|error| error.into_error(&call)),
        }
    }

    /// Fails if the token may not read values of a level. Other refusals of the search say nothing about that.
    async fn check_sensitive_scope(&self, object: &ObjectType, level: &str, property: &str) -> Result<(), CrmError> {
        let mut call = self.endpoints.search(object, Search::showing(property).body());
        call.scope = sensitive_scope(object, level);
        match self.try_fetch(&call, |_| Ok(())).await {
            Err(CallError::Refused(refusal)) if !refusal.lacks_scopes() && refusal.status != 401 => Ok(()),
            answer => answer.map_err(|error| error.into_error(&call)),
        }
    }
}

pub(crate) fn standard_objects() -> Vec<ObjectDefinition> {
    let standard = STANDARD.iter().map(|&(name, type_id, label)| ObjectDefinition {
        object_type: ObjectType::parse(name).expect("a valid object type"),
        type_id: type_id.map(str::to_owned),
        label: label.to_owned(),
        custom: false,
    });
    standard.collect()
}

fn means_no_such_data(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400 | 404) || refusal.status == 403 && !refusal.lacks_scopes()
}

impl Schema {
    /// Named by its fully qualified name, or by its type id where that name could not become a file's.
    fn into_definition(self) -> Option<ObjectDefinition> {
        let qualified = self.fully_qualified_name.as_deref().and_then(|name| ObjectType::parse(name).ok());
        let object_type = qualified.or_else(|| ObjectType::parse(&self.object_type_id).ok())?;
        let label = self.labels.and_then(|labels| labels.singular).filter(|label| !label.is_empty());
        Some(ObjectDefinition {
            object_type,
            type_id: Some(self.object_type_id),
            label: label.unwrap_or(self.name),
            custom: true,
        })
    }
}

/// Properties of a list that was asked for `level`, without those that are `known` already.
fn into_properties(listed: Vec<PropertyDocument>, level: Sensitivity, known: &HashSet<String>) -> Vec<Property> {
    let present = listed.into_iter().filter(|document| !document.archived.unwrap_or(false));
    present.filter(|document| document.is_new(known)).map(|document| document.into_property(level)).collect()
}

impl PropertyDocument {
    /// Whether it has not been listed before. A server that does not know of levels lists all properties again,
    /// without naming a level: those are not taken for sensitive ones.
    pub(crate) fn is_new(&self, known: &HashSet<String>) -> bool {
        self.data_sensitivity.is_some() || !known.contains(&self.name)
    }

    /// The property, from a list that was asked for `level`.
    pub(crate) fn into_property(self, level: Sensitivity) -> Property {
        Property {
            sensitivity: self.sensitivity(level),
            label: self.label.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            kind: self.kind.unwrap_or_else(|| "string".to_owned()),
            calculated: self.calculated.unwrap_or(false),
            read_only: self.modification_metadata.and_then(|metadata| metadata.read_only_value).unwrap_or(false),
        }
    }

    /// What it says itself, or else the level that was asked for.
    fn sensitivity(&self, asked: Sensitivity) -> Sensitivity {
        match self.data_sensitivity.as_deref() {
            Some("non_sensitive") => Sensitivity::NonSensitive,
            Some("sensitive") => Sensitivity::Sensitive,
            Some("highly_sensitive") => Sensitivity::HighlySensitive,
            _ => asked,
        }
    }
}

pub(crate) fn conversation_properties() -> Vec<Property> {
    let properties = CONVERSATION_PROPERTIES.iter().map(|&(name, label, kind)| Property {
        name: name.to_owned(),
        label: label.to_owned(),
        kind: kind.to_owned(),
        sensitivity: Sensitivity::NonSensitive,
        calculated: false,
        read_only: true,
    });
    properties.collect()
}
