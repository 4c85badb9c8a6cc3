//! The properties of an object with everything that a write needs to know.

use std::cmp::Reverse;
use std::collections::HashSet;

use domain::ids::ObjectType;
use domain::ports::crm::{CrmError, CrmErrorKind, MissingScopes};
use domain::ports::crm_batch::{PropertyDefinition, SideEffect};
use domain::property::{Property, Sensitivity};
use domain::restore::difference::Comparison;
use serde::Deserialize;

use crate::client::HubSpot;
use crate::definitions::{Level, PropertyDocument, SENSITIVE_LEVELS, conversation_properties};
use crate::documents::lenient;
use crate::errors;
use crate::standard_objects::is_conversations;

/// The stage of a contact or company. HubSpot silently ignores a change to an earlier stage.
const LIFECYCLE_STAGE: &str = "lifecyclestage";
/// Properties that move a record through a process.
const STAGES: [&str; 5] = [LIFECYCLE_STAGE, "dealstage", "pipeline", "hs_pipeline_stage", "hs_pipeline"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FullDocument {
    #[serde(flatten)]
    property: PropertyDocument,
    #[serde(default, deserialize_with = "lenient")]
    field_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    options: Option<Vec<OptionDocument>>,
    #[serde(default, deserialize_with = "lenient")]
    external_options: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    referenced_object_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    has_unique_value: Option<bool>,
}

#[derive(Deserialize)]
struct OptionDocument {
    #[serde(default, deserialize_with = "lenient")]
    value: Option<String>,
}

impl HubSpot {
    pub(crate) async fn full_definitions(&self, object: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError> {
        if is_conversations(object) {
            return Ok(conversation_properties().into_iter().map(without_constraints).collect());
        }
        let mut missing = MissingScopes::default();
        let plain = missing.note(self.plain_documents(object, false).await)?.unwrap_or_default();
        let mut found = into_definitions(plain, Sensitivity::NonSensitive, false, &HashSet::new());
        for (level, parameter) in SENSITIVE_LEVELS {
            let known = found.iter().map(|definition| definition.property.name.clone()).collect();
            let listed = match self.sensitive_documents(object, parameter).await? {
                Level::Listed(listed) => listed,
                // Only a missing scope can be added. Other refused levels count as undefined.
                Level::Refused(error) => {
                    let lacks_scopes = matches!(error.kind, CrmErrorKind::MissingScopes(_));
                    missing.note(if lacks_scopes { Err(error) } else { Ok(()) })?;
                    Vec::new()
                }
            };
            found.extend(into_definitions(listed, level, false, &known));
        }
        let archived = missing.note(self.plain_documents(object, true).await)?.unwrap_or_default();
        found.extend(into_definitions(archived, Sensitivity::NonSensitive, true, &HashSet::new()));
        if missing.is_empty() { Ok(each_once(found)) } else { Err(errors::missing_scopes(missing.into_names())) }
    }
}

fn without_constraints(property: Property) -> PropertyDefinition {
    let comparison = comparison_of(&property.kind, false);
    PropertyDefinition {
        property,
        archived: false,
        options: Vec::new(),
        comparison,
        forward_only: false,
        side_effect: None,
    }
}

fn into_definitions(
    listed: Vec<FullDocument>,
    level: Sensitivity,
    archived: bool,
    known: &HashSet<String>,
) -> Vec<PropertyDefinition> {
    let new = listed.into_iter().filter(|document| document.property.is_new(known));
    new.map(|document| document.into_definition(level, archived)).collect()
}

/// One definition for each name: preferably one that is not archived, and then the most sensitive one, as in a backup.
fn each_once(mut definitions: Vec<PropertyDefinition>) -> Vec<PropertyDefinition> {
    definitions.sort_by(|a, b| {
        let rank = |one: &PropertyDefinition| (one.archived, Reverse(one.property.sensitivity));
        a.property.name.cmp(&b.property.name).then_with(|| rank(a).cmp(&rank(b)))
    });
    definitions.dedup_by(|later, kept| later.property.name == kept.property.name);
    definitions
}

impl FullDocument {
    /// The definition, if it stands in the list for `level` of properties that are, or are not, `archived`.
    fn into_definition(self, level: Sensitivity, archived: bool) -> PropertyDefinition {
        let archived = self.property.archived.unwrap_or(archived);
        let property = self.property.into_property(level);
        let field_type = self.field_type.unwrap_or_default();
        let references_owner = self.referenced_object_type.is_some_and(|kind| kind.eq_ignore_ascii_case("OWNER"));
        let is_owner = references_owner || property.name == "hubspot_owner_id";
        let has_external_options = is_owner || self.external_options.unwrap_or(false);
        let options =
            self.options.filter(|_| property.kind == "enumeration" && !has_external_options).unwrap_or_default();
        let side_effect = if is_email(&property, &field_type) {
            Some(SideEffect::Email)
        } else if is_owner {
            Some(SideEffect::Owner)
        } else if STAGES.contains(&property.name.as_str()) {
            Some(SideEffect::Stage)
        } else {
            self.has_unique_value.unwrap_or(false).then_some(SideEffect::Unique)
        };
        PropertyDefinition {
            archived,
            options: options.into_iter().filter_map(|option| option.value).collect(),
            comparison: comparison_of(&property.kind, field_type == "checkbox"),
            forward_only: property.name == LIFECYCLE_STAGE,
            side_effect,
            property,
        }
    }
}

/// How values of HubSpot's type `kind` are compared. `multiple` is whether a value holds several options.
fn comparison_of(kind: &str, multiple: bool) -> Comparison {
    match kind {
        "number" => Comparison::Number,
        "date" => Comparison::Date,
        "datetime" => Comparison::DateTime,
        "bool" => Comparison::Flag,
        _ if multiple => Comparison::Options,
        _ => Comparison::Exact,
    }
}

/// HubSpot has no type for e-mail addresses, so the name decides: `email`, `work_email`, `hs_additional_emails`.
fn is_email(property: &Property, field_type: &str) -> bool {
    let last = property.name.rsplit('_').next().unwrap_or_default();
    field_type == "email" || property.kind == "string" && matches!(last, "email" | "emails")
}
