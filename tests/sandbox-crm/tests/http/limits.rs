use std::sync::Arc;

use sandbox_crm::{LimitOverrides, Plan, PortalConfig};
use serde_json::json;

use crate::client::Fixture;

const CONTACTS: &str = "/crm/objects/2026-09/contacts?limit=1";

async fn fixture(limits: LimitOverrides) -> Fixture {
    Fixture::with(PortalConfig { limits, ..PortalConfig::empty() }.with_records("contacts", 5)).await
}

#[tokio::test]
async fn every_answer_names_the_plans_limits_and_what_is_left() {
    let config = PortalConfig { plan: Plan::Enterprise, ..PortalConfig::empty() };
    let fixture = Fixture::with(config).await;
    let answers = [fixture.get(CONTACTS).await, fixture.get("/crm/objects/2026-09/nonsense").await];
    for (answer, used) in answers.iter().zip(1..) {
        assert_eq!(answer.header("x-hubspot-ratelimit-max"), Some("190"));
        assert_eq!(answer.header("x-hubspot-ratelimit-remaining"), Some((190 - used).to_string().as_str()));
        assert_eq!(answer.header("x-hubspot-ratelimit-interval-milliseconds"), Some("10000"));
        assert_eq!(answer.header("x-hubspot-ratelimit-daily"), Some("1000000"));
        assert_eq!(answer.header("x-hubspot-ratelimit-daily-remaining"), Some((1_000_000 - used).to_string().as_str()));
    }
}

#[tokio::test]
async fn more_calls_than_the_limit_get_429_and_are_counted() {
    let fixture = Arc::new(fixture(LimitOverrides { per_ten_seconds: Some(20), ..LimitOverrides::default() }).await);
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move { fixture.get(CONTACTS).await })
        })
        .collect();
    let mut refused = Vec::new();
    for call in calls {
        let answer = call.await.expect("no panic");
        if answer.status == 429 {
            refused.push(answer);
        }
    }
    assert_eq!(refused.len(), 10);
    let answer = &refused[0];
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(answer.header("x-hubspot-ratelimit-remaining"), Some("0"));
    let error = answer.json();
    assert_eq!(error["status"], "error");
    assert_eq!(error["errorType"], "RATE_LIMIT");
    assert_eq!(error["policyName"], "TEN_SECONDLY_ROLLING");
    assert_eq!(error["message"], "You have reached your ten_secondly_rolling limit.");
    assert!(error["correlationId"].is_string() && error["groupName"].is_string());

    let report = fixture.portal.calls();
    assert_eq!((report.total, report.refused), (30, 10));
    assert!((report.refused_share - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(report.seconds.iter().map(|second| second.admitted).sum::<u32>(), 20);
}

#[tokio::test]
async fn the_daily_limit_ends_everything_until_midnight() {
    let fixture = fixture(LimitOverrides { per_day: Some(100), used_today: Some(99), ..Default::default() }).await;
    assert_eq!(fixture.get(CONTACTS).await.status, 200);
    let refused = fixture.get(CONTACTS).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["policyName"], "DAILY");
    assert_eq!(refused.header("x-hubspot-ratelimit-daily-remaining"), Some("0"));

    fixture.portal.set_limits(LimitOverrides { used_today: Some(0), ..LimitOverrides::default() });
    assert_eq!(fixture.get(CONTACTS).await.status, 200);
}

#[tokio::test]
async fn searches_have_their_own_limit_and_no_limit_headers() {
    let fixture = fixture(LimitOverrides { searches_per_second: Some(1), ..LimitOverrides::default() }).await;
    let search = || fixture.post("/crm/objects/2026-09/contacts/search", json!({"limit": 1}));
    let first = search().await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-hubspot-ratelimit-max"), None);
    let mut refused = search().await;
    // Two searches may lie in different seconds, but not many.
    for _ in 0..50 {
        if refused.status == 429 {
            break;
        }
        refused = search().await;
    }
    assert_eq!(refused.json()["policyName"], "SECONDLY");
    assert_eq!(fixture.get(CONTACTS).await.header("x-hubspot-ratelimit-remaining"), Some("189"));
}

#[tokio::test]
async fn long_urls_get_414_from_the_edge() {
    let fixture = fixture(LimitOverrides::default()).await;
    let url = |length: usize| {
        let start = format!("{CONTACTS}&properties=");
        format!("{start}{}", "x".repeat(length - start.len()))
    };
    assert_eq!(fixture.get(&url(16_000)).await.status, 200);
    let refused = fixture.get(&url(16_001)).await;
    assert_eq!(refused.status, 414);
    assert_eq!(refused.header("x-hubspot-ratelimit-max"), None);

    fixture.portal.set_limits(LimitOverrides { url_characters: Some(8_000), ..LimitOverrides::default() });
    assert_eq!(fixture.get(&url(8_001)).await.status, 414);
}
