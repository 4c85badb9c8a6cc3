//! Reading and writing batches of records.

use domain::account::ApiVersion;
use domain::ids::RecordId;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, RecordUpdate, WriteRefusal};
use domain::rows::RowBuffer;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::server::{Reply, Server};
use super::{Client, Gate, connector, object};

/// Updates of two properties of each record.
fn updates(values: &[(u64, &str)]) -> Vec<RecordUpdate> {
    let update = |&(id, value): &(u64, &str)| {
        let values = vec![("name".to_owned(), value.to_owned()), ("city".to_owned(), String::new())];
        RecordUpdate { id: RecordId(id), values }
    };
    values.iter().map(update).collect()
}

async fn update(server: &Server) -> Result<BatchUpdate, CrmError> {
    Client::to(server).crm.update_batch(&object("deals"), &updates(&[(7, "a \"b\""), (9, "secret-value")])).await
}

async fn refused(reply: Reply) -> WriteRefusal {
    match update(&Server::script([reply]).await).await.expect("an answer") {
        BatchUpdate::Refused(refusal) => refusal,
        written @ BatchUpdate::Written { .. } => panic!("{written:?}"),
    }
}

async fn failed(reply: Reply) -> (CrmError, usize) {
    let server = Server::script([reply]).await;
    let error = update(&server).await.expect_err("an error");
    (error, server.seen().len())
}

#[tokio::test]
async fn one_call_reads_a_batch_with_only_the_requested_properties() {
    let record =
        |id: &str, name: Value| json!({ "id": id, "properties": { "city": null, "name": name, "hs_object_id": id } });
    let body = json!({
        "status": "COMPLETE", "results": [record("9", json!("Ä")), record("77", Value::Null)], "numErrors": 1,
        "errors": [{ "status": "error", "category": "OBJECT_NOT_FOUND", "context": { "ids": ["5"] } }],
    });
    for version in [ApiVersion::V2026_09, ApiVersion::V3] {
        let server = Server::script([Reply::status(503, ""), Reply::status(207, body.to_string())]).await;
        let client = Client::with(&server, &connector(), version, Gate::default(), SignedDuration::from_mins(1));
        let (deals, mut rows) = (object("deals"), RowBuffer::new(0));
        let ids = [5, 9, 70].map(RecordId);
        let request = BatchRead { object: &deals, properties: &["city", "name"], ids: &ids };
        let unreadable = client.crm.read_batch(&request, &mut rows).await.expect("the second answer is good");

        assert!(unreadable.is_empty());
        assert_eq!(rows.ids(), [9, 77].map(RecordId));
        assert_eq!(rows.values(0).collect::<Vec<_>>(), [&b""[..], "Ä".as_bytes()]);
        assert!(rows.is_complete() && rows.values(1).all(<[u8]>::is_empty));
        let seen = server.seen();
        assert_eq!((seen.len(), client.gate().admitted.len()), (2, 2));
        assert!(seen.iter().all(|request| request.path().ends_with("/deals/batch/read")));
        let sent: Value = serde_json::from_str(&seen[1].body).expect("JSON");
        assert_eq!(sent["inputs"], json!([{ "id": "5" }, { "id": "9" }, { "id": "70" }]));
        assert_eq!(sent["properties"], json!(["city", "name"]));

        let nothing = BatchRead { ids: &[], ..request };
        client.crm.read_batch(&nothing, &mut rows).await.expect("nothing to ask");
        assert!(rows.is_empty());
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn an_update_is_one_call_and_returns_the_new_values() {
    let body = json!({ "status": "COMPLETE", "results": [
        { "id": "7", "properties": { "city": null, "name": "a \"b\"" }, "updatedAt": "2026-11-20T09:30:00Z" },
        { "id": "90", "properties": { "name": 12, "vip": true } },
    ]});
    let server = Server::script([Reply::status(502, ""), Reply::ok(body.to_string())]).await;
    let answer = update(&server).await.expect("the second answer is good");

    let BatchUpdate::Written { records, refused } = answer else { panic!("{answer:?}") };
    assert!(refused.is_empty());
    let shown: Vec<(u64, Vec<(&str, &str)>)> = records
        .iter()
        .map(|one| (one.id.0, one.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()))
        .collect();
    assert_eq!(shown, [(7, vec![("city", ""), ("name", "a \"b\"")]), (90, vec![("name", "12"), ("vip", "true")])]);
    let seen = server.seen();
    assert!(seen.len() == 2 && seen[1].path().ends_with("/crm/objects/2026-09/deals/batch/update"));
    let sent: Value = serde_json::from_str(&seen[1].body).expect("JSON");
    let input = |id: &str, name: &str| json!({ "id": id, "properties": { "name": name, "city": "" } });
    assert_eq!(sent, json!({ "inputs": [input("7", "a \"b\""), input("9", "secret-value")] }));
}

#[tokio::test]
async fn refused_and_written_records_of_a_batch_are_separated() {
    let body = json!({
        "status": "COMPLETE", "results": [{ "id": "7", "properties": {} }], "numErrors": 2,
        "errors": [
            { "status": "error", "category": "OBJECT_NOT_FOUND", "message": "not there", "context": { "ids": ["9"] } },
            { "status": "error", "category": "VALIDATION_ERROR", "message": "no", "context": { "ids": ["12", 13, "x"] },
              "errors": [{ "code": "INVALID_OPTION", "message": "z is none", "context": { "propertyName": ["name", "z"] } }] },
        ],
    });
    let server = Server::script([Reply::status(207, body.to_string())]).await;
    let answer = update(&server).await.expect("an answer");
    let BatchUpdate::Written { records, refused } = answer else { panic!("{answer:?}") };
    assert_eq!(records.iter().map(|record| record.id.0).collect::<Vec<_>>(), [7]);
    let refused: Vec<_> = refused.into_iter().map(|(id, refusal)| (id.0, refusal)).collect();
    let invalid =
        WriteRefusal { code: "INVALID_OPTION".into(), properties: vec!["name".into()], message: "z is none".into() };
    let absent = WriteRefusal { code: "OBJECT_NOT_FOUND".into(), properties: vec![], message: "not there".into() };
    assert_eq!(refused, [(9, absent), (12, invalid.clone()), (13, invalid)]);

    let of_all = json!({ "results": [], "errors": [{ "category": "VALIDATION_ERROR", "message": "no" }] });
    assert_eq!(refused_code(Reply::status(207, of_all.to_string())).await, "VALIDATION_ERROR");

    // An error without a record is about the record that the answer does not mention.
    let of_one = json!({
        "results": [{ "id": "7", "properties": {} }], "errors": [{ "category": "VALIDATION_ERROR", "message": "no" }],
    });
    let answer = update(&Server::script([Reply::status(207, of_one.to_string())]).await).await.expect("an answer");
    let BatchUpdate::Written { refused, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(
        refused.iter().map(|(id, refusal)| (id.0, refusal.code.as_str())).collect::<Vec<_>>(),
        [(9, "VALIDATION_ERROR")]
    );
}

/// A1: an error inside the CRM says nothing about the values, so the batch is written again.
#[tokio::test]
async fn a_batch_is_written_again_if_the_crm_failed_for_some_records() {
    let failed = json!({
        "results": [{ "id": "7", "properties": {} }], "numErrors": 1,
        "errors": [{ "status": "error", "category": "INTERNAL_ERROR", "message": "x", "context": { "ids": ["9"] } }],
    });
    let written = json!({ "results": [{ "id": "7", "properties": {} }, { "id": "9", "properties": {} }] });
    let server = Server::script([Reply::status(207, failed.to_string()), Reply::ok(written.to_string())]).await;
    let BatchUpdate::Written { records, refused } = update(&server).await.expect("an answer") else {
        panic!("refused")
    };
    assert_eq!((records.len(), refused.len(), server.seen().len()), (2, 0, 2));

    let server = Server::script([Reply::status(207, failed.to_string())]).await;
    let BatchUpdate::Written { records, refused } = update(&server).await.expect("an answer") else {
        panic!("refused")
    };
    assert_eq!((records.len(), refused[0].1.code.as_str(), server.seen().len()), (1, "INTERNAL_ERROR", 3));
}

#[tokio::test]
async fn deleted_records_do_not_make_the_object_type_unknown() {
    let by_category = r#"{"status":"error","category":"OBJECT_NOT_FOUND","message":"Could not get some objects"}"#;
    let by_ids = r#"{"status":"error","errors":[{"message":"not there","context":{"ids":["9"]}}]}"#;
    for document in [by_category, by_ids] {
        refused(Reply::status(404, document)).await;
    }
    assert_eq!(failed(Reply::status(404, "")).await.0.kind, CrmErrorKind::NotFound);
}

async fn refused_code(reply: Reply) -> String {
    refused(reply).await.code
}

#[tokio::test]
async fn refused_values_are_an_answer_with_code_and_properties() {
    let fault = json!([{ "isValid": false, "error": "INVALID_OPTION", "name": "name", "message": "a is none" }]);
    let document = json!({
        "status": "error", "category": "VALIDATION_ERROR",
        "message": format!("Property values were not valid: {fault}"),
    });
    let refusal = refused(Reply::status(400, document.to_string())).await;
    assert_eq!((refusal.code.as_str(), refusal.properties), ("INVALID_OPTION", vec!["name".to_owned()]));
    assert_eq!(refusal.message, "a is none");

    let conflict = r#"{"category":"CONFLICT","message":"9 already has that value"}"#;
    assert_eq!(refused_code(Reply::status(409, conflict)).await, "CONFLICT");
    assert_eq!(refused_code(Reply::status(413, "<html>too long</html>")).await, "HTTP_413");
    assert_eq!(refused_code(Reply::status(400, "")).await, "HTTP_400");
}

#[tokio::test]
async fn a_refusal_that_quotes_every_value_is_read_to_its_end() {
    let errors = vec![json!({ "code": "INVALID_OPTION", "message": "x".repeat(50_000) }); 100];
    let document = json!({ "category": "VALIDATION_ERROR", "errors": errors });
    let refusal = refused(Reply::status(400, document.to_string())).await;
    assert_eq!((refusal.code.as_str(), refusal.message.len()), ("INVALID_OPTION", 300));
}

#[tokio::test]
async fn a_call_is_sent_again_if_its_refusal_is_cut_off() {
    let document = r#"{"category":"VALIDATION_ERROR","message":"no"}"#;
    let server = Server::script([Reply::status(400, document).broken(), Reply::status(400, document)]).await;
    let answer = update(&server).await.expect("an answer");
    assert!(matches!(&answer, BatchUpdate::Refused(refusal) if refusal.code == "VALIDATION_ERROR"), "{answer:?}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_of_another_kind_is_an_error_that_quotes_no_value() {
    let saying = |category: &str, message: &str| json!({ "category": category, "message": message }).to_string();
    let (error, calls) = failed(Reply::status(401, saying("EXPIRED", "secret-value"))).await;
    assert_eq!((error.kind, calls), (CrmErrorKind::TokenRefused, 3));
    let (error, _) = failed(Reply::status(403, saying("MISSING_SCOPES", "crm.secret-value.read"))).await;
    assert_eq!(error.kind, CrmErrorKind::MissingScopes(vec!["crm.objects.deals.write".into()]));
    let (error, _) =
        failed(Reply::status(400, saying("VALIDATION_ERROR", "Unable to infer object type from: x"))).await;
    assert_eq!(error.kind, CrmErrorKind::NotFound);
    for (status, kind, calls) in [(404, CrmErrorKind::NotFound, 3), (418, CrmErrorKind::Refused, 1)] {
        let (error, sent) = failed(Reply::status(status, saying("ANY", "secret-value"))).await;
        assert_eq!((&error.kind, sent), (&kind, calls));
        assert!(!error.sentence.contains("secret-value"), "{error}");
    }
    let (error, calls) = failed(Reply::status(500, saying("ANY", "secret-value"))).await;
    assert!(error.kind.is_unavailable() && calls == 5 && !error.sentence.contains("secret-value"), "{error}");
    let (error, calls) = failed(Reply::ok(r#"{"results":[{"id":"none","properties":{}}]}"#)).await;
    assert_eq!((error.kind, calls), (CrmErrorKind::Malformed, 5));
}

#[tokio::test]
async fn conversations_have_no_batches_and_an_empty_update_sends_nothing() {
    let server = Server::script([Reply::status(500, "")]).await;
    let (crm, threads) = (Client::to(&server).crm, object("conversations"));
    let request = BatchRead { object: &threads, properties: &["status"], ids: &[RecordId(7)] };
    let error = crm.read_batch(&request, &mut RowBuffer::new(1)).await.expect_err("no such endpoint");
    assert_eq!(error.kind, CrmErrorKind::Refused);
    let error = crm.update_batch(&threads, &updates(&[(7, "a")])).await.expect_err("no such endpoint");
    assert_eq!(error.kind, CrmErrorKind::Refused);
    let nothing = crm.update_batch(&object("deals"), &[]).await.expect("nothing to write");
    assert_eq!(nothing, BatchUpdate::Written { records: vec![], refused: vec![] });
    assert!(server.seen().is_empty());
}
