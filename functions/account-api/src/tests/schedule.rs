//! Requests about the schedule.

use http_api::testing::account::{ADMIN, OPERATOR};
use http_api::testing::{ApiCall, described, document, kind, problem};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{World, fields};

const SCHEDULE: &str = "/accounts/42/backup-schedule";

async fn scheduling() -> World {
    let world = World::with_connection().await;
    assert_eq!(world.put(OPERATOR, &json!({ "plan": "enterprise" })).await.status(), 200);
    world
}

async fn set(world: &World, body: &Value) -> Value {
    document(&world.described("PUT", SCHEDULE, ADMIN, body).await)
}

#[tokio::test]
async fn a_schedule_keeps_the_local_weekday_and_time_at_which_it_was_switched_on() {
    let world = scheduling().await;
    assert_eq!(
        document(&world.described("GET", SCHEDULE, ADMIN, &json!({})).await),
        json!({"enabled": false, "every": "week"})
    );
    let on = set(&world, &json!({"enabled": true, "every": "two-weeks"})).await;
    // It is Sunday, 22 November 2026, 17:00 UTC, and 18:00 in Berlin.
    assert_eq!(
        on,
        json!({
            "enabled": true, "every": "two-weeks", "weekday": "sunday", "timeOfDay": "18:00",
            "timeZone": "Europe/Berlin", "nextRunAt": "2026-12-06T17:00:00Z",
            "enabledBy": {"subject": "user-1", "email": "ada@example.com"},
        })
    );
    world.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(set(&world, &json!({"enabled": true})).await, on, "it is on already");
    let weekly = set(&world, &json!({"enabled": true, "every": "week"})).await;
    assert_eq!(weekly["nextRunAt"], "2026-11-29T17:00:00Z", "the weekday and the time stay");
    let off = set(&world, &json!({"enabled": false})).await;
    assert_eq!(off, json!({"enabled": false, "every": "week"}));
}

#[tokio::test]
async fn a_plan_without_schedules_switches_the_schedule_off() {
    let world = scheduling().await;
    set(&world, &json!({"enabled": true})).await;
    world.put(OPERATOR, &json!({ "plan": "professional" })).await;
    let stopped = document(&world.described("GET", SCHEDULE, ADMIN, &json!({})).await);
    assert_eq!((&stopped["enabled"], &stopped["stopped"]["kind"]), (&json!(false), &json!("schedule-not-in-plan")));
    let inbox = document(&world.described("GET", "/accounts/42/notifications", ADMIN, &json!({})).await);
    assert_eq!(inbox["notifications"][0]["event"], "schedule-skipped");
    assert_eq!(inbox["notifications"][0]["nextRunAt"], json!(null));
    let refused = world.described("PUT", SCHEDULE, ADMIN, &json!({"enabled": true})).await;
    assert_eq!(problem(&refused), (403, kind("schedule-not-in-plan")));
}

#[tokio::test]
async fn an_invalid_schedule_is_refused() {
    let unconnected = World::with_account().await;
    unconnected.put(OPERATOR, &json!({ "plan": "unlimited" })).await;
    let refused = unconnected.described("PUT", SCHEDULE, ADMIN, &json!({"enabled": true})).await;
    assert_eq!(problem(&refused), (409, kind("account-not-connected")));
    let world = scheduling().await;
    for (body, expected) in [
        (json!({}), vec!["enabled"]),
        (json!({"enabled": "yes"}), vec!["enabled"]),
        (json!({"enabled": true, "every": "month", "hour": 9}), vec!["every", "hour"]),
    ] {
        let refused = world.described("PUT", SCHEDULE, ADMIN, &body).await;
        assert_eq!((refused.status().as_u16(), fields(&document(&refused))), (422, expected), "{body}");
    }
    let unknown = World::new().described("GET", SCHEDULE, ADMIN, &json!({})).await;
    assert_eq!(document(&unknown)["type"], kind("account-unknown"));
}

#[tokio::test]
async fn an_operator_has_no_right_to_schedules_and_notifications() {
    let world = scheduling().await;
    for path in [SCHEDULE, "/accounts/42/notifications"] {
        let response = world.answer(ApiCall::get(path).by(OPERATOR)).await;
        described::check("GET", path, &response);
        assert_eq!(response.status(), 403, "{path}");
    }
}
