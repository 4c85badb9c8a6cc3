//! All ways of reading pages of records.

use domain::account::ApiVersion;
use domain::ids::RecordId;
use domain::ports::crm::Cursor;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, Gate, connector};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|place| format!("a_property_with_a_long_name_{place:04}")).collect()
}

fn value_of(id: &str, property: &str) -> Value {
    match property.len() + property.bytes().last().map_or(0, usize::from) {
        odd if odd % 3 == 0 => Value::Null,
        _ => format!("{property} of {id}: \"ü\n😀\"").into(),
    }
}

fn record(id: &str, properties: impl Iterator<Item = impl Into<String>>) -> Value {
    let properties: Map<String, Value> =
        properties.map(Into::into).map(|name| (name.clone(), value_of(id, &name))).collect();
    json!({ "id": id, "properties": properties, "createdAt": "2026-01-01T00:00:00.000Z" })
}

/// A server with three records. It refuses URLs of more than `longest` characters, and answers batch reads in reverse
/// order and without the record `gone`.
fn three_records(longest: usize, gone: &'static str) -> impl Fn(&Seen, usize) -> Reply {
    move |request, _| {
        if request.target.len() > longest {
            return Reply::status(414, "<html>too long</html>");
        }
        if request.path().ends_with("/batch/read") {
            let body: Value = serde_json::from_str(&request.body).expect("JSON");
            let texts = |list: &Value, pointer: &str| -> Vec<String> {
                let texts = list.as_array().expect("a list").iter();
                texts.filter_map(|item| item.pointer(pointer)?.as_str().map(str::to_owned)).collect()
            };
            let properties = texts(&body["properties"], "");
            let ids = texts(&body["inputs"], "/id");
            let found = ids.iter().rev().filter(|id| *id != gone);
            let results: Vec<Value> = found.map(|id| record(id, properties.iter())).collect();
            return Reply::status(207, json!({ "status": "COMPLETE", "results": results }).to_string());
        }
        let properties = request.parameter("properties").unwrap_or_default();
        let results: Vec<Value> = ["11", "12", "15"].map(|id| record(id, properties.split(','))).into();
        Reply::ok(json!({ "results": results, "paging": { "next": { "after": "15" } } }).to_string())
    }
}

#[tokio::test]
async fn wide_objects_have_the_same_values_whatever_the_longest_url_is() {
    let names = names(1_000);
    let properties: Vec<&str> = names.iter().map(String::as_str).collect();
    for width in [10, 130, 1_000] {
        let properties = &properties[..width];
        let mut pages = Vec::new();
        for longest in [100_000, 5_000, 2_000, 500] {
            let server = Server::start(three_records(longest, "")).await;
            let page = Client::to(&server).page("contacts", properties, &Cursor::START).await.expect("a page");
            assert_eq!(page.end.next.as_deref(), Some("15"));
            pages.push(page.records);
        }
        for (id, values) in &pages[0] {
            for (name, value) in properties.iter().zip(values) {
                assert_eq!(value, value_of(&id.to_string(), name).as_str().unwrap_or_default());
            }
        }
        assert!(pages.iter().all(|page| page == &pages[0]), "{width} properties");
    }
}

/// Proxies answer a long URL in each of these ways.
#[tokio::test]
async fn a_page_is_complete_however_a_server_refuses_a_long_url() {
    let names = names(150);
    let properties: Vec<&str> = names.iter().map(String::as_str).collect();
    let calm = Server::start(three_records(100_000, "")).await;
    let whole = Client::to(&calm).page("contacts", &properties, &Cursor::START).await.expect("a page").records;
    let in_words = r#"{"status":"error","message":"Request Header Or Cookie Too Large"}"#;
    let page = "<html><h1>400 Bad Request</h1></html>";
    for (status, body) in [(414, ""), (431, ""), (400, page), (400, ""), (400, in_words), (520, "")] {
        for longest in [2_500, 600] {
            let answer = three_records(100_000, "");
            let server = Server::start(move |request: &Seen, nth| {
                if request.target.len() > longest { Reply::status(status, body) } else { answer(request, nth) }
            })
            .await;
            let read = Client::to(&server).page("contacts", &properties, &Cursor::START).await;
            assert_eq!(read.expect("a page").records, whole, "{status} {body}, {longest} characters");
        }
    }
}

/// A refusal for another reason is returned at once.
#[tokio::test]
async fn a_400_for_another_reason_does_not_lead_to_shorter_urls() {
    let about = r#"{"category":"VALIDATION_ERROR","message":"after is no cursor of this list"}"#;
    let server = Server::start(move |_: &Seen, _| Reply::status(400, about)).await;
    let client = Client::to(&server);
    client.page("contacts", &["email"], &Cursor::START).await.expect_err("refused");
    assert_eq!(server.seen().len(), 1);
}

/// B9: the longest URL is remembered for one account and one object.
#[tokio::test]
async fn the_longest_url_is_remembered_for_each_account_and_object() {
    let names = names(150);
    let properties: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::start(three_records(4_000, "")).await;
    let connector = connector();
    let mut calls = Vec::new();
    for (token, object_type) in [("one", "deals"), ("one", "deals"), ("one", "contacts"), ("other", "deals")] {
        let client = Client::named(&server, &connector, token);
        client.page(object_type, &properties, &Cursor::START).await.expect("a page");
        calls.push(client.gate().admitted.len());
    }
    assert_eq!(calls, [3, 2, 3, 3], "one 414, then a list and a batch read each");
}

/// B9: the length of a URL includes its escapes, and stays under 6,000 characters.
#[tokio::test]
async fn urls_with_escaped_names_are_short_too() {
    let names: Vec<String> = (0..120).map(|place| format!("größe_und_länge_übers_maß_{place:03}")).collect();
    let properties: Vec<&str> = names.iter().map(String::as_str).collect();
    for width in 50..120 {
        let server = Server::start(three_records(100_000, "")).await;
        Client::to(&server).page("deals", &properties[..width], &Cursor::START).await.expect("a page");
        let longest = server.seen().iter().map(|seen| seen.target.len()).max();
        assert!(longest.is_some_and(|longest| longest < 6_000), "{longest:?}");
    }
}

#[tokio::test]
async fn a_record_deleted_between_list_and_read_is_left_out_but_still_the_last_listed_one() {
    let names = names(600);
    let properties: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::start(three_records(100_000, "15")).await;
    let page = Client::to(&server).page("contacts", &properties, &Cursor::START).await.expect("a page");
    assert_eq!(page.records.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [11, 12]);
    assert_eq!(page.end.last_listed, Some(RecordId(15)));
}

#[tokio::test]
async fn an_empty_wide_object_is_an_empty_page() {
    let names = names(600);
    let properties: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::script([Reply::ok(r#"{"results":[]}"#)]).await;
    let page = Client::to(&server).page("p1_boat", &properties, &Cursor::START).await.expect("a page");
    assert_eq!((page.records.len(), page.end.next, page.end.last_listed), (0, None, None));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn cursors_are_passed_on_as_they_came() {
    let server = Server::script([Reply::ok(r#"{"results":[],"paging":{"next":{"after":"a+/=\u0026 b"}}}"#)]).await;
    let client = Client::to(&server);
    let page = |cursor| async move { client.page("deals", &["x"], &cursor).await.expect("a page") };
    let first = page(Cursor::START).await;
    assert_eq!(first.end.next.as_deref(), Some("a+/=& b"));
    let client = Client::to(&server);
    let page = |cursor| async move { client.page("deals", &["x"], &cursor).await.expect("a page") };
    page(Cursor::Opaque("a+/=& b".into())).await;
    let client = Client::to(&server);
    client.page("deals", &["x"], &Cursor::AfterId(RecordId(42))).await.expect("a page");
    let seen = server.seen();
    let after: Vec<_> = seen.iter().map(|request| request.parameter("after")).collect();
    assert_eq!(after, [None, Some("a%2B%2F%3D%26%20b"), Some("42")]);
    assert!(seen.iter().all(|request| request.parameter("limit") == Some("100")));
    assert!(seen.iter().all(|request| request.parameter("archived") == Some("false")));
}

#[tokio::test]
async fn both_versions_have_their_own_path() {
    for (version, path) in
        [(ApiVersion::V2026_09, "/crm/objects/2026-09/deals"), (ApiVersion::V3, "/crm/v3/objects/deals")]
    {
        let server = Server::start(three_records(100_000, "")).await;
        let client = Client::with(&server, &connector(), version, Gate::default(), SignedDuration::from_mins(1));
        client.page("deals", &["x"], &Cursor::START).await.expect("a page");
        assert_eq!(server.seen()[0].path(), path);
    }
}

#[tokio::test]
async fn conversations_are_threads_with_all_their_members() {
    let threads = json!({
        "results": [
            { "id": "3001", "status": "OPEN", "createdAt": "2026-02-03T04:05:06Z", "closedAt": null, "spam": false,
              "inboxId": 42, "assignedTo": { "type": "AGENT", "id": "A-1" }, "associatedContactId": "11" },
            { "archived": true, "id": 3002, "status": "CLOSED" },
        ],
        "paging": { "next": { "after": "MzAwMg==" } },
    });
    let server = Server::script([Reply::ok(threads.to_string())]).await;
    let client = Client::to(&server);
    let properties = client.crm.properties(&super::object("conversations")).await.expect("the fixed columns");
    let columns: Vec<&str> = properties.properties.iter().map(|property| property.name.as_str()).collect();
    let page = client.page("conversations", &columns, &Cursor::START).await.expect("a page");
    let value = |row: usize, name: &str| {
        let column = columns.iter().position(|column| *column == name).expect("a column");
        page.records[row].1[column].as_str()
    };
    assert_eq!(page.records.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3001, 3002]);
    assert_eq!(page.end.next.as_deref(), Some("MzAwMg=="));
    assert_eq!(value(0, "status"), "OPEN");
    assert_eq!(value(0, "closedAt"), "");
    assert_eq!(value(0, "spam"), "false");
    assert_eq!(value(0, "inboxId"), "42");
    assert_eq!(value(0, "assignedTo"), r#"{"id":"A-1","type":"AGENT"}"#);
    assert_eq!(value(1, "archived"), "true");
    assert_eq!(server.seen()[0].path(), "/conversations/conversations/2026-09/threads");
    assert_eq!(server.seen()[0].parameter("sort"), Some("id"));
}

/// A8: a server may reject a sort order of conversations.
#[tokio::test]
async fn a_sort_order_is_not_requested_again_after_a_refusal() {
    let server = Server::start(|request, _| match request.parameter("sort") {
        Some(_) => Reply::status(400, r#"{"category":"VALIDATION_ERROR","message":"no such sort"}"#),
        None => Reply::ok(r#"{"results":[{"id":"2"},{"id":"1"},{"id":"2"}]}"#),
    })
    .await;
    let client = Client::to(&server);
    for _ in 0..2 {
        let page = client.page("conversations", &["status"], &Cursor::START).await.expect("a page");
        assert_eq!(page.records.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1], "A9: each once");
    }
    let sorts: Vec<_> = server.seen().iter().map(|seen| seen.parameter("sort").map(str::to_owned)).collect();
    assert_eq!(sorts, [Some("id".to_owned()), None, None]);
}

/// Sources disagree about the most conversations on a page.
#[tokio::test]
async fn a_large_page_of_conversations_is_not_requested_again_after_a_refusal() {
    let server = Server::start(|request, _| match request.parameter("limit").and_then(|limit| limit.parse().ok()) {
        Some(1..=100) => Reply::ok(r#"{"results":[{"id":"1"},{"id":"2"}]}"#),
        _ => Reply::status(400, r#"{"category":"VALIDATION_ERROR","message":"limit must be at most 100"}"#),
    })
    .await;
    let client = Client::to(&server);
    for _ in 0..2 {
        let page = client.page("conversations", &["status"], &Cursor::START).await.expect("a page");
        assert_eq!(page.records.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    }
    let asked: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| (seen.parameter("limit").map(str::to_owned), seen.parameter("sort").is_some()))
        .collect();
    let call = |limit: &str, sorted| (Some(limit.to_owned()), sorted);
    assert_eq!(asked, [call("500", true), call("500", false), call("100", true), call("100", true)]);
}
