//! Requests about settings: from API Gateway's event to the answer, over ports in memory.

mod crms;
mod fuzzing;
mod inbox;
mod schedule;
mod settings;

use std::sync::Arc;

use domain::account::Account;
use domain::audit::{AuditEntry, AuditOutcome, SECRET_CHANGE_BEGUN};
use domain::ports::ledger::{self, Ledger};
use domain::ports::secrets::CrmTokens;
use http_api::audit::AuditLog;
use http_api::response::Response;
use http_api::testing::account::{ADMIN, OPERATOR, account_id, now, step_up};
use http_api::testing::{AUDIENCE, ApiCall, described, document, kind, problem};
use in_memory::faults::{Fault, Sweep};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue, MemoryTokens, MemoryWebhookSecrets, MemoryWebhooks};
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use workflows::change_account::ChangeAccount;

use self::crms::Crms;
use crate::handler::Handler;

const BASE_URL: &str = "https://api.hubapi.com";
const OTHER_URL: &str = "https://crm.example:8443";

struct World {
    ledger: Arc<MemoryLedger>,
    tokens: Arc<MemoryTokens>,
    crms: Arc<Crms>,
    clock: Arc<ManualClock>,
    webhooks: Arc<MemoryWebhooks>,
    handler: Handler,
}

impl World {
    fn new() -> Self {
        let (ledger, tokens, crms) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryTokens::new()), Arc::default());
        let clock = Arc::new(ManualClock::at(now()));
        let webhooks = Arc::new(MemoryWebhooks::new());
        let accounts = ChangeAccount {
            ledger: ledger.clone(),
            tokens: tokens.clone(),
            webhook_secrets: Arc::new(MemoryWebhookSecrets::new()),
            webhooks: webhooks.clone(),
            new_webhook_secret: || "whsec_made-for-a-test".into(),
            queue: Arc::new(MemoryQueue::new(clock.clone())),
            connector: Arc::<Crms>::clone(&crms),
            clock: clock.clone(),
            base_urls: vec![BASE_URL.to_owned(), OTHER_URL.to_owned()],
        };
        let (audience, step_up) = (AUDIENCE.to_owned(), step_up(ledger.clone(), clock.clone()));
        let handler = Handler { ledger: ledger.clone(), clock: clock.clone(), accounts, audience, step_up };
        Self { ledger, tokens, crms, clock, webhooks, handler }
    }

    /// With account 42, created by an operator.
    async fn with_account() -> Self {
        let world = Self::new();
        assert_eq!(world.put(OPERATOR, &json!({})).await.status(), 201);
        world
    }

    /// With account 42, connected to portal 7.
    async fn with_connection() -> Self {
        let world = Self::with_account().await;
        let body = json!({"crmConnection": {"baseUrl": BASE_URL, "token": "portal-7"}});
        assert_eq!(world.put(ADMIN, &body).await.status(), 200);
        world
    }

    async fn answer(&self, call: ApiCall) -> Response {
        call.answered_by(|request| self.handler.handle(request)).await
    }

    /// The answer to a request, checked against the description.
    async fn described(&self, method: &str, path: &str, groups: &[&str], body: &Value) -> Response {
        let call = ApiCall::new(method, path).by(groups).body(&body.to_string());
        let response = self.answer(call).await;
        described::check(method, path, &response);
        response
    }

    async fn put(&self, groups: &[&str], body: &Value) -> Response {
        self.described("PUT", "/accounts/42", groups, body).await
    }

    async fn account(&self) -> Option<Account> {
        let loaded = ledger::load::<Account>(&*self.ledger, &Account::key_of(&account_id())).await.expect("readable");
        loaded.map(|loaded| loaded.record)
    }

    /// The stored token for [`BASE_URL`].
    async fn token(&self) -> Option<String> {
        let stored = self.tokens.token(&account_id()).await.expect("readable");
        stored.as_ref()?.for_base_url(BASE_URL).map(|token| token.expose_secret().to_owned())
    }

    async fn is_told_that_the_token_changes(&self) -> bool {
        let log = ledger::list::<AuditEntry>(&*self.ledger, "AUDIT#42", "").await.expect("readable");
        let mut entries = log.iter().map(|entry| (entry.record.action.as_str(), entry.record.target.as_deref()));
        entries.any(|entry| entry == (SECRET_CHANGE_BEGUN, Some("crmToken")))
    }

    /// The status and document of a refused PUT; checks that it changed nothing.
    async fn refused(&self, groups: &[&str], body: &Value) -> (u16, Value) {
        let before = (self.account().await, self.token().await);
        let response = self.put(groups, body).await;
        assert_eq!((self.account().await, self.token().await), before, "{}", response.body());
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        (response.status().as_u16(), document(&response))
    }
}

fn fields(document: &Value) -> Vec<&str> {
    document["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
}

#[tokio::test]
async fn an_operator_creates_an_account_and_a_super_admin_connects_it() {
    let world = World::new();
    let created = world.put(OPERATOR, &json!({})).await;
    assert_eq!(created.status(), 201);
    assert_eq!(
        document(&created),
        json!({
            "accountId": "42",
            "createdAt": "2026-11-22T17:00:00Z",
            "crmConnection": null,
            "callShare": {"burstPercent": 100, "dailyPercent": 50},
            "plan": {"name": "starter", "backupIntervalHours": 168, "maySchedule": false},
            "freshSecondFactor": false,
            "notificationTargets": {"email": [], "webhook": null},
        })
    );

    let body = json!({
        "crmConnection": {"baseUrl": BASE_URL, "token": "portal-7"},
        "callShare": {"dailyPercent": 25},
    });
    let connected = world.put(ADMIN, &body).await;

    assert_eq!(connected.status(), 200);
    let expected = json!({
        "accountId": "42",
        "createdAt": "2026-11-22T17:00:00Z",
        "crmConnection": {
            "baseUrl": BASE_URL,
            "apiVersion": "2026-09",
            "portalId": 7,
            "timeZone": "Europe/Berlin",
            "callLimits": {"perTenSeconds": 190, "perDay": 625_000},
            "connectedAt": "2026-11-22T17:00:00Z",
        },
        "callShare": {"burstPercent": 100, "dailyPercent": 25},
        "plan": document(&created)["plan"],
        "freshSecondFactor": false,
            "notificationTargets": {"email": [], "webhook": null},
    });
    assert_eq!(document(&connected), expected);
    assert_eq!(world.token().await.as_deref(), Some("portal-7"));
    let read = world.answer(ApiCall::get("/accounts/42").by(ADMIN)).await;
    assert_eq!(document(&read), expected);
    let known = world.ledger.all().into_iter().map(|stored| stored.body.to_string());
    assert!(!known.collect::<String>().contains("portal-7"), "the token is only in the secret store");
}

#[tokio::test]
async fn absent_fields_stay_unchanged() {
    let world = World::with_connection().await;
    let version = json!({"crmConnection": {"apiVersion": "v3"}});
    assert_eq!(document(&world.put(ADMIN, &version).await)["crmConnection"]["apiVersion"], "v3");
    let share = json!({"callShare": {"burstPercent": 40}});
    let account = document(&world.put(ADMIN, &share).await);
    assert_eq!(account["crmConnection"]["apiVersion"], "v3");
    assert_eq!(account["callShare"], json!({"burstPercent": 40, "dailyPercent": 50}));
    let again = world.put(OPERATOR, &json!({})).await;
    assert_eq!((again.status().as_u16(), document(&again)), (200, account));
    // The stored token was used to check the other version.
    let asked = world.crms.asked.lock().expect("not poisoned");
    assert!(asked.len() == 2 && asked.iter().all(|(_, token)| token == "portal-7"));
}

#[tokio::test]
async fn only_an_operator_creates_accounts_and_others_learn_nothing_about_them() {
    let world = World::new();
    assert_eq!(world.refused(ADMIN, &json!({})).await.1["type"], kind("account-unknown"));
    let absent = world.refused(&["43:super-admin"], &json!({})).await;
    let world = World::with_account().await;
    let present = world.refused(&["43:super-admin"], &json!({})).await;
    assert_eq!(absent, present);
    assert_eq!((present.0, &present.1["type"]), (403, &kind("forbidden")));
    let read = world.answer(ApiCall::get("/accounts/42").by(&["x42:super-admin", "42:super-admins"])).await;
    assert_eq!(read.status(), 403);
}

#[tokio::test]
async fn an_operator_gets_a_400_for_an_invalid_account_id() {
    let world = World::new();
    let response = world.answer(ApiCall::new("PUT", "/accounts/acme").by(OPERATOR).body("{}")).await;
    assert_eq!((response.status().as_u16(), fields(&document(&response))), (400, vec!["accountId"]));
    assert!(world.ledger.all().is_empty());
}

#[tokio::test]
async fn a_base_url_that_is_not_allowed_is_never_called() {
    let world = World::with_account().await;
    for url in ["https://evil.example", "https://api.hubapi.com/", "http://api.hubapi.com", "https://API.hubapi.com"] {
        let body = json!({"crmConnection": {"baseUrl": url, "token": "portal-7"}});
        let (status, problem) = world.refused(ADMIN, &body).await;
        assert_eq!((status, &problem["type"]), (422, &kind("base-url-not-allowed")), "{url}");
        assert_eq!(fields(&problem), ["crmConnection.baseUrl"]);
        assert_eq!(problem["allowed"], json!([BASE_URL, OTHER_URL]));
    }
    assert!(world.crms.asked.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_connection_that_the_crm_rejects_is_not_stored() {
    let world = World::with_connection().await;
    for (token, status, word) in [
        ("revoked", 422, "crm-token-refused"),
        ("narrow", 422, "crm-scopes-missing"),
        ("garbled", 502, "crm-answer-unusable"),
        ("down", 503, "crm-unavailable"),
        ("portal-8", 409, "portal-differs"),
    ] {
        let (answered, problem) = world.refused(ADMIN, &json!({"crmConnection": {"token": token}})).await;
        assert_eq!((answered, &problem["type"]), (status, &kind(word)));
        assert!(!problem.to_string().contains(token), "{problem}");
    }
    let (_, problem) = world.refused(ADMIN, &json!({"crmConnection": {"token": "narrow"}})).await;
    assert_eq!(problem["scopes"], json!(["oauth"]));
    let down = world.put(ADMIN, &json!({"crmConnection": {"token": "down"}})).await;
    assert_eq!(down.headers()["retry-after"], "30");
}

/// D4: the problem names the limit, its end, and what to do.
#[tokio::test]
async fn a_used_up_limit_is_answered_with_its_end_and_retry_after() {
    let world = World::with_connection().await;
    for (token, limit, until, seconds) in
        [("spent", "day", "2026-11-22T23:00:00Z", 6 * 3_600 + 1), ("hasty", "ten-seconds", "2026-11-22T17:00:07Z", 8)]
    {
        let body = json!({"crmConnection": {"token": token}});
        let (status, problem) = world.refused(ADMIN, &body).await;
        assert_eq!((status, &problem["type"]), (503, &kind("crm-limit-used-up")));
        assert_eq!((&problem["limit"], &problem["until"]), (&json!(limit), &json!(until)));
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(&format!("Send the same request again after {until}")), "{detail}");
        assert_eq!(world.put(ADMIN, &body).await.headers()["retry-after"], seconds.to_string().as_str());
    }
}

/// D7: 64 kB of unknown fields result in a short sentence, a short list, and a small audit entry.
#[tokio::test]
async fn a_body_full_of_unknown_fields_makes_a_small_answer_and_a_small_entry() {
    let world = World::with_connection().await;
    let fields: serde_json::Map<_, _> = (0..4_000).map(|nth| (format!("field-{nth:04}"), json!(0))).collect();
    let body = Value::Object(fields).to_string();
    assert!((60_000..65_536).contains(&body.len()), "{}", body.len());
    let ledger: Arc<dyn Ledger> = world.ledger.clone();
    let audit = AuditLog { ledger, kept_for: SignedDuration::from_hours(1), audience: AUDIENCE.to_owned() };
    let call = ApiCall::new("PUT", "/accounts/42").by(ADMIN).body(&body);

    let response = call.answered_with(&audit, |request| world.handler.handle(request)).await;

    described::check("PUT", "/accounts/42", &response);
    let problem = document(&response);
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.ends_with("field-0009 and 3990 more.")),
        "{problem}"
    );
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(100));
    let entries = ledger::list::<AuditEntry>(&*world.ledger, "AUDIT#42", "").await.expect("readable");
    let refused: Vec<_> = entries.iter().filter(|entry| entry.record.outcome == AuditOutcome::Refused).collect();
    assert_eq!(refused.len(), 1);
    assert!(serde_json::to_vec(&refused[0].record).expect("JSON").len() < 1_000, "{refused:?}");
}

/// D8: creating an account needs a body.
#[tokio::test]
async fn an_empty_body_creates_and_changes_nothing() {
    let world = World::new();
    let response = world.answer(ApiCall::new("PUT", "/accounts/42").by(OPERATOR)).await;
    described::check("PUT", "/accounts/42", &response);
    assert_eq!(problem(&response), (400, kind("json-malformed")));
    assert!(world.account().await.is_none());
}

#[tokio::test]
async fn a_first_connection_needs_a_base_url_and_a_token_and_a_new_base_url_needs_a_token() {
    let world = World::with_account().await;
    let (status, problem) = world.refused(ADMIN, &json!({"crmConnection": {"token": "portal-7"}})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["crmConnection.baseUrl"]));
    let (status, problem) = world.refused(ADMIN, &json!({"crmConnection": {"baseUrl": BASE_URL}})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["crmConnection.token"]));
    let world = World::with_connection().await;
    let (status, problem) = world.refused(ADMIN, &json!({"crmConnection": {"baseUrl": OTHER_URL}})).await;
    assert_eq!((status, fields(&problem)), (422, vec!["crmConnection.token"]));
    let asked = world.crms.asked.lock().expect("not poisoned");
    assert!(asked.iter().all(|(target, _)| target.base_url == BASE_URL), "the stored token was sent elsewhere");
}

#[tokio::test]
async fn a_problem_names_every_invalid_field_and_repeats_no_value() {
    let world = World::with_account().await;
    let body = json!({
        "crmConnection": {"baseUrl": 7, "token": "has a blank", "apiVersion": "v4", "portalId": 8},
        "callShare": {"burstPercent": 0, "dailyPercent": 100.5},
        "plan": "platinum",
        "notificationTargets": {"email": ["ada@example.com", "ada", "a@b.c, d@e.f"], "webhook": {"newSecret": 1}},
        "owner": "ada",
    });
    let (status, problem) = world.refused(ADMIN, &body).await;
    let expected = [
        "crmConnection.baseUrl",
        "crmConnection.apiVersion",
        "crmConnection.token",
        "crmConnection.portalId",
        "callShare.burstPercent",
        "callShare.dailyPercent",
        "plan",
        "notificationTargets.email[1]",
        "notificationTargets.email[2]",
        "notificationTargets.webhook.url",
        "notificationTargets.webhook.newSecret",
        "owner",
    ];
    assert_eq!((status, fields(&problem)), (422, expected.to_vec()));
    assert!(!problem.to_string().contains("has a blank"));
}

#[tokio::test]
async fn a_body_that_is_malformed_or_too_large_changes_nothing() {
    let world = World::with_account().await;
    let put = |body: &str| ApiCall::new("PUT", "/accounts/42").by(ADMIN).body(body);
    for (body, status, word) in [
        ("{\"crmConnection\":", 400, "json-malformed"),
        ("[]", 400, "json-malformed"),
        (&"x".repeat(300_000), 413, "body-too-large"),
    ] {
        let response = world.answer(put(body)).await;
        assert_eq!(problem(&response), (status, kind(word)));
    }
    assert_eq!(world.account().await.expect("present").crm_connection, None);
}

#[tokio::test]
async fn an_access_token_gets_401() {
    let world = World::with_account().await;
    let claims = json!({"sub": "user-1", "client_id": AUDIENCE, "token_use": "access", "cognito:groups": ADMIN});
    let response = world.answer(ApiCall::get("/accounts/42").with_claims(&claims)).await;
    assert_eq!(problem(&response), (401, kind("token-unsuitable")));
    assert_eq!(response.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    assert_eq!(world.answer(ApiCall::get("/accounts/42")).await.status(), 401);
}

/// M-1: the token changes only after the audit log has an entry about that.
#[tokio::test]
async fn after_any_failure_repeating_the_request_connects() {
    let body = json!({"crmConnection": {"baseUrl": BASE_URL, "token": "portal-7"}}).to_string();
    let put = || ApiCall::new("PUT", "/accounts/42").by(ADMIN).body(&body);
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(5);
        sweep
            .of(fault, async |faults| {
                let world = World::with_account().await;
                let worker = faults.worker();
                let ledger: Arc<dyn Ledger> = worker.wrap(world.ledger.clone());
                let accounts = ChangeAccount {
                    ledger: ledger.clone(),
                    tokens: worker.wrap(world.tokens.clone()),
                    ..world.handler.accounts.clone()
                };
                let (clock, audience) = (world.clock.clone(), AUDIENCE.to_owned());
                let step_up = step_up(ledger.clone(), clock.clone());
                let handler = Handler { ledger, clock, accounts, audience, step_up };

                let request = Box::pin(put().answered_by(|request| handler.handle(request)));
                let first = worker.run(request).await;

                let struck = format!("{fault:?} at {:?}", faults.struck());
                let expected = if faults.struck().is_empty() { 200 } else { 503 };
                assert_eq!(first.map_or(503, |first| first.status().as_u16()), expected, "{struck}");
                assert!(world.token().await.is_none() || world.is_told_that_the_token_changes().await, "{struck}");
                assert_eq!(world.answer(put()).await.status(), 200, "{struck}");
                assert_eq!(world.token().await.as_deref(), Some("portal-7"), "{struck}");
            })
            .await;
    }
}
