use reqwest::Method;
use sandbox_crm::{ConditionalRequirement, PortalConfig, RecordState};
use serde_json::{Value, json};

use crate::client::Fixture;

const DATED: &str = "/crm/objects/2026-09/contacts";
const V3: &str = "/crm/v3/objects/contacts";

fn changes(id: u64, properties: &Value) -> Value {
    json!({"inputs": [{"id": id.to_string(), "properties": properties}]})
}

fn value(fixture: &Fixture, id: u64, name: &str) -> Option<String> {
    let record = fixture.portal.truth("contacts", id - 1, 1).expect("contacts").remove(0);
    assert_eq!(record.id, id);
    record.properties.get(name).cloned()
}

#[tokio::test]
async fn batch_read_returns_each_record_once_and_names_missing_ids_only_on_v3() {
    let config = PortalConfig { merged_per_mille: 100, archived_per_mille: 100, ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("contacts", 40)).await;
    let records = fixture.portal.truth("contacts", 0, 1_000).expect("contacts");
    let of = |state| records.iter().find(|record| record.state == state).expect("one of each").id;
    let (live, merged, archived) = (of(RecordState::Live), of(RecordState::Merged), of(RecordState::Archived));
    let inputs: Vec<Value> =
        [live, live, merged, archived, 7].map(|id| json!({"id": id.to_string()})).into_iter().collect();
    let body = json!({"inputs": inputs, "properties": ["email", "salary"], "propertiesWithHistory": []});

    let dated = fixture.post(&format!("{DATED}/batch/read"), body.clone()).await;
    let v3 = fixture.post(&format!("{V3}/batch/read"), body).await;

    assert_eq!((dated.status, v3.status), (200, 207));
    let mut ids = dated.ids();
    ids.sort_unstable();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&live) && !ids.contains(&merged) && !ids.contains(&archived));
    assert!(dated.json().get("errors").is_none());
    let error = &v3.json()["errors"][0];
    assert_eq!(error["category"], "OBJECT_NOT_FOUND");
    assert_eq!(error["context"]["ids"], json!([archived.to_string(), "7"]));
    assert_eq!(v3.json()["numErrors"], 1);
}

#[tokio::test]
async fn an_update_sets_and_clears_values_and_moves_the_time_of_change() {
    let fixture = Fixture::contacts(20).await;
    let id = fixture.live_ids("contacts")[4];
    let before = fixture.portal.truth("contacts", id - 1, 1).expect("contacts").remove(0);
    let body = changes(
        id,
        &json!({
            "firstname": "Zoë\r\n", "lastname": "", "annualrevenue": " 12.50", "customer_since": "1700000000000",
            "closedate": "2026-05-01T10:00:00+02:00", "newsletter_topics": "events;news", "vip": "TRUE",
            "email": "Zoe@Example.COM", "salary": "99",
        }),
    );

    let answer = fixture.post(&format!("{DATED}/batch/update"), body).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.ids(), [id]);
    for (name, expected) in [
        ("firstname", Some("Zoë\r\n")),
        ("lastname", None),
        ("annualrevenue", Some("12.50")),
        ("customer_since", Some("2023-11-14")),
        ("closedate", Some("2026-05-01T08:00:00.000Z")),
        ("newsletter_topics", Some("news;events")),
        ("vip", Some("true")),
        ("email", Some("zoe@example.com")),
        ("salary", Some("99")),
    ] {
        assert_eq!(value(&fixture, id, name).as_deref(), expected, "{name}");
    }
    let after = fixture.portal.truth("contacts", id - 1, 1).expect("contacts").remove(0);
    assert!(after.updated_at > before.updated_at);
    assert_eq!(after.properties["lastmodifieddate"], after.updated_at);
    assert_eq!(after.properties["createdate"], before.properties["createdate"]);
    let listed = fixture.get(&format!("{DATED}/{id}?properties=lastname,firstname")).await.json();
    assert_eq!(listed["properties"]["lastname"], Value::Null);
    assert_eq!(listed["properties"]["firstname"], "Zoë\r\n");
}

#[tokio::test]
async fn one_bad_value_refuses_the_whole_batch() {
    let fixture = Fixture::contacts(20).await;
    let ids = fixture.live_ids("contacts");
    for (bad, code) in [
        (json!({"nonsense": "1"}), "PROPERTY_DOESNT_EXIST"),
        (json!({"hs_analytics_num_visits": "3"}), "READ_ONLY_VALUE"),
        (json!({"createdate": "2020-01-01T00:00:00Z"}), "READ_ONLY_VALUE"),
        (json!({"hs_language": "tlh"}), "INVALID_OPTION"),
        (json!({"email": "nobody"}), "INVALID_EMAIL"),
        (json!({"closedate": "soon"}), "INVALID_DATE"),
        (json!({"numemployees": "many"}), "INVALID_LONG"),
        (json!({"vip": "perhaps"}), "INVALID_BOOLEAN"),
    ] {
        let body = json!({"inputs": [
            {"id": ids[0].to_string(), "properties": {"firstname": "changed"}},
            {"id": ids[1].to_string(), "properties": bad},
        ]});
        for path in [DATED, V3] {
            let refused = fixture.post(&format!("{path}/batch/update"), body.clone()).await;
            assert_eq!(refused.status, 400, "{code}");
            let error = refused.json();
            assert_eq!(error["category"], "VALIDATION_ERROR");
            assert_eq!(error["errors"][0]["code"], code);
            assert!(error["errors"][0]["context"]["propertyName"].is_array());
        }
        assert_ne!(value(&fixture, ids[0], "firstname").as_deref(), Some("changed"));
    }
}

#[tokio::test]
async fn unknown_ids_are_ignored_by_the_dated_version_and_named_by_v3() {
    let fixture = Fixture::contacts(20).await;
    let id = fixture.live_ids("contacts")[0];
    let body = json!({"inputs": [
        {"id": id.to_string(), "properties": {"city": "Ulm"}}, {"id": "5", "properties": {"city": "Ulm"}},
    ]});
    let dated = fixture.post(&format!("{DATED}/batch/update"), body.clone()).await;
    assert_eq!((dated.status, dated.ids()), (200, vec![id]));
    let v3 = fixture.post(&format!("{V3}/batch/update"), body).await;
    assert_eq!((v3.status, v3.ids()), (207, vec![id]));
    assert_eq!(v3.json()["errors"][0]["context"]["ids"], json!(["5"]));
}

#[tokio::test]
async fn a_lifecycle_stage_goes_back_only_after_it_was_cleared() {
    let fixture = Fixture::contacts(20).await;
    let id = fixture.live_ids("contacts")[0];
    let set = async |stage: &str| {
        let body = changes(id, &json!({"lifecyclestage": stage, "city": "Bonn"}));
        let answer = fixture.post(&format!("{DATED}/batch/update"), body).await;
        assert_eq!(answer.status, 200);
        let held = value(&fixture, id, "lifecyclestage");
        let shown = &answer.json()["results"][0]["properties"]["lifecyclestage"];
        assert_eq!(shown.as_str(), held.as_deref(), "the answer shows what has become of it");
        held
    };
    set("").await;
    assert_eq!(set("customer").await.as_deref(), Some("customer"));
    assert_eq!(set("lead").await.as_deref(), Some("customer"));
    assert_eq!(set("").await, None);
    assert_eq!(set("lead").await.as_deref(), Some("lead"));
}

#[tokio::test]
async fn ignored_writes_change_nothing_and_are_answered_with_what_there_is() {
    let ignored = [("contact".to_owned(), vec!["city".to_owned(), "zip".to_owned()])].into();
    let config = PortalConfig { ignored_writes: ignored, ..PortalConfig::empty() };
    let fixture = Fixture::with(config.with_records("contacts", 5)).await;
    let control = format!("/_sandbox/portals/{}", fixture.portal.portal_id());
    let id = fixture.live_ids("contacts")[0];
    let set = json!({"update": {(id.to_string()): {"city": "Ulm", "zip": "", "country": "Chile"}}});
    fixture.post(&format!("{control}/objects/contacts/records"), set).await;
    let written = json!({"city": "Bonn", "zip": "53111", "country": ""});

    for path in [DATED, V3] {
        let answer = fixture.post(&format!("{path}/batch/update"), changes(id, &written)).await;
        assert_eq!(answer.status, 200);
        let shown = &answer.json()["results"][0]["properties"];
        assert_eq!((&shown["city"], &shown["zip"], &shown["country"]), (&json!("Ulm"), &Value::Null, &Value::Null));
    }
    let held = |name| value(&fixture, id, name);
    assert_eq!((held("city").as_deref(), held("zip"), held("country")), (Some("Ulm"), None, None));

    fixture.patch(&control, json!({"ignoredWrites": {}})).await;
    fixture.post(&format!("{DATED}/batch/update"), changes(id, &written)).await;
    assert_eq!(held("city").as_deref(), Some("Bonn"));
}

#[tokio::test]
async fn required_properties_are_enforced_by_the_dated_version() {
    let rule = ConditionalRequirement {
        object: "contacts".to_owned(),
        property: "hs_lead_status".to_owned(),
        value: "UNQUALIFIED".to_owned(),
        requires: vec!["message".to_owned()],
    };
    let config = PortalConfig {
        required_properties: [("contacts".to_owned(), vec!["lastname".to_owned()])].into(),
        conditional_requirements: vec![rule],
        ..PortalConfig::empty()
    };
    let fixture = Fixture::with(config.with_records("contacts", 5)).await;
    let id = fixture.live_ids("contacts")[0];
    for (properties, category) in [
        (json!({"lastname": ""}), "MISSING_REQUIRED_PROPERTY"),
        (json!({"hs_lead_status": "UNQUALIFIED", "message": ""}), "MISSING_CONDITIONAL_REQUIRED_PROPERTY"),
    ] {
        let refused = fixture.post(&format!("{DATED}/batch/update"), changes(id, &properties)).await;
        assert_eq!((refused.status, &refused.json()["category"]), (400, &json!(category)));
        let v3 = fixture.post(&format!("{V3}/batch/update"), changes(id, &properties)).await;
        assert_eq!(v3.status, 200);
    }
    let refused = fixture.post(&format!("{DATED}/batch/create"), json!({"inputs": [{"properties": {}}]})).await;
    assert_eq!(refused.json()["category"], "MISSING_REQUIRED_PROPERTY");
}

#[tokio::test]
async fn records_are_created_archived_and_merged() {
    let fixture = Fixture::contacts(10).await;
    let body = json!({"inputs": [{"properties": {"firstname": "A"}}, {"properties": {"firstname": "B"}}]});
    let created = fixture.post(&format!("{DATED}/batch/create"), body).await;
    assert_eq!(created.status, 201);
    let new = created.ids();
    assert_eq!(fixture.walk(&format!("{DATED}?limit=100")).await[10..], new);

    let archive = json!({"inputs": [{"id": new[0].to_string()}]});
    assert_eq!(fixture.post(&format!("{DATED}/batch/archive"), archive).await.status, 204);
    assert_eq!(fixture.walk(&format!("{DATED}?limit=100&archived=true")).await, [new[0]]);
    let read = json!({"inputs": [{"id": new[0].to_string()}, {"id": new[1].to_string()}], "properties": []});
    assert_eq!(fixture.post(&format!("{DATED}/batch/read?archived=true"), read).await.ids(), [new[0]]);

    let old = fixture.live_ids("contacts")[3];
    let merge = json!({"primaryObjectId": new[1].to_string(), "objectIdToMerge": old.to_string()});
    assert_eq!(fixture.post(&format!("{DATED}/merge"), merge).await.status, 200);
    let read = json!({"inputs": [{"id": old.to_string()}], "properties": ["firstname"]});
    assert_eq!(fixture.post(&format!("{DATED}/batch/read"), read).await.ids(), [new[1]]);
    assert_eq!(fixture.portal.live_records("contacts"), Some(10));

    let single = fixture.patch(&format!("{V3}/{}", new[1]), json!({"properties": {"city": "Köln"}})).await;
    assert_eq!((single.status, &single.json()["properties"]["city"]), (200, &json!("Köln")));
    let gone = fixture.try_call(Method::DELETE, &format!("{V3}/{}", new[1]), None).await.expect("an answer");
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(fixture.patch(&format!("{V3}/{}", new[1]), json!({"properties": {}})).await.status, 404);
}

#[tokio::test]
async fn batches_have_a_size_and_no_id_twice() {
    let fixture = Fixture::contacts(1).await;
    let inputs: Vec<Value> = (0..101).map(|id| json!({"id": id.to_string(), "properties": {}})).collect();
    for (path, body) in [
        ("batch/read", json!({"inputs": inputs})),
        ("batch/update", json!({"inputs": inputs})),
        ("batch/read", json!({"inputs": []})),
        ("batch/update", json!({"inputs": [{"id": "1", "properties": {}}, {"id": "1", "properties": {}}]})),
        ("batch/read", json!({"inputs": [{"id": "1"}], "idProperty": "email"})),
        ("batch/read", json!("nonsense")),
    ] {
        assert_eq!(fixture.post(&format!("{DATED}/{path}"), body).await.status, 400);
    }
}
