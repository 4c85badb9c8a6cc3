//! The object types that an account has defined itself.

use std::collections::HashSet;

use domain::ids::ObjectType;
use domain::ports::crm::CrmError;
use domain::property::ObjectDefinition;
use serde::Deserialize;

use crate::client::HubSpot;
use crate::documents::{self, lenient};

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

impl HubSpot {
    pub(crate) async fn custom_objects(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        let call = self.endpoints.schemas();
        let schemas = self.fetch(&call, |answer| Ok(documents::entries::<Schema>(&answer.body)?)).await?;
        let present = schemas.into_iter().filter(|schema| schema.archived != Some(true));
        let mut known = HashSet::new();
        let custom = present.filter_map(Schema::into_definition);
        Ok(custom.filter(|definition| known.insert(definition.object_type.clone())).collect())
    }
}

impl Schema {
    /// The object type is the fully qualified name, or the type id if that name is no valid [`ObjectType`].
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
