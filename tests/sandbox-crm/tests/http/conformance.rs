//! The checks of calls and answers against HubSpot's API.

use sandbox_crm::{Fault, Faults, PortalConfig, ScriptedFault};
use serde_json::{Value, json};

use crate::client::Fixture;

async fn watched() -> Fixture {
    Fixture::with(PortalConfig { conformance: true, ..PortalConfig::default() }).await
}

/// All answers of the sandbox are as HubSpot's documents describe them.
#[tokio::test]
async fn the_sandbox_keeps_to_the_structure_in_every_answer() {
    let fixture = watched().await;
    for version in ["2026-09/", "v3/"] {
        let path = |area: &str, rest: &str| match version {
            "v3/" => format!("/crm/v3/{area}/{rest}"),
            dated => format!("/crm/{area}/{dated}{rest}"),
        };
        let standard = PortalConfig::default().records.into_keys().filter(|object| object != "conversations");
        for object in standard.chain(["p_machine".to_owned()]) {
            let page = fixture.get(&path("objects", &format!("{object}?limit=5"))).await.ids();
            fixture.get(&path("objects", &format!("{object}?limit=5&archived=true"))).await;
            fixture.get(&path("properties", &object)).await;
            fixture.get(&path("properties", &format!("{object}?dataSensitivity=sensitive"))).await;
            let inputs: Vec<Value> = page.iter().chain([&7]).map(|id| json!({"id": id.to_string()})).collect();
            let read = json!({"inputs": inputs, "properties": ["hs_object_id"], "propertiesWithHistory": []});
            fixture.post(&path("objects", &format!("{object}/batch/read")), read).await;
            let changes = json!([{"id": page[0].to_string(), "properties": {}}, {"id": "7", "properties": {"x": "y"}}]);
            fixture.post(&path("objects", &format!("{object}/batch/update")), json!({"inputs": changes})).await;
            fixture.post(&path("objects", &format!("{object}/search")), json!({"limit": 2})).await;
        }
        fixture.get(&path("objects", "nonsense")).await;
    }
    for path in [
        "/crm-object-schemas/2026-09/schemas",
        "/crm/v3/schemas/machine",
        "/conversations/conversations/2026-09/threads?limit=20&sort=id",
        "/account-info/2026-09/details",
        "/crm/v3/limits/records",
    ] {
        fixture.get(path).await;
    }
    let found = fixture.portal.violations();
    assert_eq!(found.violations, [].into(), "{found:?}");
    assert_eq!(found.checked, fixture.portal.calls().total);
}

#[tokio::test]
async fn what_a_client_does_wrong_is_told_by_the_control_api() {
    let fixture = watched().await;
    let control = format!("/_sandbox/portals/{}", fixture.portal.portal_id());
    fixture.get("/crm/objects/2026-09/contacts?page=2").await;
    fixture.get("/crm/objects/2026-09/contacts?page=3").await;
    let violations = fixture.get(&format!("{control}/violations")).await.json();
    let sentence = "GET objects/{type}: it takes no query parameter page";
    assert_eq!(violations, json!({"checked": 2, "violations": {sentence: 2}}));

    let forgotten = fixture.try_call(reqwest::Method::DELETE, &format!("{control}/violations"), None).await;
    assert_eq!(forgotten.expect("an answer").status, 204);
    fixture.patch(&control, json!({"conformance": false})).await;
    fixture.get("/crm/objects/2026-09/contacts?page=4").await;
    assert_eq!(fixture.get(&format!("{control}/violations")).await.json(), json!({"checked": 0, "violations": {}}));
}

#[tokio::test]
async fn an_answer_that_is_damaged_on_purpose_is_no_violation() {
    let fixture = watched().await;
    let script = vec![ScriptedFault::once(Fault::NullProperties), ScriptedFault::once(Fault::HtmlPage)];
    fixture.portal.set_faults(Faults { script, ..Faults::default() });
    for _ in 0..3 {
        fixture.get("/crm/objects/2026-09/contacts").await;
    }
    let found = fixture.portal.violations();
    assert_eq!((found.checked, found.violations.len()), (3, 0), "{found:?}");
}
