//! Plans and notification targets.

use domain::audit::AuditEntry;
use domain::ports::ledger;
use domain::ports::webhook::WebhookRefused;
use http_api::testing::account::{ADMIN, OPERATOR, account_id, now};
use http_api::testing::{ApiCall, document, kind};
use serde_json::{Value, json};

use super::World;

const URL: &str = "https://hooks.example.com/crm-backup";

#[tokio::test]
async fn only_an_operator_sets_the_plan() {
    let world = World::with_account().await;
    for plan in ["professional", "enterprise", "unlimited", "starter"] {
        let (status, problem) = world.refused(ADMIN, &json!({ "plan": plan })).await;
        assert_eq!((status, &problem["type"]), (403, &kind("forbidden")), "{plan}");
        let set = document(&world.put(OPERATOR, &json!({ "plan": plan })).await);
        assert_eq!(set["plan"]["name"], plan);
    }
}

#[tokio::test]
async fn a_webhooks_secret_is_shown_once_and_is_new_for_another_url() {
    let world = World::with_account().await;
    let hook = |url: &str| json!({ "notificationTargets": { "webhook": { "url": url } } });
    let set = document(&world.put(ADMIN, &hook(URL)).await);
    assert_eq!(set["notificationTargets"]["webhook"]["url"], URL);
    let secret = set["notificationTargets"]["webhook"]["secret"].clone();
    assert!(secret.as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{secret}");
    let shown = document(&world.described("GET", "/accounts/42", ADMIN, &json!({})).await);
    assert_eq!(shown["notificationTargets"]["webhook"], json!({ "url": URL }));
    let again = document(&world.put(ADMIN, &hook(URL)).await);
    assert_eq!(again["notificationTargets"]["webhook"], json!({ "url": URL }), "the secret is shown once");
    let moved = document(&world.put(ADMIN, &hook("https://other.example.com")).await);
    assert!(moved["notificationTargets"]["webhook"]["secret"].is_string());
    let wish = json!({ "notificationTargets": { "webhook": { "url": URL, "newSecret": true } } });
    assert!(document(&world.put(ADMIN, &wish).await)["notificationTargets"]["webhook"]["secret"].is_string());
    let none = document(&world.put(ADMIN, &json!({ "notificationTargets": { "webhook": null } })).await);
    assert_eq!(none["notificationTargets"]["webhook"], json!(null));
}

#[tokio::test]
async fn a_refused_webhook_is_not_stored() {
    let world = World::with_account().await;
    for refused in [WebhookRefused::Private, WebhookRefused::Malformed, WebhookRefused::Unresolved] {
        world.webhooks.refuse(URL, refused);
        let (status, problem) =
            world.refused(ADMIN, &json!({ "notificationTargets": { "webhook": { "url": URL } } })).await;
        assert_eq!((status, &problem["type"]), (422, &kind("webhook-not-allowed")));
        assert!(!problem.to_string().contains("hooks.example.com"), "{problem}");
    }
    let secrets = &world.handler.accounts.webhook_secrets;
    assert!(secrets.webhook_secret(&account_id()).await.expect("answered").is_none());
}

#[tokio::test]
async fn a_list_of_addresses_replaces_all_and_may_be_empty() {
    let world = World::with_account().await;
    let email = |addresses: &[&str]| json!({ "notificationTargets": { "email": addresses } });
    let two = document(&world.put(ADMIN, &email(&["ada@example.com", "ops@example.org"])).await);
    assert_eq!(two["notificationTargets"]["email"], json!(["ada@example.com", "ops@example.org"]));
    let none = document(&world.put(ADMIN, &email(&[])).await);
    assert_eq!(none["notificationTargets"]["email"], json!([]));
    let many: Vec<_> = (0..11).map(|n| format!("a{n}@example.com")).collect();
    let (status, _) = world.refused(ADMIN, &json!({ "notificationTargets": { "email": many } })).await;
    assert_eq!(status, 422);
}

/// Account 42 asks for a fresh second factor before a change of where notifications go, and of the setting itself.
#[tokio::test]
async fn a_careful_account_changes_its_targets_only_after_a_fresh_sign_in() {
    let world = World::with_account().await;
    let put = |body: &Value| ApiCall::new("PUT", "/accounts/42").body(&body.to_string());
    let set = document(&world.put(ADMIN, &json!({ "freshSecondFactor": true })).await);
    assert_eq!(set["freshSecondFactor"], true);
    let careful = [
        json!({ "notificationTargets": { "email": ["eve@example.com"] } }),
        json!({ "notificationTargets": { "webhook": null } }),
        json!({ "freshSecondFactor": false }),
        json!({ "freshSecondFactor": true, "callShare": { "dailyPercent": 40 } }),
    ];
    for body in &careful {
        let (status, problem) = world.refused(ADMIN, body).await;
        assert_eq!((status, &problem["type"]), (401, &kind("step-up")), "{body}");
    }
    assert_eq!(world.put(ADMIN, &json!({ "callShare": { "dailyPercent": 30 } })).await.status(), 200);
    for body in &careful {
        let answer = world.answer(put(body).by_signed_in(ADMIN, now())).await;
        assert_eq!(answer.status(), 200, "{body}: {}", answer.body());
    }
    let shown = document(&world.described("GET", "/accounts/42", ADMIN, &json!({})).await);
    assert_eq!(shown["freshSecondFactor"], true);
    let log = ledger::list::<AuditEntry>(&*world.ledger, "AUDIT#42", "").await.expect("readable");
    assert!(log.iter().any(|entry| entry.record.target.as_deref() == Some("freshSecondFactor false")), "{log:?}");
}
