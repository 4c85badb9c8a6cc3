//! The properties that standard objects have in an account, described in our own words.

mod companies;
mod contacts;
mod conversations;
mod custom;
mod deals;
mod definition;
mod engagements;
mod odd;
mod products;
mod synthetic;
mod system;
mod tickets;

pub(crate) use custom::properties as custom_properties;
pub(crate) use odd::{odd, odd_and_long};
pub(crate) use synthetic::{columns, wide};

use crate::property::Property;
use definition::Definition;

/// Describes a standard object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StandardObject {
    /// As in URLs, such as `contacts`.
    pub(crate) name: &'static str,
    pub(crate) type_id: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) plural: &'static str,
    /// The group of its properties.
    pub(crate) group: &'static str,
    definitions: &'static [&'static [Definition]],
    /// The property that holds the time of creation.
    pub(crate) created: &'static str,
    /// The property that holds the time of the last change.
    pub(crate) updated: &'static str,
    /// Returned when no properties are asked for, besides the id and the two times.
    pub(crate) defaults: &'static [&'static str],
}

/// All standard objects that the sandbox serves. Conversations are served by the threads endpoint only.
pub(crate) const STANDARD: &[StandardObject] = &[
    StandardObject {
        name: "contacts",
        type_id: "0-1",
        singular: "Contact",
        plural: "Contacts",
        group: "contactinformation",
        definitions: &[contacts::DEFINITIONS, contacts::ANALYTICS, contacts::SENSITIVE, system::OWNED],
        created: "createdate",
        updated: "lastmodifieddate",
        defaults: &["email", "firstname", "lastname"],
    },
    StandardObject {
        name: "companies",
        type_id: "0-2",
        singular: "Company",
        plural: "Companies",
        group: "companyinformation",
        definitions: &[companies::DEFINITIONS, system::OWNED],
        created: "createdate",
        updated: "hs_lastmodifieddate",
        defaults: &["domain", "name"],
    },
    StandardObject {
        name: "deals",
        type_id: "0-3",
        singular: "Deal",
        plural: "Deals",
        group: "dealinformation",
        definitions: &[deals::DEFINITIONS, system::OWNED],
        created: "createdate",
        updated: "hs_lastmodifieddate",
        defaults: &["amount", "closedate", "dealname", "dealstage", "pipeline"],
    },
    StandardObject {
        name: "tickets",
        type_id: "0-5",
        singular: "Ticket",
        plural: "Tickets",
        group: "ticketinformation",
        definitions: &[tickets::DEFINITIONS, system::OWNED],
        created: "createdate",
        updated: "hs_lastmodifieddate",
        defaults: &[
            "content",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_category",
            "hs_ticket_priority",
            "subject",
        ],
    },
    StandardObject {
        name: "products",
        type_id: "0-7",
        singular: "Product",
        plural: "Products",
        group: "productinformation",
        definitions: &[products::DEFINITIONS, system::UNOWNED],
        created: "createdate",
        updated: "hs_lastmodifieddate",
        defaults: &["description", "name", "price"],
    },
    StandardObject {
        name: "calls",
        type_id: "0-48",
        singular: "Call",
        plural: "Calls",
        group: "call",
        definitions: &[engagements::CALLS, engagements::SHARED, system::OWNED],
        created: "hs_createdate",
        updated: "hs_lastmodifieddate",
        defaults: &[],
    },
    StandardObject {
        name: "tasks",
        type_id: "0-27",
        singular: "Task",
        plural: "Tasks",
        group: "task",
        definitions: &[engagements::TASKS, engagements::SHARED, system::OWNED],
        created: "hs_createdate",
        updated: "hs_lastmodifieddate",
        defaults: &[],
    },
    StandardObject {
        name: CONVERSATIONS,
        type_id: "0-11",
        singular: "Conversation",
        plural: "Conversations",
        group: "conversation",
        definitions: &[conversations::DEFINITIONS],
        created: "createdAt",
        updated: "latestMessageTimestamp",
        defaults: &[],
    },
];

/// The object that only the threads endpoint serves.
pub(crate) const CONVERSATIONS: &str = "conversations";

impl StandardObject {
    /// All its properties in an account with every hub, in no particular order.
    pub(crate) fn properties(&self) -> Vec<Property> {
        let mut properties: Vec<Property> =
            self.definitions.iter().copied().flatten().map(|definition| definition.build(self.group)).collect();
        if self.name != CONVERSATIONS {
            properties.extend(system::record_properties(self.group, self.created, self.updated));
        }
        properties
    }

    /// The few that an account cannot be without.
    pub(crate) fn tiny(&self) -> Vec<Property> {
        let essential = |name: &str| {
            self.defaults.contains(&name)
                || name == self.created
                || name == self.updated
                || [system::RECORD_ID, "hs_call_title", "hs_task_subject", "hs_timestamp"].contains(&name)
        };
        let properties = self.properties();
        if self.name == CONVERSATIONS {
            return properties;
        }
        properties.into_iter().filter(|property| essential(&property.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::property::{Kind, Sensitivity};

    #[test]
    fn every_object_has_unique_names_options_where_needed_and_the_promised_width() {
        for object in STANDARD.iter().filter(|object| object.name != CONVERSATIONS) {
            let name = object.name;
            let at_least = match name {
                "contacts" => 60,
                "companies" => 50,
                "deals" => 40,
                "tickets" => 30,
                "products" => 15,
                _ => 25,
            };
            let properties = object.properties();
            assert!(properties.len() >= at_least, "{name} has {}", properties.len());
            let names: HashSet<&str> = properties.iter().map(|property| property.name.as_str()).collect();
            assert_eq!(names.len(), properties.len(), "{name} names a property twice");
            for property in &properties {
                let has_choices = !property.options.is_empty() || property.external_options;
                assert_eq!(
                    has_choices,
                    matches!(property.kind, Kind::Enumeration | Kind::Bool),
                    "{name}.{}",
                    property.name
                );
            }
            for default in object.defaults {
                assert!(names.contains(default), "{name} has no {default}");
            }
        }
    }

    #[test]
    fn contacts_hold_sensitive_and_highly_sensitive_values() {
        let contacts = STANDARD[0].properties();
        for sensitivity in [Sensitivity::Sensitive, Sensitivity::HighlySensitive] {
            assert!(contacts.iter().any(|property| property.sensitivity == sensitivity));
        }
    }
}
