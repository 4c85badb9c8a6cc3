//! Object types and their properties.
//!
//! Sensitive properties are listed by calls of their own. HubSpot's guide says that definitions need no sensitive
//! scope but values do; whether the token may see them is proven in [`crate::hidden`]. An account without sensitive data
//! (its plan may not even have the feature) needs none of those scopes. A level that the CRM refuses to list is told, as
//! nobody knows whether there are such properties. A call that is refused for a scope does not keep the others from being
//! asked, so that all missing scopes are told at once.

use std::collections::{BTreeSet, HashSet};

use domain::ids::ObjectType;
use domain::ports::crm::{CrmError, CrmErrorKind, ListedProperties, MissingScopes, RefusedProperties};
use domain::property::{ObjectDefinition, Property, Sensitivity};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::CallError;
use crate::connector::HubSpot;
use crate::documents::{self, lenient};
use crate::endpoints::{CONVERSATIONS, Query, definition_scope, is_conversations, sensitive_scope};
use crate::hidden;
use crate::refusal;
use crate::retry::Retries;

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
#[serde(rename_all = "camelCase")]
struct Schema {
    #[serde(default, deserialize_with = "lenient")]
    object_type_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    fully_qualified_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    labels: Option<Labels>,
    #[serde(default, deserialize_with = "lenient")]
    archived: Option<bool>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default, deserialize_with = "lenient")]
    singular: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    plural: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PropertyDocument {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "lenient")]
    label: Option<String>,
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    calculated: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) archived: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    data_sensitivity: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    modification_metadata: Option<ModificationMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModificationMetadata {
    #[serde(default, deserialize_with = "lenient")]
    read_only_value: Option<bool>,
}

/// Documents of one of [`SENSITIVE_LEVELS`], or why they were not listed.
pub(crate) enum Level<T> {
    Listed(Vec<T>),
    Refused(CrmError),
}

impl HubSpot {
    pub(crate) async fn defined_objects(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        let call = self.endpoints.schemas();
        let schemas = self.fetch(&call, |answer| Ok(documents::entries::<Schema>(&answer.body)?)).await?;
        let present = schemas.into_iter().filter(|schema| schema.archived != Some(true));
        let mut known = HashSet::new();
        let custom = present.filter_map(Schema::into_definition);
        Ok(custom.filter(|definition| known.insert(definition.object_type.clone())).collect())
    }

    pub(crate) async fn defined_properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError> {
        if is_conversations(object) {
            return Ok(ListedProperties { properties: conversation_properties(), refused: Vec::new() });
        }
        let (mut missing, mut hidden) = (MissingScopes::default(), None);
        let listed = missing.note(self.plain_documents(object, false).await)?.unwrap_or_default();
        let mut properties = into_properties(listed, Sensitivity::NonSensitive, &HashSet::new());
        let mut refused = Vec::new();
        for (level, parameter) in SENSITIVE_LEVELS {
            let known = properties.iter().map(|property| property.name.clone()).collect();
            let found = match self.sensitive_documents(object, parameter).await? {
                Level::Listed(listed) => into_properties(listed, level, &known),
                Level::Refused(error) => {
                    refused.push(refused_properties(level, error));
                    continue;
                }
            };
            let own = found.iter().filter(|property| property.sensitivity == level);
            let names: Vec<&str> = own.map(|property| property.name.as_str()).collect();
            note_hidden(&mut hidden, self.check_visible(object, parameter, &names).await)?;
            properties.extend(found);
        }
        if !missing.is_empty() {
            return Err(refusal::missing_scopes(all_missing(&missing.into_names(), refused, hidden)));
        }
        match hidden {
            Some(scopes) => Err(refusal::hidden_values(object, scopes)),
            None => Ok(ListedProperties { properties, refused }),
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
        self.fetch(&call, |answer| Ok(documents::entries(&answer.body)?)).await
    }

    /// Properties of one of [`SENSITIVE_LEVELS`]. A refusal is an answer: nobody knows then whether there are any.
    pub(crate) async fn sensitive_documents<T: DeserializeOwned + Send>(
        &self,
        object: &ObjectType,
        parameter: &str,
    ) -> Result<Level<T>, CrmError> {
        let query = Query::default().with("archived", "false").with("dataSensitivity", parameter);
        let scope = sensitive_scope(object, parameter).unwrap_or_default();
        let mut call = self.endpoints.properties(object, query, scope);
        call.about = format!("the {} properties of {object}", parameter.replace('_', " "));
        let retries = Retries::default().with_second_looks(1);
        match self.try_fetch(&call, retries, |answer| Ok(documents::entries(&answer.body)?)).await {
            Err(CallError::Refused(refusal)) if refusal.status != 401 => {
                Ok(Level::Refused(refusal.into_error(&call.about, &call.scope)))
            }
            listed => listed.map(Level::Listed).map_err(|error| error.into_error(&call)),
        }
    }
}

fn refused_properties(sensitivity: Sensitivity, error: CrmError) -> RefusedProperties {
    let scopes = if let CrmErrorKind::MissingScopes(scopes) = error.kind { scopes } else { Vec::new() };
    RefusedProperties { sensitivity, scopes, sentence: error.sentence }
}

/// All scopes that are missing, each once. A level that was refused for one of those that are missing anyway may need no
/// other.
fn all_missing(missing: &[String], refused: Vec<RefusedProperties>, hidden: Option<Vec<String>>) -> Vec<String> {
    let others = refused.into_iter().map(|refused| refused.scopes).chain(hidden);
    let others = others.filter(|scopes| !scopes.iter().any(|scope| missing.contains(scope)));
    let all: BTreeSet<String> = others.flatten().chain(missing.iter().cloned()).collect();
    all.into_iter().collect()
}

/// Gathers the scopes of all levels whose values are hidden.
fn note_hidden(hidden: &mut Option<Vec<String>>, checked: Result<(), CrmError>) -> Result<(), CrmError> {
    let Err(error) = checked else { return Ok(()) };
    let Some(scopes) = hidden::are_hidden(&error) else { return Err(error) };
    hidden.get_or_insert_default().extend(scopes.iter().cloned());
    Ok(())
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

impl Schema {
    /// Named by its fully qualified name, or by its type id where that name could not become a file's.
    fn into_definition(self) -> Option<ObjectDefinition> {
        let parsed = |name: Option<&str>| name.and_then(|name| ObjectType::parse(name).ok());
        let qualified = parsed(self.fully_qualified_name.as_deref());
        let object_type = qualified.or_else(|| parsed(self.object_type_id.as_deref()))?;
        let of_labels = self.labels.and_then(|labels| labels.singular.or(labels.plural));
        let given = |label: &String| !label.is_empty();
        let label = of_labels.filter(given).or(self.name.filter(given));
        Some(ObjectDefinition {
            label: label.unwrap_or_else(|| object_type.to_string()),
            object_type,
            type_id: self.object_type_id,
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
