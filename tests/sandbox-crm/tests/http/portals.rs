use reqwest::Method;
use sandbox_crm::{PortalConfig, Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::client::Fixture;

#[tokio::test]
async fn a_portal_is_made_and_controlled_over_http() {
    let fixture = Fixture::contacts(0).await;
    let config = json!({
        "token": "secret-1", "records": {"contacts": 12}, "customObjects": [{"name": "boat", "records": 3}],
        "plan": "starter", "propertySet": "tiny", "archivedPerMille": 0, "mergedPerMille": 0,
    });
    let made = fixture.post("/_sandbox/portals", config.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["portalId"].as_u64().expect("an id");
    let portal = fixture.sandbox.portal(id).expect("it is there");
    assert_eq!(portal.token(), "secret-1");
    assert_eq!(fixture.post("/_sandbox/portals", config).await.status, 422);

    let other = Fixture { portal, ..fixture };
    assert_eq!(other.get("/crm/v3/objects/p_boat").await.ids().len(), 3);
    let control = format!("/_sandbox/portals/{id}");
    let calls = other.get(&format!("{control}/calls?recent=5")).await.json();
    assert_eq!(calls["endpoints"]["list boat"]["pageSizes"], json!({"3": 1}));
    assert_eq!(calls["recent"][0]["endpoint"], "list");
    other.post(&format!("{control}/calls/reset"), json!({})).await;
    assert_eq!(other.get(&format!("{control}/calls")).await.json()["total"], 0);

    let change = json!({"tokenRevoked": true});
    assert_eq!(other.patch(&control, change).await.status, 200);
    let refused = other.get("/crm/v3/objects/p_boat").await;
    assert_eq!((refused.status, &refused.json()["category"]), (401, &json!("EXPIRED_AUTHENTICATION")));
    let change = json!({
        "tokenRevoked": false, "scopes": ["tickets"], "latencyMs": 1, "limits": {"perTenSeconds": 5},
        "faults": {"cursors": "opaque", "script": [{"fault": "badGateway", "times": null}]},
    });
    let changed = other.patch(&control, change).await;
    assert_eq!(changed.json()["limits"]["perTenSeconds"], 5);
    assert_eq!(other.get("/crm/v3/objects/p_boat").await.status, 502);
    assert_eq!(other.patch(&control, json!({"faults": {}, "scopes": null})).await.status, 200);
    assert_eq!(other.get("/crm/v3/objects/p_boat").await.status, 200);
    assert_eq!(other.patch(&control, json!({"nonsense": 1})).await.status, 400);
    assert_eq!(other.get("/_sandbox/portals/5/calls").await.status, 404);
}

#[tokio::test]
async fn the_truth_is_streamed_as_lines_and_as_csv() {
    let config = PortalConfig { archived_per_mille: 10, ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("contacts", 1_200)).await;
    let path = format!("/_sandbox/portals/{}/objects/contacts/records", fixture.portal.portal_id());

    let lines = fixture.get(&path).await.text;
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), 1_212);
    assert_eq!(records.iter().filter(|record| record["state"] == "archived").count(), 12);
    assert!(records.iter().any(|record| record["properties"]["bank_account_iban"].is_string()));

    let text = fixture.get(&format!("{path}?format=csv")).await.text;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().expect("a header").get(0), Some("hs_object_id"));
    let truth = fixture.portal.truth("contacts", 0, 5_000).expect("contacts");
    let live = truth.iter().filter(|record| record.state == sandbox_crm::RecordState::Live);
    let headers = reader.headers().expect("a header").clone();
    let mut rows = reader.records();
    for record in live {
        let row = rows.next().expect("a row").expect("well formed");
        assert_eq!(row.get(0), Some(record.id.to_string().as_str()));
        for (name, cell) in headers.iter().zip(&row).skip(1) {
            assert_eq!(cell, record.properties.get(name).map_or("", String::as_str), "{name}");
        }
    }
    assert!(rows.next().is_none());
}

#[tokio::test]
async fn records_and_properties_are_changed_past_all_checks() {
    let fixture = Fixture::contacts(10).await;
    let ids = fixture.live_ids("contacts");
    let path = format!("/_sandbox/portals/{}/objects/contacts", fixture.portal.portal_id());
    let body = json!({
        "create": [{"id": 3, "properties": {"firstname": "first"}}, {"generated": true}],
        "update": {(ids[0].to_string()): {"hs_analytics_num_visits": "-5"}},
        "archive": [ids[1]], "purge": [ids[2]], "merge": {(ids[3].to_string()): ids[4]},
    });
    let made = fixture.post(&format!("{path}/records"), body).await;
    assert_eq!(made.json()["created"][0], 3);
    let listed = fixture.walk("/crm/v3/objects/contacts?limit=100").await;
    assert_eq!(listed[..3], [3, ids[0], ids[4]]);
    assert_eq!(listed.len(), 9);

    let definition = json!({"type": "number", "label": "Age", "fieldType": "number"});
    let defined = fixture.try_call(Method::PUT, &format!("{path}/properties/age"), Some(definition)).await;
    assert_eq!(defined.expect("an answer").status, 204);
    assert_eq!(fixture.get("/crm/v3/properties/contacts/age").await.json()["type"], "number");
    let archived = fixture.try_call(Method::DELETE, &format!("{path}/properties/age"), None).await;
    assert_eq!(archived.expect("an answer").status, 204);
    assert_eq!(fixture.get("/crm/v3/properties/contacts/age").await.status, 404);
}

#[tokio::test]
async fn tokens_that_belong_to_nobody_get_the_default_portal_or_none() {
    let known = PortalConfig { token: Some("the-one".to_owned()), ..PortalConfig::empty() };
    let lenient = Fixture::contacts(1).await;
    let strict_config = SandboxConfig { port: 0, default_portal: known, known_tokens_only: true };
    let strict = Sandbox::start(strict_config).await.expect("a free port");
    let status = async |base: String, token: &str| {
        let url = format!("{base}/account-info/v3/details");
        let request = reqwest::Client::new().get(url);
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    let (code, details) = status(lenient.sandbox.base_url(), "anything").await;
    assert_eq!((code, &details["portalId"]), (200, &json!(lenient.sandbox.default_portal().portal_id())));
    assert_eq!(status(strict.base_url(), "the-one").await.0, 200);
    let (code, error) = status(strict.base_url(), "anything").await;
    assert_eq!((code, &error["status"]), (401, &json!("error")));
    assert_eq!(status(strict.base_url(), "").await.1["category"], "INVALID_AUTHENTICATION");
    strict.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_a_reason() {
    let fixture = Fixture::contacts(0).await;
    for (config, reason) in [
        (json!({"records": {"unicorns": 1}}), "not a standard object"),
        (json!({"customObjects": [{"name": "contacts"}]}), "custom object"),
        (json!({"customObjects": [{"name": "Bad Name"}]}), "custom object"),
        (json!({"customObjects": [{"name": "a"}, {"name": "a"}]}), "custom object"),
        (json!({"archivedPerMille": 500, "mergedPerMille": 500}), "at most 900"),
        (json!({"timeZone": "Mars/Olympus"}), "time zone"),
        (json!({"load": "/nonexistent"}), "cannot load"),
        (json!({"requiredProperties": {"unicorns": ["x"]}}), "not a standard object"),
    ] {
        let refused = fixture.post("/_sandbox/portals", config).await;
        assert_eq!(refused.status, 422, "{reason}");
        assert!(refused.text.contains(reason), "{}", refused.text);
    }
    assert_eq!(fixture.post("/_sandbox/portals", json!({"propertySet": "huge"})).await.status, 400);
}
