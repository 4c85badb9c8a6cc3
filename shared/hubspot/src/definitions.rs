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
use domain::property::{Property, Sensitivity};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::CallError;
use crate::client::HubSpot;
use crate::documents::{self, lenient};
use crate::errors;
use crate::hidden;
use crate::query::Query;
use crate::retry::Retries;
use crate::standard_objects::{is_conversations, scopes_of};

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
            return Err(errors::missing_scopes(all_missing(&missing.into_names(), refused, hidden)));
        }
        match hidden {
            Some(scopes) => Err(errors::hidden_values(object, scopes)),
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
        let call = self.endpoints.properties(object, query, scopes_of(object).definitions());
        self.fetch(&call, |answer| Ok(documents::entries(&answer.body)?)).await
    }

    /// Properties of one of [`SENSITIVE_LEVELS`]. A refusal is an answer: nobody knows then whether there are any.
    pub(crate) async fn sensitive_documents<T: DeserializeOwned + Send>(
        &self,
        object: &ObjectType,
        parameter: &str,
    ) -> Result<Level<T>, CrmError> {
        let query = Query::default().with("archived", "false").with("dataSensitivity", parameter);
        let scope = scopes_of(object).sensitive(parameter).unwrap_or_default();
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
