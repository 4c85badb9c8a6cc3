//! A CRM that fails, refuses calls or hangs.

use domain::account::ApiVersion;
use domain::budget::CallKind;
use domain::ids::RecordId;
use domain::lease::WaitReason;
use domain::ports::call_gate::RefusedPolicy;
use domain::ports::crm::{CrmErrorKind, PageEnd};
use jiff::{SignedDuration, Timestamp};

use super::server::{Reply, Server};
use super::{Client, Gate, ONE_CONTACT, TOKEN, connector};

fn limited(policy: &str) -> Reply {
    let body = format!(r#"{{"status":"error","message":"too many","errorType":"RATE_LIMIT","policyName":"{policy}"}}"#);
    Reply::status(429, body)
}

async fn kind_after(replies: impl Into<Vec<Reply>>) -> (CrmErrorKind, usize) {
    let server = Server::script(replies).await;
    let error = Client::to(&server).contacts().await.expect_err("the call fails");
    assert!(!error.sentence.contains(TOKEN), "{error}");
    (error.kind, server.seen().len())
}

#[tokio::test]
async fn temporary_failures_are_retried_until_the_answer_is_whole() {
    for failure in [
        Reply::status(500, ""),
        Reply::status(502, "<html>bad gateway</html>"),
        Reply::status(503, "").header("retry-after", 0),
        Reply::ok(ONE_CONTACT).broken(),
        Reply::ok(&ONE_CONTACT[..ONE_CONTACT.len() - 9]),
        Reply::ok("<html>maintenance</html>"),
        Reply::silence(),
    ] {
        let server = Server::script([failure.clone(), failure, Reply::ok(ONE_CONTACT)]).await;
        let client = Client::to(&server);
        let page = client.contacts().await.expect("the third answer is whole");
        assert_eq!(page.records, [(7, vec!["Ä. \"Q\"".to_owned()])]);
        let end = PageEnd {
            next: Some("7".into()),
            last_listed: Some(RecordId(7)),
            response_bytes: ONE_CONTACT.len() as u64,
            ..PageEnd::default()
        };
        assert_eq!(page.end, end);
        assert_eq!(client.gate().admitted.len(), 3, "every request passes the gate");
        assert!(server.seen().iter().all(|request| request.authorization == format!("Bearer {TOKEN}")));
    }
}

#[tokio::test]
async fn a_crm_that_stays_down_is_unavailable_after_a_few_calls() {
    let (kind, calls) = kind_after([Reply::status(503, "")]).await;
    assert_eq!(kind, CrmErrorKind::Unavailable { retry_after: SignedDuration::ZERO });
    assert_eq!(calls, 7, "three lists, three of fewer ids, and a search");
    let (kind, calls) = kind_after([Reply::silence()]).await;
    assert!(matches!(kind, CrmErrorKind::Unavailable { .. }), "{kind:?}");
    assert_eq!(calls, 7);
}

#[tokio::test]
async fn answers_that_stay_cut_off_are_malformed() {
    let (kind, calls) = kind_after([Reply::ok(r#"{"results":["#)]).await;
    assert_eq!((kind, calls), (CrmErrorKind::Malformed, 7));
}

#[tokio::test]
async fn no_retry_waits_beyond_the_deadline() {
    // Each of these asks for a longer wait than the time that is left.
    for (reply, retry_after) in [
        (Reply::status(423, ""), 2),
        (Reply::status(477, "").header("retry-after", 100), 100),
        (Reply::status(477, ""), 10),
        (Reply::status(503, "").header("retry-after", 45), 45),
    ] {
        let server = Server::script([reply]).await;
        let time_left = SignedDuration::from_millis(1_900);
        let client = Client::with(&server, &connector(), ApiVersion::V3, Gate::default(), time_left);
        let error = client.contacts().await.expect_err("there is no time for a second call");
        assert_eq!(error.kind, CrmErrorKind::Unavailable { retry_after: SignedDuration::from_secs(retry_after) });
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_the_deadline() {
    let server = Server::script([Reply::silence()]).await;
    let patient = crate::Connector::new(std::sync::Arc::new(super::SystemClock)).expect("set up");
    let time_left = SignedDuration::from_millis(300);
    let client = Client::with(&server, &patient, ApiVersion::V3, Gate::default(), time_left);
    let error = client.contacts().await.expect_err("the server does not answer");
    assert!(matches!(error.kind, CrmErrorKind::Unavailable { .. }), "{error:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_unavailable() {
    let server = Server::script([Reply::ok("")]).await;
    let client = Client::to(&server);
    drop(server);
    let error = client.contacts().await.expect_err("the server does not listen");
    assert!(matches!(error.kind, CrmErrorKind::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn the_rate_limit_pauses_the_account_and_the_gate_admits_the_call_again() {
    let window = "x-hubspot-ratelimit-interval-milliseconds";
    let server = Server::script([
        limited("TEN_SECONDLY_ROLLING").header(window, 10_000),
        limited("TEN_SECONDLY_ROLLING").header("retry-after", 4),
        Reply::ok(ONE_CONTACT),
    ])
    .await;
    let client = Client::to(&server);
    client.contacts().await.expect("the third call is within the rate");
    let gate = client.gate();
    let pause = |seconds| (RefusedPolicy::Rate, SignedDuration::from_secs(seconds));
    assert_eq!(gate.refused, [pause(1), pause(4)]);
    assert_eq!(gate.admitted, [CallKind::Ordinary; 3]);
}

#[tokio::test]
async fn a_call_that_the_rate_limit_keeps_refusing_has_no_budget() {
    let server = Server::script([limited("SECONDLY")]).await;
    let client = Client::to(&server);
    let before = Timestamp::now();
    let error = client.crm.census(&super::object("deals")).await.expect_err("every call is refused");
    let CrmErrorKind::NoBudget { until, reason: WaitReason::RateLimit } = error.kind else { panic!("{error:?}") };
    assert!(until > before);
    let pause = (RefusedPolicy::Searches, SignedDuration::from_secs(1));
    assert_eq!(client.gate().refused, [pause; 10], "the window of that limit is a second");
    assert_eq!(server.seen().len(), 10);
}

#[tokio::test]
async fn the_daily_limit_is_reported_to_the_gate() {
    let server = Server::script([limited("DAILY")]).await;
    let gate = Gate { open_for: Some(1), ..Gate::default() };
    let client = Client::with(&server, &connector(), ApiVersion::V3, gate, SignedDuration::from_mins(1));
    let error = client.contacts().await.expect_err("the gate closes");
    assert!(matches!(error.kind, CrmErrorKind::NoBudget { reason: WaitReason::DailyLimit, .. }), "{error:?}");
    assert!(matches!(client.gate().refused[..], [(RefusedPolicy::Daily, _)]));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_closed_gate_sends_nothing() {
    let server = Server::script([Reply::ok(ONE_CONTACT)]).await;
    let gate = Gate { open_for: Some(0), ..Gate::default() };
    let client = Client::with(&server, &connector(), ApiVersion::V3, gate, SignedDuration::from_mins(1));
    let error = client.contacts().await.expect_err("the gate is closed");
    let kind = CrmErrorKind::NoBudget { until: Timestamp::UNIX_EPOCH, reason: WaitReason::DailyLimit };
    assert_eq!((error.kind, server.seen().len()), (kind, 0));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Server::script([Reply::ok(ONE_CONTACT)]).await;
    let (kind, calls) = kind_after([Reply::status(307, "").header("location", &other.url)]).await;
    assert_eq!((kind, calls), (CrmErrorKind::Refused, 1));
    assert!(other.seen().is_empty(), "the token stays with the account's server");
}

#[tokio::test]
async fn some_answers_report_to_the_gate_how_many_calls_are_left_today() {
    let remaining = "x-hubspot-ratelimit-daily-remaining";
    let server = Server::start(move |_, place| Reply::ok(ONE_CONTACT).header(remaining, 100_000 - place)).await;
    let client = Client::to(&server);
    for _ in 0..101 {
        client.contacts().await.expect("a page");
    }
    assert_eq!(client.gate().remaining, [100_000, 99_950, 99_900]);
}
