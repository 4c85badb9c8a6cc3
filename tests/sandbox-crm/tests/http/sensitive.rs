//! A2: values that a token may not see.

use sandbox_crm::{PortalConfig, SensitiveDefinitions, UnseenValues, Variants};
use serde_json::{Value, json};

use crate::client::Fixture;

const LIST: &str = "/crm/objects/2026-09/contacts?limit=100&properties=salary,email";

async fn fixture(variants: Variants) -> Fixture {
    let scopes = ["crm.objects.contacts.read", "crm.schemas.contacts.read", "crm.objects.contacts.write"];
    let config = PortalConfig { scopes: Some(scopes.map(str::to_owned).into()), variants, ..PortalConfig::empty() };
    Fixture::with(config.with_records("contacts", 50)).await
}

fn seeing(unseen_values: UnseenValues) -> Variants {
    Variants { unseen_values, ..Variants::default() }
}

#[tokio::test]
async fn definitions_need_the_scope_of_the_values_only_where_that_is_wished_for() {
    for (sensitive_definitions, status) in [(SensitiveDefinitions::Open, 200), (SensitiveDefinitions::Scoped, 403)] {
        let fixture = fixture(Variants { sensitive_definitions, ..Variants::default() }).await;
        for level in ["sensitive", "highly_sensitive"] {
            let path = format!("/crm/properties/2026-09/contacts?dataSensitivity={level}");
            assert_eq!(fixture.get(&path).await.status, status, "{level}");
        }
        assert_eq!(fixture.get("/crm/properties/2026-09/contacts").await.status, 200);
    }
}

/// Everything that reads a sensitive property.
async fn readers(fixture: &Fixture) -> [crate::client::Answer; 3] {
    let ids: Vec<Value> = fixture.live_ids("contacts").iter().map(|id| json!({"id": id.to_string()})).collect();
    let wanted = json!(["salary", "email"]);
    [
        fixture.get(LIST).await,
        fixture.post("/crm/objects/2026-09/contacts/batch/read", json!({"inputs": ids, "properties": wanted})).await,
        fixture.post("/crm/objects/2026-09/contacts/search", json!({"limit": 100, "properties": wanted})).await,
    ]
}

#[tokio::test]
async fn values_can_be_absent_null_or_refused() {
    let absent = fixture(seeing(UnseenValues::Absent)).await;
    for answer in readers(&absent).await {
        let records = answer.json()["results"].as_array().expect("results").clone();
        assert!(records.iter().all(|record| record["properties"].get("salary").is_none()));
        assert!(records.iter().any(|record| record["properties"]["email"].is_string()));
    }
    let null = fixture(seeing(UnseenValues::Null)).await;
    for answer in readers(&null).await {
        let records = answer.json()["results"].as_array().expect("results").clone();
        assert!(records.iter().all(|record| record["properties"].get("salary") == Some(&Value::Null)));
    }
    let refused = fixture(seeing(UnseenValues::Refused)).await;
    for answer in readers(&refused).await {
        assert_eq!((answer.status, &answer.json()["category"]), (403, &json!("MISSING_SCOPES")));
        let context = json!({"requiredGranularScopes": ["contacts-sensitive-read"]});
        assert_eq!(answer.json()["context"], context);
    }
    assert_eq!(refused.get(&LIST.replace("salary,", "")).await.status, 200);
}

#[tokio::test]
async fn a_search_finds_records_by_a_property_that_it_does_not_show() {
    for unseen in [UnseenValues::Absent, UnseenValues::Null, UnseenValues::Refused] {
        let fixture = fixture(seeing(unseen)).await;
        let truth = fixture.portal.truth("contacts", 0, 100).expect("contacts");
        let having = truth.iter().filter(|record| record.properties.contains_key("salary")).count();
        assert!(having > 0);
        let filter = json!({"propertyName": "salary", "operator": "HAS_PROPERTY"});
        let search = json!({"filterGroups": [{"filters": [filter]}], "limit": 1, "properties": ["email"]});
        let found = fixture.post("/crm/objects/2026-09/contacts/search", search).await;
        assert_eq!((found.status, &found.json()["total"]), (200, &json!(having)));
    }
}

#[tokio::test]
async fn a_token_with_the_scope_sees_the_values_whatever_the_form() {
    let fixture = fixture(seeing(UnseenValues::Refused)).await;
    fixture.portal.set_scopes(None);
    let page = fixture.get(LIST).await.json();
    let records = page["results"].as_array().expect("results");
    assert!(records.iter().any(|record| record["properties"]["salary"].is_string()));
}
