//! B2, B3, B4: a 403 in all its shapes, and what an account does not offer.

use sandbox_crm::{CustomObjects, PortalConfig, Profile, Refusal, ScopeNames, Variants};
use serde_json::{Value, json};

use crate::client::Fixture;

async fn fixture(variants: Variants) -> Fixture {
    Fixture::with(PortalConfig { variants, ..PortalConfig::default() }).await
}

#[tokio::test]
async fn a_missing_scope_is_named_in_the_context_of_the_whole_error() {
    for (scope_names, named) in
        [(ScopeNames::Documented, "crm.objects.custom.read"), (ScopeNames::Granular, "custom-object-read")]
    {
        let fixture = fixture(Variants { scope_names, ..Variants::default() }).await;
        fixture.portal.set_scopes(Some(Vec::new()));
        let refused = fixture.get("/crm/objects/2026-09/p_machine").await;
        let document = refused.json();
        assert_eq!((refused.status, &document["category"]), (403, &json!("MISSING_SCOPES")));
        assert_eq!(document["context"], json!({"requiredGranularScopes": [named]}));
        assert!(document.get("errors").is_none());
    }
}

#[tokio::test]
async fn an_object_is_refused_in_the_shape_that_is_asked_for() {
    for (shape, category, in_message) in [
        (Refusal::Scopes, Some("MISSING_SCOPES"), "required scopes"),
        (Refusal::UnnamedScopes, Some("MISSING_SCOPES"), "isn't available for public use"),
        (Refusal::Uncategorised, None, "isn't available for public use"),
        (Refusal::Forbidden, Some("FORBIDDEN"), "permissions"),
        (Refusal::Permission, Some("FORBIDDEN"), "(requires one of [deals-read])"),
        (Refusal::BlockPage, None, ""),
    ] {
        let refused = ["deals", "schemas"].map(|name| (name.to_owned(), shape)).into();
        let fixture = fixture(Variants { refused, ..Variants::default() }).await;
        let body = json!({"inputs": [{"id": "1"}]});
        let mut answers = vec![fixture.post("/crm/objects/2026-09/0-3/batch/read", body).await];
        answers.push(fixture.get("/crm-object-schemas/2026-09/schemas").await);
        answers.push(fixture.get("/crm/objects/2026-09/deals").await);
        for answer in &answers {
            assert_eq!(answer.status, 403, "{shape:?}");
            let document: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            assert_eq!(document["category"].as_str(), category, "{shape:?}");
            assert_eq!(document["context"].is_object(), shape == Refusal::Scopes);
        }
        let document: Value = serde_json::from_str(&answers[2].text).unwrap_or_default();
        assert!(document["message"].as_str().unwrap_or_default().contains(in_message), "{document}");
        assert_eq!(fixture.get("/crm/objects/2026-09/contacts").await.status, 200);
    }
}

#[tokio::test]
async fn accounts_below_enterprise_have_neither_custom_objects_nor_tickets() {
    for (profile, calls, day) in [
        (Profile::Free, "100", "250000"),
        (Profile::Starter, "100", "250000"),
        (Profile::Professional, "190", "625000"),
        (Profile::Enterprise, "190", "1000000"),
    ] {
        let fixture = Fixture::with(PortalConfig { profile: Some(profile), ..PortalConfig::default() }).await;
        let offered = profile == Profile::Enterprise;
        let paths =
            ["/crm-object-schemas/2026-09/schemas", "/crm/objects/2026-09/p_machine", "/crm/v3/properties/tickets"];
        for path in paths {
            let answer = fixture.get(path).await;
            assert_eq!(answer.status, if offered { 200 } else { 403 }, "{profile:?} {path}");
            assert_eq!(answer.header("x-hubspot-ratelimit-max"), Some(calls));
            assert_eq!(answer.header("x-hubspot-ratelimit-daily"), Some(day));
        }
        let limits = fixture.get("/crm/v3/limits/records").await.json();
        let custom = limits["customObjectTypes"]["byObjectType"].as_array().map(Vec::len);
        assert_eq!(custom, Some(if offered { 3 } else { 0 }));
        assert_eq!(fixture.get("/crm/objects/2026-09/contacts").await.status, 200);
    }
}

/// Others report that such accounts get an empty list.
#[tokio::test]
async fn the_list_of_custom_objects_can_be_empty_instead() {
    let variants = Variants { custom_objects: CustomObjects::Empty, ..Variants::default() };
    let config = PortalConfig { profile: Some(Profile::Professional), variants, ..PortalConfig::default() };
    let fixture = Fixture::with(config).await;
    assert_eq!(fixture.get("/crm/v3/schemas").await.json(), json!({"results": []}));
    let refused = fixture.get("/crm/objects/2026-09/tickets").await.json();
    assert!(refused["message"].as_str().expect("a message").contains("isn't available for public use"));
    fixture.portal.set_variants(Variants::default());
    assert_eq!(fixture.get("/crm/v3/schemas").await.json()["results"].as_array().map(Vec::len), Some(3));
}
