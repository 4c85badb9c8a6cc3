//! C2: pages whose ids come from a search.

use domain::budget::CallKind;
use domain::ids::RecordId;
use domain::ports::crm::{CrmErrorKind, Cursor, PageSource};
use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, object};

/// A CRM with the even ids from 2 to `last`. Its index still contains the deleted record `gone`.
fn even_ids(request: &Seen, last: u64, gone: u64) -> Reply {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let record = |id: u64| json!({ "id": id.to_string(), "properties": { "name": format!("n{id}") } });
    if request.path().ends_with("/search") {
        assert_eq!(body["sorts"], json!([{ "propertyName": "hs_object_id", "direction": "ASCENDING" }]));
        let filter = &body["filterGroups"][0]["filters"][0];
        assert_eq!((&filter["propertyName"], &filter["operator"]), (&json!("hs_object_id"), &json!("GT")));
        let after: u64 = filter["value"].as_str().expect("a text").parse().expect("an id");
        let limit = usize::try_from(body["limit"].as_u64().expect("a number")).expect("small");
        let above: Vec<u64> = (after + 1..=last).filter(|id| id % 2 == 0).collect();
        let results: Vec<Value> = above.iter().take(limit).map(|id| json!({ "id": id.to_string() })).collect();
        return Reply::ok(json!({ "total": above.len(), "results": results }).to_string());
    }
    let ids = body["inputs"].as_array().expect("inputs").iter().rev();
    let ids: Vec<u64> = ids.map(|input| input["id"].as_str().expect("a text").parse().expect("an id")).collect();
    assert!(ids.len() <= 100);
    let results: Vec<Value> = ids.into_iter().filter(|id| *id != gone).map(record).collect();
    Reply::ok(json!({ "status": "COMPLETE", "results": results }).to_string())
}

async fn page(client: &Client, after: u64) -> Result<super::Page, domain::ports::crm::CrmError> {
    client.page_of(PageSource::Search, "deals", &["name"], &Cursor::AfterId(RecordId(after))).await
}

/// C2: one search and two batch reads return 200 records in the order of their ids.
#[tokio::test]
async fn one_search_finds_ids_and_two_calls_read_their_records() {
    let server = Server::start(|request, _| even_ids(request, 500, 150)).await;
    let client = Client::to(&server);
    let first = page(&client, 0).await.expect("a page");
    let expected: Vec<u64> = (1..=400).filter(|id| id % 2 == 0 && *id != 150).collect();
    assert_eq!(first.records.iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected, "the deleted record is left out");
    assert!(first.records.iter().all(|(id, values)| values[0] == format!("n{id}")));
    assert_eq!((first.end.next.as_deref(), first.end.last_listed), (Some("400"), Some(RecordId(400))));
    let mut kinds = client.gate().admitted;
    kinds.sort_by_key(|kind| *kind == CallKind::Ordinary);
    let kinds_expected = [CallKind::Search, CallKind::Ordinary, CallKind::Ordinary, CallKind::Ordinary];
    assert_eq!(kinds, kinds_expected, "the deleted record is read once more");

    let second = page(&client, 400).await.expect("a page");
    assert_eq!(second.records.len(), 50);
    assert_eq!((second.end.next, second.end.last_listed), (None, Some(RecordId(500))));
    let last = page(&client, 500).await.expect("a page");
    assert_eq!((last.records.len(), last.end.next, last.end.last_listed), (0, None, None));
}

/// C2: a search may show fewer records than it found.
#[tokio::test]
async fn a_search_that_shows_fewer_records_than_it_found_continues() {
    let server = Server::start(|request, _| {
        if request.path().ends_with("/search") {
            Reply::ok(r#"{"total":9,"results":[{"id":"2"},{"id":4}]}"#)
        } else {
            even_ids(request, 500, 0)
        }
    })
    .await;
    let page = page(&Client::to(&server), 0).await.expect("a page");
    assert_eq!((page.records.len(), page.end.next.as_deref()), (2, Some("4")));
}

/// C2: if ids did not ascend, the backup would lack records.
#[tokio::test]
async fn a_search_out_of_order_is_malformed() {
    for results in [r#"[{"id":"4"},{"id":"2"}]"#, r#"[{"id":"1"},{"id":"2"}]"#] {
        let server = Server::script([Reply::ok(format!(r#"{{"total":2,"results":{results}}}"#))]).await;
        let error = page(&Client::to(&server), 1).await.expect_err("out of order");
        assert_eq!(error.kind, CrmErrorKind::Malformed);
    }
}

#[tokio::test]
async fn an_impossible_search_is_refused_without_a_call() {
    let server = Server::script([Reply::status(500, "")]).await;
    let client = Client::to(&server);
    let cursor = Cursor::Opaque("x".into());
    let error = client.page_of(PageSource::Search, "deals", &["name"], &cursor).await.expect_err("not an id");
    assert_eq!(error.kind, CrmErrorKind::Refused);
    let threads = object("conversations");
    let error = client.page_of(PageSource::Search, threads.as_str(), &["status"], &Cursor::START).await;
    assert_eq!(error.expect_err("no search").kind, CrmErrorKind::Refused);
    assert!(server.seen().is_empty());
}
