use std::time::{Duration, Instant};

use reqwest::Method;
use sandbox_crm::{Endpoint, Fault, Faults, PortalConfig, ScriptedFault};

use crate::client::{Answer, Fixture};

const CONTACTS: &str = "/crm/objects/2026-09/contacts?limit=50";

async fn first_call_with(fault: Fault) -> (Fixture, reqwest::Result<Answer>) {
    let script = vec![ScriptedFault::once(fault)];
    let faults = Faults { script, hang_ms: Some(50), ..Faults::default() };
    let fixture = Fixture::with(PortalConfig { faults, ..PortalConfig::empty() }.with_records("contacts", 50)).await;
    let answer = fixture.try_call(Method::GET, CONTACTS, None).await;
    (fixture, answer)
}

#[tokio::test]
async fn faults_answer_with_their_status_and_the_next_call_succeeds() {
    for (fault, status, retry_after, is_json) in [
        (Fault::TooManyRequests, 429, None, true),
        (Fault::InternalError, 500, None, true),
        (Fault::BadGateway, 502, None, false),
        (Fault::ServiceUnavailable, 503, None, false),
        (Fault::Locked, 423, None, true),
        (Fault::Migrating, 477, Some("2"), true),
        (Fault::TokenExpired, 401, None, true),
        (Fault::GatewayTimeout, 504, None, false),
        (Fault::NotFoundPage, 404, None, false),
        (Fault::ObjectNotFound, 404, None, true),
        (Fault::HtmlPage, 200, None, false),
        (Fault::ErrorDocument, 200, None, true),
        (Fault::MissingScopes, 403, None, true),
        (Fault::UnnamedScopes, 403, None, true),
        (Fault::Uncategorised, 403, None, true),
        (Fault::Forbidden, 403, None, true),
        (Fault::MissingPermission, 403, None, true),
        (Fault::BlockPage, 403, None, false),
    ] {
        let (fixture, answer) = first_call_with(fault).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, status, "{fault:?}");
        assert_eq!(answer.header("retry-after"), retry_after);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&answer.text).is_ok(), is_json);
        assert!(!is_json || answer.json().get("results").is_none(), "{fault:?}");
        assert_eq!(fixture.get(CONTACTS).await.status, 200);
        assert_eq!(fixture.portal.calls().recent[0].fault, Some(fault));
    }
}

#[tokio::test]
async fn a_reset_comes_in_the_middle_of_the_body() {
    let (fixture, answer) = first_call_with(Fault::Reset).await;
    let error = answer.err().expect("no complete answer");
    assert!(error.is_body() || error.is_decode() || error.is_request(), "{error:?}");
    assert_eq!(fixture.get(CONTACTS).await.status, 200);
}

#[tokio::test]
async fn truncated_json_comes_with_a_matching_length() {
    let (_fixture, answer) = first_call_with(Fault::TruncatedJson).await;
    let answer = answer.expect("a complete answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some(answer.text.len().to_string().as_str()));
    assert!(serde_json::from_str::<serde_json::Value>(&answer.text).is_err());
}

#[tokio::test]
async fn a_hang_ends_without_an_answer() {
    let started = Instant::now();
    let (fixture, answer) = first_call_with(Fault::Hang).await;
    assert!(answer.is_err());
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(fixture.portal.calls().recent[0].status, 0);
}

#[tokio::test]
async fn a_script_hits_the_third_list_call_of_contacts_only() {
    let script = ScriptedFault {
        endpoint: Some(Endpoint::List),
        object: Some("contacts".to_owned()),
        skip: 2,
        ..ScriptedFault::once(Fault::BadGateway)
    };
    let fixture = Fixture::contacts(10).await;
    fixture.portal.set_faults(Faults { script: vec![script], ..Faults::default() });

    let mut statuses = Vec::new();
    for path in ["contacts", "deals", "contacts", "contacts", "0-1"] {
        statuses.push(fixture.get(&format!("/crm/objects/2026-09/{path}")).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 502, 200]);
}

#[tokio::test]
async fn faults_come_at_the_rate_that_is_asked_for() {
    let rates = [(Fault::InternalError, 0.2), (Fault::Locked, 0.2)].into();
    let config = PortalConfig {
        faults: Faults { rates, ..Faults::default() },
        plan: sandbox_crm::Plan::Unlimited,
        ..PortalConfig::empty()
    };
    let fixture = Fixture::with(config).await;
    for _ in 0..300 {
        fixture.get("/account-info/v3/details").await;
    }
    let calls = fixture.portal.calls().of(Endpoint::AccountDetails, None);
    for status in [500, 423] {
        let hits = calls.statuses.get(&status).copied().unwrap_or(0);
        assert!((35..=90).contains(&hits), "{hits} of 300 were {status}");
    }
}

#[tokio::test]
async fn latency_is_the_least_that_a_call_takes() {
    let fixture = Fixture::contacts(1).await;
    fixture.portal.set_latency_ms(120);
    let started = Instant::now();
    fixture.get(CONTACTS).await;
    assert!(started.elapsed() >= Duration::from_millis(120));
}
