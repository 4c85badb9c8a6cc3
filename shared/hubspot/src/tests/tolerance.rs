//! A6, A7, B10: documents that differ from the specification and can still be read.

use domain::ids::RecordId;
use domain::ports::crm::{CrmErrorKind, Cursor};
use domain::ports::crm_batch::{BatchUpdate, RecordUpdate};
use serde_json::json;

use super::server::{Reply, Server};
use super::{Client, object};

/// A7: half a surrogate pair in a label, a name or an error does not make the document unreadable.
#[tokio::test]
async fn labels_with_half_a_surrogate_pair_are_read() {
    let list = r#"{"results":[{"name":"a","label":"x \ud83d","type":"string"},{"name":"b\udc00"}]}"#;
    let server = Server::start(move |request, _| match request.parameter("dataSensitivity") {
        None => Reply::ok(list),
        Some(_) => Reply::ok(r#"{"results":[]}"#),
    })
    .await;
    let crm = Client::to(&server).crm;
    let listed = crm.properties(&object("deals")).await.expect("properties").properties;
    assert_eq!((listed[0].label.as_str(), listed[1].name.as_str()), ("x \u{fffd}", "b\u{fffd}"));
    assert_eq!(crm.definitions(&object("deals")).await.expect("definitions").len(), 2);

    let schemas = "\u{feff}{\"results\":[{\"objectTypeId\":\"2-1\",\"name\":\"car\",\"fullyQualifiedName\":\"p1_car\",\
                   \"labels\":{\"singular\":\"Auto \\ud83d\"}}]}";
    let server = Server::script([Reply::ok(schemas)]).await;
    let crm = Client::to(&server).crm;
    assert_eq!(crm.custom_object_types().await.expect("object types")[0].label, "Auto \u{fffd}");

    let refusal = r#"{"category":"FORBIDDEN","message":"not for \ud83d you"}"#;
    let error = Client::to(&Server::script([Reply::status(403, refusal)]).await).contacts().await.expect_err("refused");
    assert_eq!(error.kind, CrmErrorKind::Forbidden);
    assert!(error.sentence.ends_with("not for \u{fffd} you"), "{error}");
}

/// A7, B10: an answer to an update may contain half a surrogate pair, numeric ids and no properties.
#[tokio::test]
async fn answers_to_updates_are_read_tolerantly() {
    let written =
        "\u{feff}{\"results\":[{\"id\":7,\"properties\":{\"name\":\"\\ud83d\"}},{\"id\":\"8\",\"properties\":null}]}";
    let server = Server::script([Reply::ok(written)]).await;
    let update = |id| RecordUpdate { id: RecordId(id), values: vec![("name".to_owned(), "x".to_owned())] };
    let answer = Client::to(&server).crm.update_batch(&object("deals"), &[update(7), update(8)]).await;
    let BatchUpdate::Written { records, .. } = answer.expect("an answer") else { panic!("written") };
    assert_eq!(records.iter().map(|record| record.id.0).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(records[0].values, [("name".to_owned(), "\u{fffd}".to_owned())]);
}

/// B10: an entry may lack members, or have members of another type.
#[tokio::test]
async fn entries_that_lack_members_are_used_if_possible() {
    let schemas = json!({ "results": [
        { "objectTypeId": "2-1" },
        { "fullyQualifiedName": "p1_boat", "labels": { "plural": "Boats" }, "archived": null },
        { "name": "no usable name" },
        { "objectTypeId": 7, "fullyQualifiedName": "p1_car", "labels": "none", "name": "car" },
        null,
    ]});
    let server = Server::script([Reply::ok(schemas.to_string())]).await;
    let crm = Client::to(&server).crm;
    let types = crm.custom_object_types().await.expect("object types");
    let found_types: Vec<_> = types.iter().map(|found| (found.object_type.as_str(), found.label.as_str())).collect();
    assert_eq!(found_types, [("2-1", "2-1"), ("p1_boat", "Boats"), ("p1_car", "car")]);

    let properties = json!({ "results": [{ "label": "nameless" }, { "name": "a", "label": 7, "calculated": "no" }] });
    let server = Server::start(move |request, _| match request.parameter("dataSensitivity") {
        None => Reply::ok(properties.to_string()),
        Some(_) => Reply::ok(r#"{"results":[]}"#),
    })
    .await;
    let listed = Client::to(&server).crm.properties(&object("deals")).await.expect("properties").properties;
    assert_eq!((listed.len(), listed[0].label.as_str(), listed[0].calculated), (1, "a", false));
}

/// A6: a value with invalid Unicode counts once. A valid value that contains U+FFFD does not count.
#[tokio::test]
async fn mended_values_are_counted() {
    let page = r#"{"results":[
        {"id":"1","properties":{"a":"\ud83d \udc00","b":"\ud83d"}},
        {"id":"2","properties":{"a":"\ufffd \ud83d\ude00","b":null,"not asked for":"\ud83d"}}]}"#;
    let server = Server::script([Reply::ok(page)]).await;
    let page = Client::to(&server).page("deals", &["a", "b"], &Cursor::START).await.expect("a page");
    assert_eq!(page.records[0].1, ["\u{fffd} \u{fffd}", "\u{fffd}"]);
    assert_eq!(page.end.mended_values, 2);
}

/// B10: a page may have a byte-order mark and numeric ids. A record whose properties are null is not a record without
/// values.
#[tokio::test]
async fn pages_are_read_tolerantly() {
    let list = "\u{feff}{\"results\":[{\"id\":1,\"properties\":{\"a\":\"x\"}},{\"id\":2,\"properties\":null}]}";
    let batch = r#"{"status":"COMPLETE","results":[{"id":2,"properties":{"a":"y"}}]}"#;
    let server = Server::start(move |request, _| Reply::ok(if request.body.is_empty() { list } else { batch })).await;
    let page = Client::to(&server).page("deals", &["a"], &Cursor::START).await.expect("a page");
    assert_eq!(page.records, [(1, vec!["x".to_owned()]), (2, vec!["y".to_owned()])]);
    assert!(page.hidden.is_empty() && server.seen().len() == 2);
}
