//! Account details, counts and existing records.

use domain::budget::{CallKind, CallLimits};
use domain::ids::RecordId;
use domain::ports::crm::Census;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::server::{Reply, Server};
use super::{Client, object};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[tokio::test]
async fn account_details_contain_portal_time_zone_and_limits() {
    let body = r#"{"portalId":62515,"accountType":"STANDARD","timeZone":"Europe/Berlin","uiDomain":"app"}"#;
    let reply = Reply::ok(body)
        .header("x-hubspot-ratelimit-max", 190)
        .header("x-hubspot-ratelimit-interval-milliseconds", 10_000)
        .header("x-hubspot-ratelimit-daily", 625_000)
        .header("x-hubspot-ratelimit-daily-remaining", 600_001);
    let server = Server::script([reply]).await;
    let client = Client::to(&server);
    let account = client.crm.account().await.expect("an account");
    assert_eq!((account.portal_id, account.time_zone.as_str()), (62_515, "Europe/Berlin"));
    assert_eq!(account.call_limits, CallLimits::in_ten_seconds(190, 625_000));
    assert_eq!(client.gate().remaining, [600_001]);
}

#[tokio::test]
async fn records_are_counted_by_searches_and_the_gate_admits_them_as_searches() {
    let server = Server::script([Reply::ok(r#"{"total":1234,"results":[{"id":"998"}],"paging":{}}"#)]).await;
    let client = Client::to(&server);
    let (deals, calls) = (object("deals"), object("calls"));
    let census = Census { records: 1_234, highest_id: Some(RecordId(998)) };
    assert_eq!(client.crm.census(&deals).await.expect("a census"), Some(census));
    let since = at("2026-01-02T03:04:05Z");
    assert_eq!(client.crm.created_since(&deals, since).await.expect("a count"), Some(1_234));
    client.crm.created_since(&calls, since).await.expect("a count");
    let range = client.crm.count_in(&deals, RecordId(5), Some(RecordId(9))).await.expect("a count");
    assert_eq!(range, Some(1_234));
    assert_eq!(client.crm.nth_after(&deals, RecordId(5), 300).await.expect("an id"), Some(RecordId(998)));
    assert_eq!(client.gate().admitted, [CallKind::Search; 5]);

    let bodies: Vec<Value> = server.seen().iter().map(|seen| serde_json::from_str(&seen.body).expect("JSON")).collect();
    let filter = |body: usize, place: usize| {
        let filter = &bodies[body]["filterGroups"][0]["filters"][place];
        json!([filter["propertyName"], filter["operator"], filter["value"]])
    };
    assert_eq!(bodies[0]["sorts"], json!([{ "propertyName": "hs_object_id", "direction": "DESCENDING" }]));
    assert_eq!(filter(1, 0), json!(["createdate", "GTE", "1767323045000"]));
    assert_eq!(filter(2, 0), json!(["hs_createdate", "GTE", "1767323045000"]));
    assert_eq!(filter(3, 0), json!(["hs_object_id", "GT", "5"]));
    assert_eq!(filter(3, 1), json!(["hs_object_id", "LTE", "9"]));
    assert_eq!(filter(4, 0), json!(["hs_object_id", "GT", "5"]));
    assert_eq!(bodies[4]["sorts"][0]["direction"], "ASCENDING");
    assert_eq!((&bodies[4]["after"], &bodies[4]["limit"]), (&json!("299"), &json!(1)));
}

#[tokio::test]
async fn created_records_are_counted_by_the_property_that_exists() {
    let server = Server::start(|request, _| {
        if request.body.contains("\"createdate\"") {
            Reply::ok(r#"{"total":5,"results":[]}"#)
        } else {
            Reply::status(400, r#"{"category":"VALIDATION_ERROR","message":"no such property"}"#)
        }
    })
    .await;
    let count = Client::to(&server).crm.created_since(&object("p1_boat"), Timestamp::UNIX_EPOCH).await;
    assert_eq!(count.expect("a count"), Some(5));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_object_without_records_has_no_highest_id() {
    let server = Server::script([Reply::ok(r#"{"total":0,"results":[]}"#)]).await;
    let client = Client::to(&server);
    let census = client.crm.census(&object("p1_boat")).await.expect("a census");
    assert_eq!(census, Some(Census { records: 0, highest_id: None }));
    assert_eq!(client.crm.nth_after(&object("p1_boat"), RecordId(0), 1).await.expect("no id"), None);
}

#[tokio::test]
async fn conversations_are_not_counted() {
    let server = Server::script([Reply::status(404, "")]).await;
    let (client, threads) = (Client::to(&server), object("conversations"));
    assert_eq!(client.crm.census(&threads).await.expect("no call"), None);
    assert_eq!(client.crm.created_since(&threads, Timestamp::UNIX_EPOCH).await.expect("no call"), None);
    assert_eq!(client.crm.count_in(&threads, RecordId(0), None).await.expect("no call"), None);
    assert_eq!(client.crm.nth_after(&threads, RecordId(0), 1).await.expect("no call"), None);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn only_records_under_their_own_id_exist() {
    let results = json!([
        { "id": "9", "properties": {}, "createdAt": "2026-03-01T10:00:00.123Z", "updatedAt": "2026-03-01T10:00:00Z" },
        { "id": "77", "properties": {}, "createdAt": "2020-01-01T00:00:00Z" },
    ]);
    let body = json!({ "status": "COMPLETE", "results": results, "numErrors": 1, 
        "errors": [{ "status": "error", "category": "OBJECT_NOT_FOUND", "context": { "ids": ["5"] } }] });
    let server = Server::script([Reply::status(207, body.to_string())]).await;
    let client = Client::to(&server);
    let ids = [5, 9].map(RecordId);
    let existing = client.crm.existing(&object("deals"), &ids).await.expect("an answer");
    assert_eq!(existing, [(RecordId(9), at("2026-03-01T10:00:00.123Z"))]);
    assert!(client.crm.existing(&object("deals"), &[]).await.expect("no call").is_empty());
    assert_eq!(server.seen().len(), 1);
}
