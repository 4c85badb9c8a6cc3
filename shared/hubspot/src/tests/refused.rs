//! Refusals, temporary and final.

use domain::ids::RecordId;
use domain::ports::crm::CrmErrorKind;
use domain::ports::crm_batch::{BatchUpdate, RecordUpdate};
use serde_json::json;

use super::server::{Reply, Server};
use super::{Client, ONE_CONTACT, TOKEN, object};

async fn kind_after(replies: impl Into<Vec<Reply>>) -> (CrmErrorKind, usize) {
    let server = Server::script(replies).await;
    let error = Client::to(&server).contacts().await.expect_err("the call fails");
    assert!(!error.sentence.contains(TOKEN) && !error.sentence.contains('{'), "{error}");
    (error.kind, server.seen().len())
}

/// B4: a refusal can be temporary. The third one is final.
#[tokio::test]
async fn refused_calls_are_sent_again_until_the_third_refusal() {
    let scopes = r#"{"category":"MISSING_SCOPES","errors":[{"context":{"requiredGranularScopes":["a.read"]}}]}"#;
    let permission = r#"{"message":"User 77 may not do that (requires one of [contacts-read])"}"#;
    for (status, body, kind) in [
        (401, r#"{"category":"INVALID_AUTHENTICATION"}"#, CrmErrorKind::TokenRefused),
        (403, scopes, CrmErrorKind::MissingScopes(vec!["a.read".into()])),
        (403, permission, CrmErrorKind::Forbidden),
        (404, "", CrmErrorKind::NotFound),
    ] {
        assert_eq!(kind_after([Reply::status(status, body)]).await, (kind, 3));
        let server = Server::script([Reply::status(status, body), Reply::ok(ONE_CONTACT)]).await;
        let client = Client::to(&server);
        client.contacts().await.expect("the refusal was temporary");
        assert_eq!(client.gate().admitted.len(), 2);
    }
    assert_eq!(
        kind_after([Reply::status(400, r#"{"category":"VALIDATION_ERROR"}"#)]).await,
        (CrmErrorKind::Refused, 1)
    );
}

/// B4: a block page comes from a proxy in front of HubSpot, and is temporary like an outage.
#[tokio::test]
async fn a_block_page_is_temporary() {
    let page = Reply::status(403, "\n<!DOCTYPE html><html>Attention Required!</html>");
    let server = Server::script([page.clone(), page.clone(), Reply::ok(ONE_CONTACT)]).await;
    Client::to(&server).contacts().await.expect("the refusal was temporary");
    let (kind, calls) = kind_after([page]).await;
    assert!(kind.is_unavailable() && calls <= 12, "{kind:?} after {calls}");
}

/// B10: users must see which object an error is about.
#[tokio::test]
async fn every_sentence_names_the_object() {
    for reply in [
        Reply::status(400, ""),
        Reply::status(403, r#"{"category":"FORBIDDEN"}"#),
        Reply::status(404, ""),
        Reply::status(500, ""),
        Reply::ok("{"),
    ] {
        let server = Server::script([reply]).await;
        let crm = Client::to(&server).crm;
        let boats = object("p1_boat");
        let ids = [RecordId(1)];
        for error in [
            crm.properties(&boats).await.expect_err("it fails"),
            crm.census(&boats).await.expect_err("it fails"),
            crm.existing(&boats, &ids).await.expect_err("it fails"),
            crm.definitions(&boats).await.expect_err("it fails"),
        ] {
            assert!(error.sentence.contains("p1_boat") && !error.sentence.contains('{'), "{error}");
        }
        let error = crm.custom_object_types().await.expect_err("it fails");
        assert!(error.sentence.contains("custom objects"), "{error}");
    }
}

/// B8: the names that were sent identify a refused property, whatever characters they have.
#[tokio::test]
async fn refused_properties_may_have_any_names() {
    let fault = json!([{ "isValid": false, "error": "INVALID_INTEGER", "name": "größe, in cm", "message": "no" }]);
    let document =
        json!({ "category": "VALIDATION_ERROR", "message": format!("Property values were not valid: {fault}") });
    let single = json!({ "results": [], "errors": [{ "category": "VALIDATION_ERROR", "message": "no",
        "context": { "ids": ["7"], "propertyName": ["größe, in cm", "not sent"] } }] });
    let update = RecordUpdate { id: RecordId(7), values: vec![("größe, in cm".to_owned(), "x".to_owned())] };
    let answer = async |reply: Reply| {
        let server = Server::script([reply]).await;
        Client::to(&server).crm.update_batch(&object("deals"), std::slice::from_ref(&update)).await.expect("an answer")
    };
    let BatchUpdate::Refused(refusal) = answer(Reply::status(400, document.to_string())).await else {
        panic!("refused")
    };
    assert_eq!(refusal.properties, ["größe, in cm"]);
    let written = answer(Reply::status(207, single.to_string())).await;
    let BatchUpdate::Written { refused, .. } = written else { panic!("{written:?}") };
    assert_eq!(refused[0].1.properties, ["größe, in cm"]);
}
