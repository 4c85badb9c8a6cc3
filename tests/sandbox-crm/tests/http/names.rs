//! A3, B8: properties whose names no identifier could have.

use reqwest::Method;
use sandbox_crm::{NewProperty, PortalConfig, PropertySet, Variants};
use serde_json::{Value, json};

use crate::client::Fixture;

const LIST: &str = "/crm/objects/2026-09/contacts?limit=100";

/// As a client writes a value of a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

async fn odd(set: PropertySet) -> Fixture {
    let config = PortalConfig { property_set: set, ..PortalConfig::empty() };
    Fixture::with(config.with_records("contacts", 20).with_records("deals", 3)).await
}

fn shown(page: &Value, name: &str) -> usize {
    let records = page["results"].as_array().expect("results");
    records.iter().filter(|record| record["properties"].get(name).is_some()).count()
}

#[tokio::test]
async fn a_list_with_commas_cannot_name_them_but_repeated_parameters_and_bodies_can() {
    let fixture = odd(PropertySet::Odd(0)).await;
    let name = "net, gross";
    let alone = fixture.get(&format!("{LIST}&properties={}", encoded(name))).await;
    assert_eq!((alone.status, shown(&alone.json(), name)), (200, 0), "unknown names are ignored");
    let listed = fixture.get(&format!("{LIST}&properties=email,{},city", encoded(name))).await.json();
    assert_eq!((shown(&listed, name), shown(&listed, "city")), (0, 20));
    let repeated = fixture.get(&format!("{LIST}&properties=email,city&properties={}", encoded(name))).await.json();
    assert_eq!((shown(&repeated, name), shown(&repeated, "city")), (20, 20));
    let inputs: Vec<Value> = fixture.live_ids("contacts").iter().map(|id| json!({"id": id.to_string()})).collect();
    let body = json!({"inputs": inputs, "properties": [name, "größe_in_cm"]});
    let read = fixture.post("/crm/objects/2026-09/contacts/batch/read", body).await.json();
    assert_eq!((shown(&read, name), shown(&read, "größe_in_cm")), (20, 20));
}

#[tokio::test]
async fn every_odd_name_is_defined_read_and_written() {
    let fixture = odd(PropertySet::Odd(1_000)).await;
    let names = fixture.portal.property_names("contacts").expect("contacts");
    assert_eq!(names.len(), 1_000);
    let odd: Vec<&String> =
        names.iter().filter(|name| !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).collect();
    assert!(odd.len() > 500);
    assert!(fixture.portal.property_names("deals").expect("deals").contains(&"r&d_budget".to_owned()));
    let id = fixture.live_ids("contacts")[0];
    for name in odd.iter().step_by(20) {
        let path = format!("/crm/properties/2026-09/contacts/{}", encoded(name));
        assert_eq!(fixture.get(&path).await.json()["name"], name.as_str());
        let body = json!({"inputs": [{"id": id.to_string(), "properties": {name.as_str(): "new"}}]});
        let written = fixture.post("/crm/objects/2026-09/contacts/batch/update", body).await;
        assert_eq!(written.json()["results"][0]["properties"][name.as_str()], "new", "{}", written.text);
    }
}

#[tokio::test]
async fn a_refusal_names_an_odd_name() {
    let fixture = Fixture::contacts(1).await;
    let name = "net, \"gross\" ü";
    let number = NewProperty { kind: sandbox_crm::Kind::Number, ..NewProperty::default() };
    fixture.portal.define_property("contacts", name, &number);
    let body = json!({"inputs": [{"id": fixture.live_ids("contacts")[0].to_string(), "properties": {name: "much"}}]});
    let refused = fixture.post("/crm/objects/2026-09/contacts/batch/update", body).await;
    let document = refused.json();
    assert_eq!(refused.status, 400);
    let message = document["message"].as_str().expect("a message");
    assert!(message.contains("net, \\\"gross\\\" ü"), "{message}");
    assert_eq!(document["errors"][0]["context"]["propertyName"], json!([name]));
}

#[tokio::test]
async fn a_property_can_be_defined_and_not_shown() {
    let variants = Variants {
        unlisted: [("contacts".to_owned(), ["city".to_owned()].into())].into(),
        unreadable: [("0-1".to_owned(), ["zip".to_owned()].into())].into(),
        ..Variants::default()
    };
    let fixture = Fixture::with(PortalConfig { variants, ..PortalConfig::empty() }.with_records("contacts", 5)).await;
    for name in ["city", "zip"] {
        assert_eq!(fixture.get(&format!("/crm/properties/2026-09/contacts/{name}")).await.status, 200);
    }
    let listed = fixture.get(&format!("{LIST}&properties=city,zip,country")).await.json();
    assert_eq!([shown(&listed, "city"), shown(&listed, "zip"), shown(&listed, "country")], [0, 0, 5]);
    let inputs: Vec<Value> = fixture.live_ids("contacts").iter().map(|id| json!({"id": id.to_string()})).collect();
    let body = json!({"inputs": inputs, "properties": ["city", "zip"]});
    let read = fixture.post("/crm/objects/2026-09/contacts/batch/read", body).await.json();
    assert_eq!([shown(&read, "city"), shown(&read, "zip")], [5, 0]);
}

/// HubSpot has not taken bare names since June 2025.
#[tokio::test]
async fn custom_objects_need_not_answer_to_their_bare_names() {
    let variants = Variants { bare_names: false, ..Variants::default() };
    let config = PortalConfig { portal_id: Some(77), variants, ..PortalConfig::default() };
    let fixture = Fixture::with(config).await;
    let type_id = fixture.get("/crm/v3/schemas").await.json()["results"][0]["objectTypeId"].clone();
    let type_id = type_id.as_str().expect("an id");
    for (name, status) in [("machine", 400), ("p77_machine", 200), (type_id, 200), ("contacts", 200)] {
        for path in ["/crm/v3/objects", "/crm/properties/2026-09"] {
            assert_eq!(fixture.get(&format!("{path}/{name}")).await.status, status, "{path}/{name}");
        }
    }
}

#[tokio::test]
async fn odd_names_are_defined_over_the_control_api() {
    let fixture = Fixture::contacts(1).await;
    let path = format!(
        "/_sandbox/portals/{}/objects/contacts/properties/{}",
        fixture.portal.portal_id(),
        encoded("a,b/c \u{10D83D}")
    );
    let defined = fixture.try_call(Method::PUT, &path, Some(json!({"label": "L"}))).await.expect("an answer");
    assert_eq!(defined.status, 204);
    let names = fixture.portal.property_names("contacts").expect("contacts");
    assert!(names.contains(&"a,b/c \u{10D83D}".to_owned()));
}
