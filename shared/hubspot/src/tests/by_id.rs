//! Batch reads whose answers contain only some of the records, or refuse all of them.

use std::collections::BTreeSet;

use domain::ids::RecordId;
use domain::ports::crm::{CrmError, CrmErrorKind, Cursor};
use domain::ports::crm_batch::BatchRead;
use domain::rows::RowBuffer;
use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};
use super::{Client, object};

fn ids_asked(request: &Seen) -> Vec<u64> {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let ids = body["inputs"].as_array().expect("inputs").iter().map(|input| input["id"].as_str().expect("a text"));
    ids.map(|id| id.parse().expect("an id")).collect()
}

fn record(id: u64) -> Value {
    json!({ "id": id.to_string(), "createdAt": "2026-01-01T00:00:00Z", "properties": { "name": format!("n{id}") } })
}

fn error(category: &str, ids: &[u64]) -> Value {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    json!({ "status": "error", "category": category, "message": "x", "context": { "ids": ids } })
}

fn answer(shown: impl IntoIterator<Item = u64>, errors: &[Value]) -> Reply {
    let results: Vec<Value> = shown.into_iter().map(record).collect();
    let status = if errors.is_empty() { 200 } else { 207 };
    let body = json!({ "status": "COMPLETE", "results": results, "numErrors": errors.len(), "errors": errors });
    Reply::status(status, body.to_string())
}

/// The sorted ids of the rows, and the sorted unreadable ids.
async fn read(client: &Client, ids: &[u64]) -> Result<(Vec<u64>, Vec<u64>), CrmError> {
    let ids: Vec<RecordId> = ids.iter().copied().map(RecordId).collect();
    let (deals, mut rows) = (object("deals"), RowBuffer::new(1));
    let request = BatchRead { object: &deals, properties: &["name"], ids: &ids };
    let unreadable = client.crm.read_batch(&request, &mut rows).await?;
    for (row, id) in rows.ids().iter().enumerate() {
        assert_eq!(rows.value(row, 0), format!("n{id}"));
    }
    let sorted = |ids: &[RecordId]| ids.iter().map(|id| id.0).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    assert_eq!(sorted(rows.ids()).len(), rows.len(), "each record once");
    Ok((sorted(rows.ids()), sorted(&unreadable)))
}

/// A1: only records with an error other than not-found are read again.
#[tokio::test]
async fn records_that_the_crm_failed_for_are_read_again() {
    for category in ["INTERNAL_ERROR", "RATE_LIMIT", "ANYTHING"] {
        let server = Server::start(move |request, place| match place {
            0 => answer([1, 4], &[error(category, &[2]), error("OBJECT_NOT_FOUND", &[3])]),
            _ => answer(ids_asked(request), &[]),
        })
        .await;
        let client = Client::to(&server);
        assert_eq!(read(&client, &[1, 2, 3, 4]).await.expect("read"), (vec![1, 2, 4], vec![]));
        assert_eq!(server.seen().iter().map(ids_asked).collect::<Vec<_>>(), [vec![1, 2, 3, 4], vec![2]]);
        assert_eq!(client.gate().admitted.len(), 2, "the second call passes the gate too");
    }
}

/// A1: an answer to a batch can be unfinished in several ways.
#[tokio::test]
async fn an_unfinished_batch_is_read_again() {
    for status in ["PENDING", "PROCESSING", "CANCELED"] {
        let server = Server::start(move |request, place| match place {
            0 => Reply::ok(json!({ "status": status, "results": [record(1)] }).to_string()),
            _ => answer(ids_asked(request), &[]),
        })
        .await;
        assert_eq!(read(&Client::to(&server), &[1, 2]).await.expect("read"), (vec![1, 2], vec![]));
    }
}

/// A1: none of these records counts as deleted.
#[tokio::test]
async fn a_crm_that_keeps_failing_for_records_is_unavailable() {
    let server = Server::start(|request, _| {
        let (even, odd): (Vec<u64>, Vec<u64>) = ids_asked(request).into_iter().partition(|id| id % 2 == 0);
        answer(even, &[error("INTERNAL_ERROR", &odd)])
    })
    .await;
    let client = Client::to(&server);
    let all: Vec<u64> = (1..=100).collect();
    let failed = read(&client, &all).await.expect_err("half of the records are unknown");
    assert!(failed.kind.is_unavailable(), "{failed:?}");
    assert_eq!(server.seen().len(), 5);
    let ids: Vec<RecordId> = all.into_iter().map(RecordId).collect();
    let failed = client.crm.existing(&object("deals"), &ids).await.expect_err("half of the records are unknown");
    assert!(failed.kind.is_unavailable(), "{failed:?}");
}

/// A1, B5: such a record does not count as deleted.
#[tokio::test]
async fn one_record_that_the_crm_keeps_failing_for_is_unreadable() {
    let server = Server::start(|request, _| {
        let (bad, good): (Vec<u64>, Vec<u64>) = ids_asked(request).into_iter().partition(|id| *id == 7);
        if bad.is_empty() { answer(good, &[]) } else { answer(good, &[error("INTERNAL_ERROR", &bad)]) }
    })
    .await;
    let client = Client::to(&server);
    assert_eq!(read(&client, &[6, 7, 8]).await.expect("read"), (vec![6, 8], vec![7]));
    let existing = client.crm.existing(&object("deals"), &[6, 7].map(RecordId)).await;
    assert!(existing.expect_err("7 may exist").kind.is_unavailable());
}

/// A1: they are read together, and count as deleted if the second answer does not mention them either.
#[tokio::test]
async fn unmentioned_ids_are_read_once_more() {
    let server = Server::start(|request, place| match place {
        0 => answer([1], &[]),
        _ => answer(ids_asked(request).into_iter().filter(|id| *id != 3), &[]),
    })
    .await;
    assert_eq!(read(&Client::to(&server), &[1, 2, 3]).await.expect("read"), (vec![1, 2], vec![]));
    assert_eq!(server.seen().iter().map(ids_asked).collect::<Vec<_>>(), [vec![1, 2, 3], vec![2, 3]]);
}

/// A1: every answer shows a merged record under another id.
#[tokio::test]
async fn merged_records_do_not_lead_to_endless_calls() {
    let survivor = |request: &Seen, _: usize| {
        answer(ids_asked(request).into_iter().map(|id| if id < 10 { 77 } else { id }).collect::<BTreeSet<_>>(), &[])
    };
    let server = Server::start(survivor).await;
    assert_eq!(read(&Client::to(&server), &[1, 50]).await.expect("read"), (vec![50, 77], vec![]));
    assert_eq!(server.seen().len(), 1, "the survivor accounts for it");
    assert_eq!(read(&Client::to(&server), &[1, 2, 77]).await.expect("read"), (vec![77], vec![]));
    assert_eq!(server.seen().len(), 3, "two of them are read once more");
}

/// B1: a 404 for the whole call can be about some records. The document may name them or not.
#[tokio::test]
async fn after_a_404_about_records_the_others_are_read() {
    type Refuse = fn(&[u64]) -> Value;
    let named: Refuse = |gone| error("OBJECT_NOT_FOUND", gone);
    let in_message: Refuse = |gone| json!({ "category": "OBJECT_NOT_FOUND", "message": format!("gone: {gone:?}") });
    let nameless: Refuse = |_| json!({ "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects" });
    for (refuse, calls) in [(named, 3), (in_message, 3), (nameless, 14)] {
        let server = Server::start(move |request, _| {
            let (gone, there): (Vec<u64>, Vec<u64>) = ids_asked(request).into_iter().partition(|id| id % 4 == 0);
            if gone.is_empty() { answer(there, &[]) } else { Reply::status(404, refuse(&gone).to_string()) }
        })
        .await;
        let client = Client::to(&server);
        assert_eq!(read(&client, &[1, 2, 3, 4, 5, 6, 7, 8]).await.expect("read"), (vec![1, 2, 3, 5, 6, 7], vec![]));
        assert!(server.seen().len() <= calls, "{}", server.seen().len());
        let ids = [3, 4, 8].map(RecordId);
        let existing = client.crm.existing(&object("deals"), &ids).await.expect("an answer");
        assert_eq!(existing.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(read(&client, &[4, 8]).await.expect("all are gone"), (vec![], vec![]));
    }
}

/// B1: a 404 is about the object type if the document says so or is empty.
#[tokio::test]
async fn a_404_about_the_object_type_is_an_error() {
    let infer = r#"{"category":"OBJECT_NOT_FOUND","message":"Unable to infer object type from: deals"}"#;
    for body in ["", infer] {
        let server = Server::script([Reply::status(404, body)]).await;
        let failed = read(&Client::to(&server), &[1]).await.expect_err("no such object type");
        assert_eq!(failed.kind, CrmErrorKind::NotFound);
        assert!(failed.sentence.contains("deals"), "{failed}");
    }
}

/// A1: a list can also fail for some of its records.
#[tokio::test]
async fn a_list_with_errors_is_read_again() {
    let list = |errors: Value| json!({ "results": [record(1)], "errors": errors }).to_string();
    let server = Server::script([
        Reply::ok(list(json!([error("INTERNAL_ERROR", &[2])]))),
        Reply::ok("<html>maintenance</html>"),
        Reply::ok(list(json!([]))),
    ])
    .await;
    let page = Client::to(&server).page("deals", &["name"], &Cursor::START).await.expect("the third is whole");
    assert_eq!(page.records.len(), 1);
    assert_eq!(server.seen().len(), 3);
}
