use sandbox_crm::{Faults, Plan, PortalConfig, RecordChanges};
use serde_json::{Value, json};

use crate::client::Fixture;

const SEARCH: &str = "/crm/objects/2026-09/contacts/search";

fn one(property: &str, operator: &str, value: &str) -> Value {
    json!({"filterGroups": [{"filters": [{"propertyName": property, "operator": operator, "value": value}]}]})
}

/// As many contacts, and as many searches a second as a test likes.
async fn fixture(config: PortalConfig, contacts: u64) -> Fixture {
    Fixture::with(PortalConfig { plan: Plan::Unlimited, ..config }.with_records("contacts", contacts)).await
}

async fn total(fixture: &Fixture, mut search: Value) -> u64 {
    search["limit"] = json!(1);
    let answer = fixture.post(SEARCH, search).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["total"].as_u64().expect("a total")
}

#[tokio::test]
async fn totals_and_the_highest_id_of_a_million_records_follow_what_is_written() {
    let config = PortalConfig { archived_per_mille: 10, merged_per_mille: 5, ..PortalConfig::empty() };
    let fixture = fixture(config, 1_000_000).await;
    let highest = json!({
        "sorts": [{"propertyName": "hs_object_id", "direction": "DESCENDING"}], "limit": 1, "properties": ["email"],
    });
    let before = fixture.post(SEARCH, highest.clone()).await;
    assert_eq!(before.json()["total"], 1_000_000);
    let last = before.ids()[0];
    let recent = one("createdate", "GTE", "2026-11-01T00:00:00Z");
    assert_eq!(total(&fixture, recent.clone()).await, 0);

    let created = fixture.post("/crm/objects/2026-09/contacts", json!({"properties": {"firstname": "Zoë"}})).await;
    assert_eq!(created.status, 201, "{}", created.text);
    fixture.portal.change_records("contacts", &RecordChanges { archive: vec![last], ..Default::default() });

    let after = fixture.post(SEARCH, highest).await;
    assert_eq!(after.json()["total"], 1_000_000);
    assert_eq!(after.json()["results"][0]["id"], created.json()["id"]);
    assert_eq!(total(&fixture, recent).await, 1);
    assert_eq!(total(&fixture, one("hs_object_id", "GT", &last.to_string())).await, 1);
}

#[tokio::test]
async fn bounds_of_ids_and_times_count_what_a_look_at_every_record_counts() {
    let config = PortalConfig { archived_per_mille: 30, merged_per_mille: 30, ..PortalConfig::empty() };
    let fixture = fixture(config, 500).await;
    let ids = fixture.live_ids("contacts");
    let (low, high) = (ids[100], ids[399]);
    let bound = |operator: &str| one("hs_object_id", operator, &low.to_string());
    for (operator, expected) in [("EQ", 1), ("GT", 399), ("GTE", 400), ("LT", 100), ("LTE", 101)] {
        assert_eq!(total(&fixture, bound(operator)).await, expected, "{operator}");
    }
    let between = json!({"filterGroups": [{"filters": [
        {"propertyName": "hs_object_id", "operator": "BETWEEN", "value": low, "highValue": high.to_string()}
    ]}]});
    assert_eq!(total(&fixture, between.clone()).await, 300);
    // A second group makes it look at every record.
    let mut scanned = between;
    let group = scanned["filterGroups"][0].clone();
    scanned["filterGroups"] = json!([group, group]);
    assert_eq!(total(&fixture, scanned).await, 300);
}

#[tokio::test]
async fn the_index_can_lag_behind() {
    let faults = Faults { search_lag_ms: 3_600_000, ..Faults::default() };
    let fixture = fixture(PortalConfig { faults, ..PortalConfig::empty() }, 50).await;
    let archive = vec![fixture.live_ids("contacts")[7]];
    fixture.portal.change_records("contacts", &RecordChanges { archive, ..RecordChanges::default() });
    for _ in 0..3 {
        fixture.post("/crm/objects/2026-09/contacts", json!({"properties": {}})).await;
    }
    let every_kind = [json!({}), json!({"sorts": ["email"]})];
    for search in &every_kind {
        assert_eq!(total(&fixture, search.clone()).await, 50);
    }
    fixture.portal.set_faults(Faults::default());
    for search in &every_kind {
        assert_eq!(total(&fixture, search.clone()).await, 52);
    }
}

#[tokio::test]
async fn ordinary_properties_are_filtered_and_sorted_by() {
    let fixture = fixture(PortalConfig::empty(), 300).await;
    let truth = fixture.portal.truth("contacts", 0, 1_000).expect("contacts");
    let having = |name: &str, accepts: &dyn Fn(&str) -> bool| {
        truth.iter().filter(|record| record.properties.get(name).is_some_and(|value| accepts(value))).count() as u64
    };
    assert_eq!(
        total(&fixture, one("lifecyclestage", "EQ", "customer")).await,
        having("lifecyclestage", &|value| value == "customer")
    );
    assert_eq!(
        total(&fixture, one("num_notes", "GTE", "40")).await,
        having("num_notes", &|value| { value.parse::<u32>().expect("a number") >= 40 })
    );
    let has = json!({"filterGroups": [{"filters": [{"propertyName": "phone", "operator": "HAS_PROPERTY"}]}]});
    assert_eq!(total(&fixture, has).await, having("phone", &|_| true));
    let any = json!({"filterGroups": [{"filters": [
        {"propertyName": "hs_language", "operator": "IN", "values": ["de", "ja"]}
    ]}]});
    assert_eq!(total(&fixture, any).await, having("hs_language", &|value| ["de", "ja"].contains(&value)));

    let sorted = json!({
        "filterGroups": [{"filters": [{"propertyName": "num_notes", "operator": "HAS_PROPERTY"}]}],
        "sorts": ["num_notes"], "properties": ["num_notes"], "limit": 200,
    });
    let page = fixture.post(SEARCH, sorted).await.json();
    let notes: Vec<u32> = page["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|record| record["properties"]["num_notes"].as_str().expect("set").parse().expect("a number"))
        .collect();
    assert!(notes.is_sorted() && notes.len() > 100);
}

#[tokio::test]
async fn results_are_paged_by_offset_and_end_at_ten_thousand() {
    let fixture = fixture(PortalConfig::empty(), 10_500).await;
    let page = fixture.post(SEARCH, json!({"limit": 200, "after": "9800"})).await.json();
    assert_eq!(page["results"].as_array().map(Vec::len), Some(200));
    assert_eq!(page["paging"]["next"]["after"], "10000");
    let refused = fixture.post(SEARCH, json!({"limit": 200, "after": "10000"})).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn what_exceeds_the_bounds_of_a_search_is_refused() {
    let fixture = fixture(PortalConfig::empty(), 5).await;
    for bad in [
        json!({"limit": 201}),
        json!({"after": u64::MAX.to_string()}),
        json!({"sorts": ["email", "firstname"]}),
        json!({"query": "x".repeat(3_000)}),
        one("nonsense", "EQ", "1"),
        one("createdate", "GTE", "yesterday"),
        json!({"filterGroups": "none"}),
    ] {
        let refused = fixture.post(SEARCH, bad.clone()).await;
        assert_eq!((refused.status, &refused.json()["status"]), (400, &json!("error")), "{bad}");
    }
}
