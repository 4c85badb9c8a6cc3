//! Whether a write that ended in an error may have landed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::account::ApiVersion;
use domain::ids::RecordId;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::{BatchUpdate, RecordUpdate};
use jiff::SignedDuration;

use super::server::{Reply, Server};
use super::{Client, Gate, SystemClock, connector, object};
use crate::connector::Connector;
use crate::retry::RetryPolicy;

const WRITTEN: &str = r#"{"status":"COMPLETE","results":[{"id":"7","properties":{"name":"x"}}]}"#;
const NO_SCOPES: &str = r#"{"category":"MISSING_SCOPES"}"#;

async fn write(client: &Client) -> Result<BatchUpdate, CrmError> {
    let update = RecordUpdate { id: RecordId(7), values: vec![("name".into(), "x".into())] };
    client.crm.update_batch(&object("contacts"), &[update]).await
}

/// The error of a write that may send `calls` requests and gets these answers.
async fn failed(replies: impl Into<Vec<Reply>>, calls: usize) -> CrmError {
    let server = Server::script(replies).await;
    let gate = Gate { open_for: Some(calls), ..Gate::default() };
    let client = Client::with(&server, &connector(), ApiVersion::V2026_09, gate, SignedDuration::from_mins(1));
    write(&client).await.expect_err("the write has no usable answer")
}

/// R4: a write without an answer, whose retry is refused for another reason, must not count as never made.
#[tokio::test]
async fn a_write_without_an_answer_may_have_landed_whatever_its_retry_returns() {
    let closed = |error: &CrmErrorKind| matches!(error, CrmErrorKind::NoBudget { .. });
    for first in [
        Reply::silence(),
        Reply::status(504, ""),
        Reply::status(500, ""),
        Reply::ok(WRITTEN).broken(),
        Reply::ok("{\"results\":[{]}"),
        Reply::status(207, r#"{"results":[],"errors":[{"category":"INTERNAL_ERROR","message":"x"}]}"#),
    ] {
        let error = failed([first.clone()], 1).await;
        assert!(closed(&error.kind) && error.may_have_landed, "{first:?}, then a closed gate: {error:?}");
        let error = failed([first.clone(), Reply::status(401, "")], 9).await;
        assert!(error.kind == CrmErrorKind::TokenRefused && error.may_have_landed, "{first:?}, then 401: {error:?}");
        let error = failed([first.clone(), Reply::status(403, NO_SCOPES)], 9).await;
        assert!(matches!(error.kind, CrmErrorKind::MissingScopes(_)) && error.may_have_landed, "{first:?}: {error:?}");
        let error = failed([first.clone(), Reply::status(418, "")], 9).await;
        assert!(error.kind == CrmErrorKind::Refused && error.may_have_landed, "{first:?}, then 418: {error:?}");
    }
    let error = failed([Reply::status(500, "")], 9).await;
    assert!(error.kind.is_unavailable() && error.may_have_landed);
    let error = failed([Reply::ok("{")], 9).await;
    assert!(error.kind == CrmErrorKind::Malformed && error.may_have_landed);
}

#[tokio::test]
async fn a_write_that_was_refused_or_never_sent_has_not_landed() {
    assert!(!failed([Reply::ok(WRITTEN)], 0).await.may_have_landed);
    for reply in [Reply::status(401, ""), Reply::status(403, NO_SCOPES), Reply::status(418, ""), Reply::status(429, "")]
    {
        assert!(!failed([reply.clone()], 2).await.may_have_landed, "{reply:?}");
    }
    // No server listens at this port.
    let mut server = Server::script([Reply::silence()]).await;
    server.url = "http://127.0.0.1:9".to_owned();
    let error = write(&Client::to(&server)).await.expect_err("no server listens there");
    assert!(error.kind.is_unavailable() && !error.may_have_landed, "{error:?}");
}

#[tokio::test]
async fn a_read_never_lands() {
    let server = Server::script([Reply::status(500, "")]).await;
    let error = Client::to(&server).contacts().await.expect_err("no answer");
    assert!(!error.may_have_landed);
}

/// A request without an answer could land after the next one, and overwrite newer values.
#[tokio::test]
async fn an_answer_is_returned_once_no_earlier_request_can_land() {
    let landing = Duration::from_millis(400);
    let wait = Duration::from_millis(1);
    let policy = RetryPolicy { answer_timeout: landing, first_backoff: wait, second_look: wait, landing };
    let connector = Connector::new(Arc::new(SystemClock)).expect("certificate authorities").with_retry_policy(policy);
    let timed = async |replies: &[Reply], time_left: i64| {
        let server = Server::script(replies).await;
        let time_left = SignedDuration::from_millis(time_left);
        let client = Client::with(&server, &connector, ApiVersion::V2026_09, Gate::default(), time_left);
        let began = Instant::now();
        (write(&client).await, began.elapsed())
    };
    let refused = Reply::status(400, r#"{"category":"VALIDATION_ERROR","message":"no"}"#);
    for second in [Reply::ok(WRITTEN), refused] {
        let (answer, took) = timed(&[Reply::status(504, ""), second.clone()], 60_000).await;
        assert!(answer.is_ok() && took >= landing, "{answer:?} after {took:?}");
        let (answer, _) = timed(&[Reply::status(504, ""), second], 300).await;
        let error = answer.expect_err("there is no time to wait");
        assert!(error.kind.is_unavailable() && error.may_have_landed, "{error:?}");
    }
    let (answer, took) = timed(&[Reply::ok(WRITTEN)], 60_000).await;
    assert!(answer.is_ok() && took < landing, "{took:?}");
}
