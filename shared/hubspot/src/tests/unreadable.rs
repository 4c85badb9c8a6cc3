//! B5: pages that keep failing, and records that cannot be read.

use std::time::Duration;

use domain::ids::RecordId;
use domain::ports::crm::{CrmErrorKind, Cursor};
use serde_json::{Map, Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, TOKEN, waiting};

/// The last record of the list.
const LAST: u64 = 250;

fn record(id: u64) -> Value {
    json!({ "id": id.to_string(), "properties": { "name": format!("n{id}") } })
}

/// The ids in a request. The list has the records 1 to [`LAST`], and its cursors are last ids.
fn ids(request: &Seen) -> Vec<u64> {
    let limit = request.parameter("limit").and_then(|text| text.parse().ok());
    if request.body.is_empty() {
        let after: u64 = request.parameter("after").and_then(|text| text.parse().ok()).unwrap_or_default();
        return (after + 1..=LAST).take(limit.unwrap_or(10)).collect();
    }
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    if request.path().ends_with("/search") {
        let after = body["filterGroups"][0]["filters"][0]["value"].as_str().expect("an id");
        let after: u64 = after.parse().expect("an id");
        return (after + 1..=LAST).take(1).collect();
    }
    let inputs = body["inputs"].as_array().expect("inputs").iter();
    inputs.map(|input| input["id"].as_str().expect("a text").parse().expect("an id")).collect()
}

fn shows_values(request: &Seen) -> bool {
    request.parameter("properties") == Some("name") || request.body.contains(r#""properties":["name"]"#)
}

/// A CRM that fails for the requests that `fails` selects.
async fn server(fails: impl Fn(&Seen, &[u64]) -> bool + Send + Sync + 'static) -> Server {
    Server::start(move |request, _| {
        let ids = ids(request);
        if fails(request, &ids) {
            return Reply::status(504, "");
        }
        let results: Vec<Value> = ids.iter().map(|id| record(*id)).collect();
        let next = ids.last().filter(|last| **last < LAST && request.body.is_empty());
        let paging = next.map(|next| json!({ "next": { "after": next.to_string() } }));
        Reply::ok(json!({ "results": results, "paging": paging, "total": ids.len() }).to_string())
    })
    .await
}

/// Reads all pages. Returns ids, unreadable ids, and the number of calls for each page.
async fn read_all(client: &Client) -> (Vec<u64>, Vec<u64>, Vec<usize>) {
    let (mut read, mut unreadable, mut calls, mut at) = (Vec::new(), Vec::new(), Vec::new(), Cursor::START);
    loop {
        let before = client.gate().admitted.len();
        let page = client.page("deals", &["name"], &at).await.expect("a page");
        calls.push(client.gate().admitted.len() - before);
        assert!(page.records.iter().all(|(id, values)| values[0] == format!("n{id}")));
        read.extend(page.records.iter().map(|(id, _)| *id));
        unreadable.extend(page.end.unreadable.iter().map(|id| id.0));
        match page.end.next {
            Some(next) => at = Cursor::AfterId(RecordId::parse(&next).expect("an id")),
            None => return (read, unreadable, calls),
        }
    }
}

/// B5: every call that would show the values of one record fails.
#[tokio::test]
async fn an_unreadable_record_is_named_and_all_others_are_read() {
    let server = server(|request, ids| shows_values(request) && ids.contains(&142)).await;
    let (read, unreadable, calls) = read_all(&Client::to(&server)).await;
    assert_eq!(unreadable, [142]);
    assert_eq!(read, (1..=LAST).filter(|id| *id != 142).collect::<Vec<_>>());
    assert!(calls[0] == 1 && calls[1] <= 30 && calls[2] == 1, "{calls:?}");
}

/// B5: large pages fail, so halves are read, and later pages begin with halves.
#[tokio::test]
async fn pages_that_are_too_large_are_halved_and_the_size_is_remembered() {
    let server = server(|request, ids| shows_values(request) && ids.len() > 50).await;
    let client = Client::to(&server);
    let (read, unreadable, calls) = read_all(&client).await;
    assert_eq!((read, unreadable.len()), ((1..=LAST).collect::<Vec<_>>(), 0));
    assert!(calls[1] < calls[0], "{calls:?}");
    let (_, _, calls) = read_all(&client).await;
    assert_eq!(calls, [3, 3, 2], "ids, and two halves or one");
}

/// B5: a record can make a list fail even without values. A search finds its id.
#[tokio::test]
async fn a_record_that_cannot_be_listed_is_unreadable() {
    let server = server(|request, ids| !request.path().ends_with("/search") && ids.contains(&120)).await;
    let (read, unreadable, _) = read_all(&Client::to(&server)).await;
    assert_eq!(unreadable, [120]);
    assert_eq!(read, (1..=LAST).filter(|id| *id != 120).collect::<Vec<_>>());
}

/// B5: a run continues with the cursors of the CRM, which are last ids or next ids.
#[tokio::test]
async fn lists_continue_after_such_a_record_with_both_forms_of_cursors() {
    for step in [0, 1] {
        let server = Server::start(move |request, _| {
            let first = |text: &str| text.parse::<u64>().map_or(1, |cursor| cursor + 1 - step);
            let is_list = request.body.is_empty();
            let ids: Vec<u64> = if is_list {
                let limit = request.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(10);
                (request.parameter("after").map_or(1, first)..=LAST).take(limit).collect()
            } else {
                ids(request)
            };
            if !request.path().ends_with("/search") && ids.contains(&120) {
                return Reply::status(504, "");
            }
            let next = ids.last().filter(|last| **last < LAST && is_list).map(|last| (last + step).to_string());
            let results: Vec<Value> = ids.iter().map(|id| record(*id)).collect();
            let paging = next.map(|next| json!({ "next": { "after": next } }));
            Reply::ok(json!({ "results": results, "paging": paging, "total": ids.len() }).to_string())
        })
        .await;
        let client = Client::to(&server);
        let (mut read, mut unreadable, mut at) = (Vec::new(), Vec::new(), Cursor::START);
        for pages in 0.. {
            assert!(pages < 30, "the list does not end");
            let page = client.page("deals", &["name"], &at).await.expect("a page");
            read.extend(page.records.iter().map(|(id, _)| *id));
            unreadable.extend(page.end.unreadable.iter().map(|id| id.0));
            let Some(next) = page.end.next else { break };
            at = Cursor::Opaque(next);
        }
        assert_eq!(unreadable, [120], "step {step}");
        assert_eq!(read, (1..=LAST).filter(|id| *id != 120).collect::<Vec<_>>());
    }
}

/// B5: if every call fails, no record is unreadable, and few calls are sent.
#[tokio::test]
async fn an_outage_costs_few_calls_and_makes_no_record_unreadable() {
    let server = server(|_, _| true).await;
    let error = Client::to(&server).page("deals", &["name"], &Cursor::START).await.expect_err("an outage");
    assert!(error.kind.is_unavailable() && server.seen().len() <= 12, "{}", server.seen().len());
    // Ids can be listed, but no record can be read.
    let server = self::server(|request, _| shows_values(request)).await;
    let error = Client::to(&server).page("deals", &["name"], &Cursor::START).await.expect_err("an outage");
    assert!(error.kind.is_unavailable(), "{error:?}");
    assert!(server.seen().len() <= 30, "{}", server.seen().len());
}

/// B10: the same call would have the same large answer, so the page becomes shorter.
#[tokio::test]
async fn a_page_whose_answer_is_too_large_is_asked_for_in_a_smaller_size() {
    // With these names, the properties do not fit into a URL, so records are read by their ids.
    let long_names: Vec<String> = (0..200).map(|number| format!("n{number:040}")).collect();
    let (long, names) = ("x".repeat(600 << 10), long_names.clone());
    let server = Server::start(move |request, _| {
        let ids = ids(request);
        let in_url = request.parameter("properties").is_some_and(|names| names.starts_with("name"));
        let shows_values = in_url || request.body.contains(r#""properties":["name""#);
        let record = |id: &u64| {
            let mut values: Map<String, Value> = names.iter().map(|name| (name.clone(), Value::Null)).collect();
            values.insert("name".to_owned(), if shows_values { long.as_str().into() } else { Value::Null });
            json!({ "id": id.to_string(), "properties": values })
        };
        let results: Vec<Value> = ids.iter().map(record).collect();
        let next = ids.last().filter(|last| **last < LAST && request.body.is_empty());
        let paging = next.map(|next| json!({ "next": { "after": next.to_string() } }));
        Reply::ok(json!({ "results": results, "paging": paging, "total": ids.len() }).to_string())
    })
    .await;
    let many: Vec<&str> = ["name"].into_iter().chain(long_names.iter().map(String::as_str)).collect();
    for (object, properties, calls) in [("deals", vec!["name"], 3), ("companies", many, 6)] {
        let client = Client::named(&server, &waiting(Duration::from_secs(20)), TOKEN);
        let before = server.seen().len();
        let page = client.page(object, &properties, &Cursor::AfterId(RecordId(150))).await.expect("a page");
        // 100 and 25 are too many.
        assert_eq!((page.records.len(), server.seen().len() - before), (6, calls));
        assert!(page.records.iter().all(|(_, values)| values[0].len() == 600 << 10));
        assert_eq!(page.end.next.as_deref(), Some("156"), "the rest is on the next page");
        // The size is remembered.
        let before = server.seen().len();
        let page = client.page(object, &properties, &Cursor::AfterId(RecordId(156))).await.expect("a page");
        assert_eq!((page.records.len(), server.seen().len() - before), (6, calls / 3));
    }
}

/// B5: conversations cannot be read by their ids, so pages become smaller.
#[tokio::test]
async fn conversations_are_listed_in_smaller_pages() {
    let server = server(|_, ids| ids.len() > 25).await;
    let client = Client::to(&server);
    let page = client.page("conversations", &["status"], &Cursor::START).await.expect("a page");
    assert_eq!((page.records.len(), server.seen().len()), (25, 6));
    client.page("conversations", &["status"], &Cursor::START).await.expect("a page");
    assert_eq!(server.seen().len(), 7, "the size is remembered");
    let down = self::server(|_, _| true).await;
    let error = Client::to(&down).page("conversations", &["status"], &Cursor::START).await.expect_err("an outage");
    assert!(matches!(error.kind, CrmErrorKind::Unavailable { .. }) && down.seen().len() <= 12);
}
