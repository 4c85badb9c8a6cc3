//! Confirming plans: rights, sign-in, acknowledgements and time.

use domain::restore::lock::RestoreLock;
use domain::restore::{Restore, RestoreState};
use domain::work::Work;
use http_api::testing::account::{ADMIN, account, account_id, careful_account, now};
use http_api::testing::{AUDIENCE, ApiCall, document};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::samples::{applying, ended, nothing_planned, planned, planning, queued};
use super::{World, is, path};

fn confirm(restore: &Restore) -> String {
    format!("{}/confirm", path(restore))
}

fn acknowledged() -> Value {
    json!({"acknowledgements": {"dataChanges": true, "cannotBeUndoneInCrm": true}})
}

fn claims(age: SignedDuration) -> Value {
    json!({
        "sub": "user-1", "aud": AUDIENCE, "token_use": "id", "email": "ada@example.com",
            "email_verified": true, "cognito:groups": ADMIN,
        "auth_time": (now() - age).as_second(),
    })
}

/// Sent by a super admin who signed in a minute ago.
fn fresh(body: &Value) -> impl FnOnce(ApiCall) -> ApiCall {
    let body = body.to_string();
    move |call| call.with_claims(&claims(SignedDuration::from_mins(1))).body(&body)
}

async fn with(restore: &Restore) -> World {
    let world = World::connected().await;
    world.put(restore).await;
    world
}

#[tokio::test]
async fn a_plan_is_confirmed_with_a_fresh_second_factor_and_both_acknowledgements() {
    let plan = planned(1);
    let world = with(&plan).await;

    let response = world.answer("POST", &confirm(&plan), fresh(&acknowledged())).await;

    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["location"], path(&plan).as_str());
    let shown = document(&response);
    assert_eq!((&shown["state"], &shown["confirmedAt"]), (&json!("applying"), &json!("2026-11-22T17:00:00Z")));
    assert_eq!(shown["confirmedBy"], json!({"subject": "user-1", "email": "ada@example.com"}));
    assert_eq!((shown.get("planExpiresAt"), world.stored(&plan).await.state), (None, RestoreState::Applying));
    assert_eq!(world.queue.receive(), Some(Work::Restore { restore: plan.reference() }));
}

#[tokio::test]
async fn an_old_sign_in_or_one_of_unknown_age_is_challenged_first() {
    let plan = planned(1);
    let world = with(&plan).await;
    let old = claims(SignedDuration::from_secs(301));
    let mut ageless = claims(SignedDuration::ZERO);
    ageless.as_object_mut().expect("claims").remove("auth_time");
    for (path, claims) in [(confirm(&plan), &old), (confirm(&plan), &ageless), (confirm(&queued(9)), &old)] {
        for body in [acknowledged().to_string(), "{}".to_owned(), "{".to_owned()] {
            let response = world.answer("POST", &path, |call| call.with_claims(claims).body(&body)).await;
            is(&super::problem(&response), 401, "step-up");
            let challenge = response.headers()["www-authenticate"].to_str().expect("ASCII");
            assert!(challenge.starts_with(r#"Bearer error="insufficient_user_authentication""#), "{challenge}");
            assert!(challenge.ends_with(r#"max_age="300""#), "{challenge}");
        }
    }
    assert_eq!(world.stored(&plan).await, plan);
    assert_eq!(world.queue.queued(), []);
}

#[tokio::test]
async fn a_caller_without_the_right_is_not_asked_for_a_second_factor() {
    let plan = planned(1);
    let mut claims = claims(SignedDuration::from_hours(1));
    claims["cognito:groups"] = json!(["43:super-admin"]);
    is(&with(&plan).await.refusal(&confirm(&plan), |call| call.with_claims(&claims)).await, 403, "forbidden");
}

#[tokio::test]
async fn each_missing_acknowledgement_is_named_with_its_meaning() {
    const BOTH: [&str; 2] = ["acknowledgements.dataChanges", "acknowledgements.cannotBeUndoneInCrm"];
    let plan = planned(1);
    let world = with(&plan).await;
    for (body, expected) in [
        (json!({}), &BOTH[..]),
        (json!({"acknowledgements": {}}), &BOTH),
        (json!({"acknowledgements": {"dataChanges": "true", "cannotBeUndoneInCrm": 1}}), &BOTH),
        (json!({"acknowledgements": {"dataChanges": true, "cannotBeUndoneInCrm": false}}), &BOTH[1..]),
        (json!({"acknowledgements": {"cannotBeUndoneInCrm": true}}), &BOTH[..1]),
        (json!({"acknowledgements": true}), &["acknowledgements", BOTH[0], BOTH[1]]),
        (
            json!({"acknowledgements": {"dataChanges": true, "cannotBeUndoneInCrm": true, "all": true}, "force": true}),
            &["acknowledgements.all", "force"],
        ),
    ] {
        let problem = world.refusal(&confirm(&plan), fresh(&body)).await;
        is(&problem, 422, "input-invalid");
        let fields: Vec<_> =
            problem["errors"].as_array().expect("faults").iter().map(|fault| &fault["field"]).collect();
        assert_eq!(fields, expected, "{body}");
    }
    let problem = world.refusal(&confirm(&plan), fresh(&json!({}))).await;
    assert!(problem["errors"][0]["detail"].as_str().is_some_and(|detail| detail.contains("changes live data")));
    is(&world.refusal(&confirm(&plan), |call| fresh(&json!(0))(call).body("{")).await, 400, "json-malformed");
}

#[tokio::test]
async fn a_restore_that_cannot_be_confirmed_has_a_reason() {
    for (restore, word) in [
        (queued(1), "plan-not-ready"),
        (planning(1), "plan-not-ready"),
        (nothing_planned(1), "nothing-to-restore"),
        (applying(1), "restore-already-confirmed"),
        (ended(1, RestoreState::Completed), "restore-already-confirmed"),
        (ended(1, RestoreState::Cancelled), "restore-ended"),
        (Restore { portal_id: 8, ..planned(1) }, "portal-differs"),
    ] {
        is(&with(&restore).await.refusal(&confirm(&restore), fresh(&acknowledged())).await, 409, word);
    }
    let world = World::connected().await;
    is(&world.refusal(&confirm(&planned(1)), fresh(&acknowledged())).await, 404, "restore-unknown");
    let unknown = format!("{}/latest/confirm", super::RESTORES);
    is(&world.refusal(&unknown, fresh(&acknowledged())).await, 404, "restore-unknown");
}

#[tokio::test]
async fn a_plan_cannot_be_confirmed_after_an_hour() {
    let plan = planned(1);
    let world = with(&plan).await;
    world.clock.advance(SignedDuration::from_hours(1));
    let mut claims = claims(SignedDuration::ZERO);
    claims["auth_time"] = json!((now() + SignedDuration::from_hours(1)).as_second());
    let body = acknowledged().to_string();
    let problem = world.refusal(&confirm(&plan), |call| call.with_claims(&claims).body(&body)).await;
    is(&problem, 410, "plan-expired");
    assert_eq!(problem["expiredAt"], "2026-11-22T18:00:00Z");
}

#[tokio::test]
async fn a_second_restore_is_refused_with_the_id_of_the_running_one() {
    let (running, plan) = (applying(1), planned(2));
    let world = with(&plan).await;
    world.put(&running).await;
    world.put(&RestoreLock { account_id: account_id(), held_by: Some(running.restore_id.clone()) }).await;
    let problem = world.refusal(&confirm(&plan), fresh(&acknowledged())).await;
    is(&problem, 409, "restore-running");
    assert_eq!(problem["restoreId"], running.restore_id.as_str());
}

#[tokio::test]
async fn a_plan_cannot_be_confirmed_after_the_account_was_disconnected() {
    let plan = planned(1);
    let world = World::empty();
    world.put(&account(false)).await;
    world.put(&plan).await;
    is(&world.refusal(&confirm(&plan), fresh(&acknowledged())).await, 409, "portal-differs");
}

/// Reports contain values of the CRM.
#[tokio::test]
async fn a_careful_account_hands_out_reports_only_after_a_fresh_sign_in() {
    let world = World::empty();
    world.put(&careful_account()).await;
    let plan = planned(1);
    world.put(&plan).await;
    let import = format!("{}/{}/errors.csv", super::IMPORTS, plan.restore_id);
    for path in [format!("{}/skipped.csv", path(&plan)), import] {
        is(&super::problem(&world.answer("GET", &path, |call| call.by(ADMIN)).await), 401, "step-up");
        let fresh = world.answer("GET", &path, |call| call.by_signed_in(ADMIN, now())).await;
        assert_ne!(fresh.status(), 401, "{path}: {}", fresh.body());
    }
    assert_eq!(world.answer("GET", &path(&plan), |call| call.by(ADMIN)).await.status(), 200);
}
