//! The object types that every account has. Everything that differs between them follows from one table.

use domain::ids::ObjectType;
use domain::property::ObjectDefinition;

use crate::scopes::{DefinitionScope, ObjectScopes, ScopeArea};

/// The object type that HubSpot lists as threads, by an endpoint of its own.
pub(crate) const CONVERSATIONS: &str = "conversations";

/// The property with the time at which a record was created, in most standard objects.
const CREATEDATE: &str = "createdate";
/// The same property in activities and custom objects.
const HS_CREATEDATE: &str = "hs_createdate";

/// One object type that every account has.
struct StandardObject {
    name: &'static str,
    /// `None` if it has no object endpoint: then it cannot be searched, or read by ids.
    type_id: Option<&'static str>,
    label: &'static str,
    scopes: ObjectScopes,
    /// The property by which records are counted that were created since a time.
    created: &'static str,
}

/// All of them, in the order in which a backup lists them.
const STANDARD_OBJECTS: &[StandardObject] = &[
    StandardObject {
        name: "contacts",
        type_id: Some("0-1"),
        label: "Contact",
        scopes: ObjectScopes::crm("contacts"),
        created: CREATEDATE,
    },
    StandardObject {
        name: "companies",
        type_id: Some("0-2"),
        label: "Company",
        scopes: ObjectScopes::crm("companies"),
        created: CREATEDATE,
    },
    StandardObject {
        name: "deals",
        type_id: Some("0-3"),
        label: "Deal",
        scopes: ObjectScopes::crm("deals"),
        created: CREATEDATE,
    },
    StandardObject {
        name: "tickets",
        type_id: Some("0-5"),
        label: "Ticket",
        scopes: ObjectScopes {
            area: ScopeArea::OneScope("tickets"),
            definitions: DefinitionScope::Records,
            sensitive: true,
        },
        created: CREATEDATE,
    },
    StandardObject {
        name: "products",
        type_id: Some("0-7"),
        label: "Product",
        scopes: ObjectScopes {
            area: ScopeArea::Crm("products"),
            definitions: DefinitionScope::Records,
            sensitive: false,
        },
        created: CREATEDATE,
    },
    // Activities belong to contacts.
    StandardObject {
        name: "calls",
        type_id: Some("0-48"),
        label: "Call",
        scopes: ObjectScopes::crm("contacts").without_sensitive(),
        created: HS_CREATEDATE,
    },
    StandardObject {
        name: "tasks",
        type_id: Some("0-27"),
        label: "Task",
        scopes: ObjectScopes::crm("contacts").without_sensitive(),
        created: HS_CREATEDATE,
    },
    StandardObject {
        name: CONVERSATIONS,
        type_id: None,
        label: "Conversation",
        scopes: ObjectScopes {
            area: ScopeArea::Own("conversations"),
            definitions: DefinitionScope::Records,
            sensitive: false,
        },
        created: HS_CREATEDATE,
    },
];

/// The scopes of every custom object type.
const CUSTOM_SCOPES: ObjectScopes = ObjectScopes::crm("custom");

/// The definitions of all standard objects.
pub(crate) fn standard_objects() -> Vec<ObjectDefinition> {
    let standard = STANDARD_OBJECTS.iter().map(|object| ObjectDefinition {
        object_type: ObjectType::parse(object.name).expect("a valid object type"),
        type_id: object.type_id.map(str::to_owned),
        label: object.label.to_owned(),
        custom: false,
    });
    standard.collect()
}

/// The scopes of a standard or custom object type.
pub(crate) fn scopes_of(object: &ObjectType) -> ObjectScopes {
    find(object).map_or(CUSTOM_SCOPES, |standard| standard.scopes)
}

/// The properties that may contain the time of a record's creation, the likeliest first. HubSpot documents for no
/// object type which of the two it has, and refuses a search by a property that does not exist.
pub(crate) fn creation_properties(object: &ObjectType) -> [&'static str; 2] {
    match find(object).map_or(HS_CREATEDATE, |standard| standard.created) {
        CREATEDATE => [CREATEDATE, HS_CREATEDATE],
        other => [other, CREATEDATE],
    }
}

/// Whether HubSpot lists `object` as threads.
pub(crate) fn is_conversations(object: &ObjectType) -> bool {
    object.as_str() == CONVERSATIONS
}

fn find(object: &ObjectType) -> Option<&'static StandardObject> {
    STANDARD_OBJECTS.iter().find(|standard| standard.name == object.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn object(name: &str) -> ObjectType {
        ObjectType::parse(name).expect("valid")
    }

    /// C5: `None` stands for a scope that HubSpot does not have.
    #[test]
    fn scopes_are_spelled_as_hubspot_spells_them() {
        type Expected = (&'static str, [&'static str; 3], Option<&'static str>);
        let expected: [Expected; 9] = [
            (
                "contacts",
                ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read"],
                Some("crm.objects.contacts.sensitive.read"),
            ),
            (
                "companies",
                ["crm.objects.companies.read", "crm.objects.companies.write", "crm.schemas.companies.read"],
                Some("crm.objects.companies.sensitive.read"),
            ),
            (
                "deals",
                ["crm.objects.deals.read", "crm.objects.deals.write", "crm.schemas.deals.read"],
                Some("crm.objects.deals.sensitive.read"),
            ),
            ("tickets", ["tickets", "tickets", "tickets"], Some("tickets.sensitive")),
            (
                "products",
                ["crm.objects.products.read", "crm.objects.products.write", "crm.objects.products.read"],
                None,
            ),
            ("calls", ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read"], None),
            ("tasks", ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read"], None),
            ("conversations", ["conversations.read", "conversations.write", "conversations.read"], None),
            (
                "p1_car",
                ["crm.objects.custom.read", "crm.objects.custom.write", "crm.schemas.custom.read"],
                Some("crm.objects.custom.sensitive.read"),
            ),
        ];
        for (name, scopes, sensitive) in expected {
            let found = scopes_of(&object(name));
            assert_eq!([found.read(), found.write(), found.definitions()], scopes, "{name}");
            assert_eq!(found.sensitive("sensitive").as_deref(), sensitive, "{name}");
        }
        let tested: BTreeSet<&str> = expected.iter().map(|(name, ..)| *name).collect();
        assert!(
            STANDARD_OBJECTS.iter().all(|standard| tested.contains(standard.name)),
            "a standard object is not tested"
        );
        let highly = scopes_of(&object("deals")).sensitive("highly_sensitive");
        assert_eq!(highly.as_deref(), Some("crm.objects.deals.highly_sensitive.read"));
    }

    #[test]
    fn activities_and_custom_objects_are_counted_by_another_creation_property_first() {
        for name in ["contacts", "companies", "deals", "tickets", "products"] {
            assert_eq!(creation_properties(&object(name)), ["createdate", "hs_createdate"], "{name}");
        }
        for name in ["calls", "tasks", "conversations", "p1_car"] {
            assert_eq!(creation_properties(&object(name)), ["hs_createdate", "createdate"], "{name}");
        }
    }

    #[test]
    fn names_and_type_ids_of_standard_objects_are_unique() {
        let names: BTreeSet<&str> = STANDARD_OBJECTS.iter().map(|standard| standard.name).collect();
        let type_ids: BTreeSet<_> = STANDARD_OBJECTS.iter().map(|standard| standard.type_id).collect();
        assert_eq!((names.len(), type_ids.len()), (STANDARD_OBJECTS.len(), STANDARD_OBJECTS.len()));
    }
}
