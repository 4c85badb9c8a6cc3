//! B7, B10: documents that are unusual and still mean one thing.

use sandbox_crm::{Fault, Faults, PortalConfig, ScriptedFault};
use serde_json::{Value, json};

use crate::client::Fixture;

const LIST: &str = "/crm/objects/2026-09/contacts?limit=10";

async fn with(scripted: ScriptedFault) -> Fixture {
    let faults = Faults { script: vec![scripted], ..Faults::default() };
    Fixture::with(PortalConfig { faults, ..PortalConfig::default() }).await
}

/// B10.
#[tokio::test]
async fn a_document_can_begin_with_a_byte_order_mark() {
    let fixture = with(ScriptedFault::once(Fault::ByteOrderMark)).await;
    let text = fixture.get(LIST).await.text;
    assert!(text.trim_start_matches('\u{FEFF}').starts_with("{\"results\""), "{text}");
    let (marked, plain) = (fixture.portal.calls().recent[0].bytes, fixture.get(LIST).await.text.len());
    assert_eq!(marked as usize, plain + 3);
}

/// B10: a page can be larger than a careful client takes, and smaller pages are not.
#[tokio::test]
async fn a_page_can_be_oversized() {
    let scripted = ScriptedFault { above: Some(5), times: None, ..ScriptedFault::once(Fault::Oversized) };
    let fixture = with(scripted).await;
    let large = fixture.get(LIST).await;
    assert_eq!(large.text.len(), 129 * 1024 * 1024);
    assert_eq!(large.ids().len(), 10);
    assert!(fixture.get(&LIST.replace("10", "5")).await.text.len() < 10_000);
}

/// B10.
#[tokio::test]
async fn ids_can_be_numbers() {
    let fixture = with(ScriptedFault::once(Fault::NumericIds)).await;
    let page = fixture.get(LIST).await.json();
    assert!(page["results"].as_array().expect("results").iter().all(|record| record["id"].is_u64()));
    assert!(page["paging"]["next"]["after"].is_string());
}

/// B10.
#[tokio::test]
async fn properties_can_be_null() {
    let fixture = with(ScriptedFault::once(Fault::NullProperties)).await;
    let page = fixture.get(LIST).await.json();
    let nulls: Vec<bool> =
        page["results"].as_array().expect("results").iter().map(|record| record["properties"].is_null()).collect();
    assert_eq!(nulls, [false, true, false, true, false, true, false, true, false, true]);
}

/// B10.
#[tokio::test]
async fn a_schema_can_lack_members() {
    let members = vec!["labels".to_owned(), "objectTypeId".to_owned()];
    let fixture = with(ScriptedFault { members, ..ScriptedFault::once(Fault::LackingMembers) }).await;
    let schema = fixture.get("/crm/v3/schemas").await.json()["results"][0].clone();
    assert!(schema["labels"].is_null() && schema["objectTypeId"].is_null() && schema["name"] == "machine");
}

/// B7: large accounts have tens of megabytes of definitions.
#[tokio::test]
async fn definitions_are_left_out_of_schemas_when_they_are_declined() {
    let fixture = Fixture::with(PortalConfig::default()).await;
    let path = "/crm-object-schemas/2026-09/schemas";
    let whole = fixture.get(path).await;
    let small = fixture.get(&format!("{path}?includePropertyDefinitions=false&includeAuditMetadata=True")).await;
    assert!(small.text.len() * 10 < whole.text.len(), "{} of {}", small.text.len(), whole.text.len());
    let schema = |answer: &Value| answer["results"][0].clone();
    let (whole, small) = (schema(&whole.json()), schema(&small.json()));
    assert_eq!(small["properties"], json!([]));
    assert!(whole["properties"].as_array().is_some_and(|properties| !properties.is_empty()));
    assert!(small["createdByUserId"].is_u64() && whole["createdByUserId"].is_null());
    assert_eq!((&small["allowsSensitiveProperties"], &small["name"]), (&json!(true), &whole["name"]));
}
