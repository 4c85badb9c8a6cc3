use reqwest::Method;
use sandbox_crm::{PortalConfig, RecordState, Sandbox, SandboxConfig, Variants};
use serde_json::json;

use crate::client::Fixture;

const CONTACTS: &str = "/crm/objects/2026-09/contacts";

#[tokio::test]
async fn a_list_is_read_to_its_end_in_order_of_ids_without_archived_and_merged_records() {
    let config = PortalConfig { archived_per_mille: 50, merged_per_mille: 50, ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("contacts", 230)).await;

    let ids = fixture.walk(&format!("{CONTACTS}?limit=100")).await;

    assert_eq!(ids.len(), 230);
    assert!(ids.is_sorted());
    assert_eq!(ids, fixture.live_ids("contacts"));
    assert_eq!(ids, fixture.walk("/crm/v3/objects/contacts?limit=37").await);
    let archived = fixture.walk(&format!("{CONTACTS}?limit=100&archived=true")).await;
    assert_eq!(archived.len(), 11);
    assert!(archived.iter().all(|id| !ids.contains(id)));
}

/// HubSpot's own Python client writes booleans so.
#[tokio::test]
async fn true_is_true_however_it_is_written() {
    let config = PortalConfig { archived_per_mille: 100, ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("contacts", 40)).await;
    let archived = fixture.walk(&format!("{CONTACTS}?limit=100&archived=true")).await;
    assert_eq!(archived.len(), 4);
    assert_eq!(fixture.walk(&format!("{CONTACTS}?limit=100&archived=True")).await, archived);
    assert_eq!(fixture.walk(&format!("{CONTACTS}?limit=100&archived=False")).await.len(), 40);
}

#[tokio::test]
async fn the_last_page_has_no_paging_even_when_it_is_full() {
    let fixture = Fixture::contacts(20).await;
    let first = fixture.get(&format!("{CONTACTS}?limit=10")).await.json();
    let link = first["paging"]["next"]["link"].as_str().expect("a link").to_owned();
    assert!(link.starts_with(&fixture.sandbox.base_url()), "{link}");

    let last = fixture.get(&link).await.json();

    assert_eq!(last["results"].as_array().map(Vec::len), Some(10));
    assert!(last.get("paging").is_none());
    let empty = fixture.get("/crm/objects/2026-09/deals").await.json();
    assert_eq!(empty, json!({"results": []}));
}

#[tokio::test]
async fn unknown_properties_are_ignored_and_unset_ones_come_back_as_null() {
    let fixture = Fixture::contacts(50).await;
    let comma = fixture.get(&format!("{CONTACTS}?limit=50&properties=fax,nonsense,email")).await;
    let repeated = fixture.get(&format!("{CONTACTS}?limit=50&properties=email&properties=fax")).await;

    let page = comma.json();
    assert_eq!(page["results"], repeated.json()["results"]);
    let records = page["results"].as_array().expect("results");
    for record in records {
        let names: Vec<_> = record["properties"].as_object().expect("properties").keys().collect();
        assert_eq!(names, ["createdate", "email", "fax", "hs_object_id", "lastmodifieddate"]);
        assert_eq!(record["properties"]["hs_object_id"], record["id"]);
        assert_eq!(record["archived"], false);
    }
    assert!(records.iter().any(|record| record["properties"]["fax"].is_null()));
}

#[tokio::test]
async fn an_object_type_is_known_by_several_names() {
    let fixture = Fixture::with(PortalConfig::default()).await;
    let plain = fixture.get("/crm/v3/objects/contacts?limit=3").await.ids();
    for name in ["contact", "0-1", "CONTACTS"] {
        assert_eq!(fixture.get(&format!("/crm/v3/objects/{name}?limit=3")).await.ids(), plain, "{name}");
    }
    let schemas = fixture.get("/crm/v3/schemas").await.json();
    let machine = &schemas["results"][0];
    let plain = fixture.get("/crm/v3/objects/p_machine?limit=3").await.ids();
    for field in ["objectTypeId", "fullyQualifiedName"] {
        let name = machine[field].as_str().expect(field);
        assert_eq!(fixture.get(&format!("/crm/v3/objects/{name}?limit=3")).await.ids(), plain, "{name}");
    }
    for unknown in ["nonsense", "conversations"] {
        let refused = fixture.get(&format!("/crm/v3/objects/{unknown}")).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["message"], format!("Unable to infer object type from: {unknown}"));
    }
}

#[tokio::test]
async fn a_get_with_a_body_is_answered_and_the_connection_goes_on() {
    let fixture = Fixture::contacts(5).await;
    for _ in 0..3 {
        let answer = fixture.try_call(Method::GET, CONTACTS, Some(json!({}))).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn bad_page_sizes_and_paths_are_refused() {
    let fixture = Fixture::contacts(5).await;
    for limit in ["0", "101", "-1", "ten"] {
        let refused = fixture.get(&format!("{CONTACTS}?limit={limit}")).await;
        assert_eq!(refused.status, 400, "{limit}");
        assert_eq!(refused.json()["category"], "VALIDATION_ERROR");
    }
    assert_eq!(fixture.get("/crm/v4/objects/contacts").await.status, 404);
    assert_eq!(fixture.try_call(Method::PUT, CONTACTS, None).await.expect("an answer").status, 404);
}

#[tokio::test]
async fn one_record_is_found_by_its_own_id_and_by_one_merged_into_it() {
    let config = PortalConfig { merged_per_mille: 100, archived_per_mille: 100, ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("contacts", 40)).await;
    let records = fixture.portal.truth("contacts", 0, 1_000).expect("contacts");
    let of = |state| records.iter().find(|record| record.state == state).expect("one of each").id;

    let live = of(RecordState::Live);
    assert_eq!(fixture.get(&format!("{CONTACTS}/{live}")).await.json()["id"], live.to_string());
    let merged = of(RecordState::Merged);
    let survivor = fixture.get(&format!("{CONTACTS}/{merged}?properties=hs_merged_object_ids")).await.json();
    assert_ne!(survivor["id"], merged.to_string());
    assert_eq!(survivor["properties"]["hs_merged_object_ids"], merged.to_string());
    let archived = of(RecordState::Archived);
    assert_eq!(fixture.get(&format!("{CONTACTS}/{archived}")).await.status, 404);
    let found = fixture.get(&format!("{CONTACTS}/{archived}?archived=true")).await.json();
    assert!(found["archived"] == true && found["archivedAt"].is_string());
}

#[tokio::test]
async fn the_same_seed_makes_the_same_records_and_another_seed_others() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.expect("a free port");
    let truth = |seed| {
        let config = PortalConfig { seed, ..PortalConfig::default() };
        let portal = sandbox.add_portal(&config).expect("a valid portal");
        portal.truth("tickets", 0, 100).expect("tickets")
    };
    let first = truth(5);
    assert_eq!(first, truth(5));
    assert_ne!(first, truth(6));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_million_records_start_anywhere() {
    let fixture = Fixture::contacts(1_000_000).await;
    let last = fixture.get(&format!("{CONTACTS}?limit=1&after=200000000000")).await.ids();
    assert_eq!(last.len(), 1);
    let page = fixture.get(&format!("{CONTACTS}?limit=100&after={}", last[0])).await.ids();
    assert!(page.is_sorted() && page[0] == last[0]);
}

#[tokio::test]
async fn every_value_that_is_listed_is_the_true_one() {
    let variants = Variants { bare_names: true, ..Variants::default() };
    let config = PortalConfig { seed: 3, variants, ..PortalConfig::default() };
    let fixture = Fixture::with(config).await;
    for (object, _) in fixture.portal.objects() {
        if object == "conversations" {
            continue;
        }
        let names = fixture.portal.property_names(&object).expect("an object").join(",");
        let page = fixture.get(&format!("/crm/objects/2026-09/{object}?limit=100&properties={names}")).await.json();
        let truth = fixture.portal.truth(&object, 0, 1_000).expect("an object");
        let mut live = truth.iter().filter(|record| record.state == RecordState::Live);
        for record in page["results"].as_array().expect("results") {
            let truth = live.next().expect("as many");
            assert_eq!(record["id"], truth.id.to_string());
            for (name, value) in record["properties"].as_object().expect("properties") {
                assert_eq!(value.as_str(), truth.properties.get(name).map(String::as_str), "{object}.{name}");
            }
        }
    }
}
