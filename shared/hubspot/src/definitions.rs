//! The properties of an object.
//!
//! Sensitive properties have calls of their own. HubSpot's guide says that their definitions need no sensitive scope
//! but their values do; [`crate::hidden`] checks whether the token may read the values. An account without sensitive
//! data needs none of those scopes, and its plan may not even have the feature. If the CRM refuses to list a level, the
//! result says so, since such properties may exist. If a call is refused for a scope, the other calls are still sent,
//! so that all missing scopes are reported at once.

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

/// Name, label and type of each member of a conversation.
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

/// Levels of sensitivity that have calls of their own, and their names in these calls.
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

/// The property documents of one of [`SENSITIVE_LEVELS`], or why the CRM did not list them.
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
        let [one, other] = SENSITIVE_LEVELS.map(|(_, parameter)| self.sensitive_documents(object, parameter));
        let (plain, one, other) = tokio::join!(self.plain_documents(object, false), one, other);
        let listed = missing.note(plain)?.unwrap_or_default();
        let mut properties = into_properties(listed, Sensitivity::NonSensitive, &HashSet::new());
        let (mut refused, mut own_of) = (Vec::new(), [const { Vec::new() }; 2]);
        for (((level, _), documents), own) in SENSITIVE_LEVELS.into_iter().zip([one, other]).zip(&mut own_of) {
            let known = properties.iter().map(|property| property.name.clone()).collect();
            match documents? {
                Level::Listed(listed) => {
                    let found = into_properties(listed, level, &known);
                    own.extend(found.iter().filter(|found| found.sensitivity == level).map(|found| found.name.clone()));
                    properties.extend(found);
                }
                Level::Refused(error) => refused.push(refused_properties(level, error)),
            }
        }
        let own_of = own_of.each_ref().map(|own: &Vec<String>| own.iter().map(String::as_str).collect::<Vec<_>>());
        let first = self.first_records(object, &own_of).await;
        for ((_, parameter), own) in SENSITIVE_LEVELS.into_iter().zip(&own_of) {
            note_hidden(&mut hidden, self.check_visible(object, parameter, own, &first).await)?;
        }
        if !missing.is_empty() {
            return Err(errors::missing_scopes(all_missing(&missing.into_names(), refused, hidden)));
        }
        match hidden {
            Some(scopes) => Err(errors::hidden_values(object, scopes)),
            None => Ok(ListedProperties { properties, refused }),
        }
    }

    /// Properties that are not sensitive: the archived ones, or the others.
    pub(crate) async fn plain_documents<T: DeserializeOwned + Send>(
        &self,
        object: &ObjectType,
        archived: bool,
    ) -> Result<Vec<T>, CrmError> {
        let query = Query::default().with("archived", if archived { "true" } else { "false" });
        let call = self.endpoints.properties(object, query, scopes_of(object).definitions());
        self.fetch(&call, |answer| Ok(documents::entries(&answer.body)?)).await
    }

    /// Properties of one of [`SENSITIVE_LEVELS`]. A refusal is a result, not an error: such properties may exist.
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

/// All missing scopes, each once. If a level was refused for one of the scopes in `missing`, its other scopes may not
/// be necessary and are left out.
fn all_missing(missing: &[String], refused: Vec<RefusedProperties>, hidden: Option<Vec<String>>) -> Vec<String> {
    let others = refused.into_iter().map(|refused| refused.scopes).chain(hidden);
    let others = others.filter(|scopes| !scopes.iter().any(|scope| missing.contains(scope)));
    let all: BTreeSet<String> = others.flatten().chain(missing.iter().cloned()).collect();
    all.into_iter().collect()
}

/// Collects the scopes of all levels whose values are hidden.
fn note_hidden(hidden: &mut Option<Vec<String>>, checked: Result<(), CrmError>) -> Result<(), CrmError> {
    let Err(error) = checked else { return Ok(()) };
    let Some(scopes) = hidden::scopes_for_hidden_values(&error) else { return Err(error) };
    hidden.get_or_insert_default().extend(scopes.iter().cloned());
    Ok(())
}

/// The properties in the list for `level`, without the `known` ones.
fn into_properties(listed: Vec<PropertyDocument>, level: Sensitivity, known: &HashSet<String>) -> Vec<Property> {
    let present = listed.into_iter().filter(|document| !document.archived.unwrap_or(false));
    present.filter(|document| document.is_new(known)).map(|document| document.into_property(level)).collect()
}

impl PropertyDocument {
    /// Whether the property was not listed before. A server that does not support levels lists all properties again
    /// without a level. They must not count as sensitive.
    pub(crate) fn is_new(&self, known: &HashSet<String>) -> bool {
        self.data_sensitivity.is_some() || !known.contains(&self.name)
    }

    /// The property, if it stands in the list for `level`.
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

    /// The level in the document, or else the level `asked` of its list.
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
