use std::collections::HashSet;

use sandbox_crm::{NewProperty, PortalConfig, PropertySet, ScopeNames, Variants};
use serde_json::{Value, json};

use crate::client::Fixture;

fn names(answer: &Value) -> HashSet<String> {
    let results = answer["results"].as_array().expect("results");
    results.iter().map(|property| property["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn sensitive_properties_are_listed_only_when_asked_for() {
    let fixture = Fixture::contacts(1).await;
    let plain = names(&fixture.get("/crm/properties/2026-09/contacts").await.json());
    let sensitive = names(&fixture.get("/crm/properties/2026-09/contacts?dataSensitivity=sensitive").await.json());
    let highly = fixture.get("/crm/v3/properties/0-1?dataSensitivity=highly_sensitive").await.json();
    assert!(plain.contains("email") && plain.len() >= 60);
    assert!(sensitive.contains("salary") && sensitive.is_disjoint(&plain));
    assert!(names(&highly).contains("bank_account_iban") && names(&highly).is_disjoint(&plain));
    assert_eq!(highly["results"][0]["dataSensitivity"], "highly_sensitive");
    assert_eq!(fixture.get("/crm/properties/2026-09/contacts?dataSensitivity=secret").await.status, 400);
}

#[tokio::test]
async fn a_definition_has_every_field_that_clients_read() {
    let fixture = Fixture::contacts(1).await;
    let stage = fixture.get("/crm/properties/2026-09/contacts/lifecyclestage").await.json();
    assert_eq!(stage["type"], "enumeration");
    assert_eq!(stage["fieldType"], "radio");
    assert_eq!(stage["options"][0]["value"], "subscriber");
    for flag in ["calculated", "hidden", "hasUniqueValue", "archived"] {
        assert_eq!(stage[flag], false, "{flag}");
    }
    assert_eq!(stage["hubspotDefined"], true);
    let visits = fixture.get("/crm/properties/2026-09/contacts/hs_analytics_num_visits").await.json();
    let metadata = json!({"readOnlyValue": true, "readOnlyDefinition": true, "archivable": false});
    assert_eq!(visits["modificationMetadata"], metadata);
    assert_eq!(fixture.get("/crm/properties/2026-09/contacts/nonsense").await.status, 404);
}

#[tokio::test]
async fn a_definition_says_where_its_options_are_defined_and_whether_values_are_unique() {
    let fixture = Fixture::contacts(1).await;
    let owner = fixture.get("/crm/v3/properties/contacts/hubspot_owner_id").await.json();
    assert_eq!((&owner["externalOptions"], &owner["referencedObjectType"]), (&json!(true), &json!("OWNER")));
    let stage = fixture.get("/crm/v3/properties/deals/dealstage").await.json();
    assert_eq!((&stage["externalOptions"], &stage["referencedObjectType"]), (&json!(true), &Value::Null));
    assert_eq!(fixture.get("/crm/v3/properties/contacts/email").await.json()["hasUniqueValue"], true);
}

#[tokio::test]
async fn archived_properties_are_listed_apart_until_they_are_defined_again() {
    let fixture = Fixture::contacts(5).await;
    let city_of_all = || {
        fixture
            .portal
            .truth("contacts", 0, 5)
            .expect("contacts")
            .into_iter()
            .map(|mut record| record.properties.remove("city"))
    };
    let cities: Vec<_> = city_of_all().collect();
    assert!(fixture.portal.archive_property("contacts", "city"));
    assert!(!fixture.portal.archive_property("contacts", "city"), "it is archived already");

    let archived = fixture.get("/crm/properties/2026-09/contacts?archived=true").await.json();
    assert_eq!(names(&archived), HashSet::from(["city".to_owned()]));
    assert_eq!(archived["results"][0]["archived"], true);
    let present = names(&fixture.get("/crm/properties/2026-09/contacts").await.json());
    assert!(!present.contains("city"));
    let page = fixture.get("/crm/v3/objects/contacts?properties=city,email").await.json();
    assert!(page["results"][0]["properties"].get("city").is_none());

    fixture.portal.define_property("contacts", "city", &NewProperty::default());
    let archived = fixture.get("/crm/properties/2026-09/contacts?archived=true").await.json();
    assert!(names(&archived).is_empty());
    assert!(cities.iter().any(Option::is_some));
    assert_eq!(city_of_all().collect::<Vec<_>>(), cities, "its values are back");
}

#[tokio::test]
async fn accounts_can_be_wide_tiny_or_made_for_benchmarks() {
    for (set, count) in [
        (PropertySet::Wide(1_000), 1_000..=1_000),
        (PropertySet::Tiny, 3..=12),
        (PropertySet::Columns { total: 200, set: 60 }, 203..=203),
    ] {
        let config = PortalConfig { property_set: set, ..PortalConfig::empty() }.with_records("contacts", 200);
        let fixture = Fixture::with(config).await;
        let names = fixture.portal.property_names("contacts").expect("contacts");
        assert!(count.contains(&names.len()), "{set:?} has {}", names.len());
        if set == (PropertySet::Columns { total: 200, set: 60 }) {
            let records = fixture.portal.truth("contacts", 0, 200).expect("contacts");
            let filled: usize = records.iter().map(|record| record.properties.len() - 3).sum();
            assert!((200 * 56..200 * 64).contains(&filled), "{filled} values in 200 records");
        }
    }
}

#[tokio::test]
async fn the_oldest_paths_answer_bare_arrays() {
    let fixture = Fixture::contacts(1).await;
    for path in ["/properties/v1/contacts/properties", "/properties/v2/deals/properties", "/companies/v2/properties"] {
        let answer = fixture.get(path).await.json();
        assert!(answer.as_array().is_some_and(|properties| properties.len() > 20), "{path}");
    }
}

#[tokio::test]
async fn schemas_list_custom_objects_with_their_names() {
    let fixture = Fixture::with(PortalConfig { portal_id: Some(77), ..PortalConfig::default() }).await;
    let dated = fixture.get("/crm-object-schemas/2026-09/schemas").await.json();
    assert_eq!(dated, fixture.get("/crm/v3/schemas").await.json());
    let machine = &dated["results"][0];
    assert_eq!(machine["fullyQualifiedName"], "p77_machine");
    assert_eq!(machine["labels"], json!({"singular": "Machine", "plural": "Machines"}));
    assert_eq!(machine["primaryDisplayProperty"], "name");
    assert_eq!(machine["requiredProperties"], json!(["name"]));
    assert!(machine["objectTypeId"].as_str().is_some_and(|id| id.starts_with("2-")));
    assert!(machine["properties"].as_array().is_some_and(|properties| properties.len() > 10));
    assert_eq!(fixture.get("/crm/v3/schemas/machine").await.json(), *machine);
}

#[tokio::test]
async fn threads_are_paged_with_opaque_cursors() {
    let fixture = Fixture::with(PortalConfig::empty().with_records("conversations", 130)).await;
    let ids = fixture.walk("/conversations/conversations/2026-09/threads?limit=50").await;
    assert_eq!(ids, fixture.live_ids("conversations"));
    let page = fixture.get("/conversations/v3/conversations/threads?limit=50").await.json();
    assert!(page["paging"]["next"]["after"].as_str().is_some_and(|after| after.parse::<u64>().is_err()));
    let thread = &page["results"][0];
    for field in ["id", "status", "createdAt", "inboxId", "originalChannelId", "latestMessageTimestamp"] {
        assert!(thread[field].is_string(), "{field}");
    }
    assert!(thread["spam"].is_boolean() && thread["archived"] == false);
    assert_eq!(
        fixture.get(&format!("/conversations/v3/conversations/threads/{}", ids[3])).await.json()["id"],
        ids[3].to_string()
    );
    assert_eq!(fixture.get("/conversations/v3/conversations/threads?after=5").await.status, 400);
}

#[tokio::test]
async fn the_account_says_who_it_is_and_how_many_records_it_has() {
    let config =
        PortalConfig { portal_id: Some(4_711), time_zone: "Asia/Kolkata".to_owned(), ..PortalConfig::default() };
    let fixture = Fixture::with(config).await;
    let details = fixture.get("/account-info/v3/details").await.json();
    assert_eq!(details["portalId"], 4_711);
    assert_eq!(details["timeZone"], "Asia/Kolkata");
    assert_eq!(details["utcOffset"], "+05:30");

    let limits = fixture.get("/crm/v3/limits/records").await.json();
    let contacts = &limits["hubspotDefinedObjectTypes"][0];
    assert_eq!((&contacts["objectTypeId"], &contacts["usage"]), (&json!("0-1"), &json!(1_000)));
    assert_eq!(limits["customObjectTypes"]["byObjectType"][0]["usage"], 120);
}

#[tokio::test]
async fn missing_scopes_are_named() {
    let granted = ["crm.objects.contacts.read", "crm.schemas.contacts.read", "crm.schemas.custom.read"];
    let config = PortalConfig {
        scopes: Some(granted.map(str::to_owned).to_vec()),
        variants: Variants { scope_names: ScopeNames::Documented, ..Variants::default() },
        ..PortalConfig::default()
    };
    let fixture = Fixture::with(config).await;
    for allowed in ["/crm/v3/objects/contacts", "/crm/v3/objects/calls", "/crm/v3/schemas", "/account-info/v3/details"]
    {
        assert_eq!(fixture.get(allowed).await.status, 200, "{allowed}");
    }
    for (path, scope) in [
        ("/crm/v3/objects/deals", "crm.objects.deals.read"),
        ("/crm/v3/objects/tickets", "tickets"),
        ("/crm/v3/objects/p_machine", "crm.objects.custom.read"),
        ("/crm/v3/properties/companies", "crm.schemas.companies.read"),
        ("/crm/v3/properties/products", "crm.objects.products.read"),
        ("/conversations/v3/conversations/threads", "conversations.read"),
    ] {
        let refused = fixture.get(path).await;
        assert_eq!(refused.status, 403, "{path}");
        let error = refused.json();
        assert_eq!(error["category"], "MISSING_SCOPES");
        assert_eq!(error["context"]["requiredGranularScopes"], json!([scope]));
    }
    // A value that the token may not see does not come back at all.
    let page = fixture.get("/crm/v3/objects/contacts?properties=salary,email").await.json();
    assert!(page["results"][0]["properties"].get("salary").is_none());
    fixture.portal.set_scopes(None);
    assert_eq!(fixture.get("/crm/v3/objects/deals").await.status, 200);
}
