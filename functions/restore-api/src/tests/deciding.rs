//! Cancelling plans and stopping restores.

use domain::restore::{Decision, Restore, RestoreState};
use domain::work::Work;
use domain::{Failure, FailureKind};
use http_api::testing::account::{ADMIN, now};
use http_api::testing::described;
use http_api::testing::{ApiCall, document};
use in_memory::faults::{Fault, Faults};
use serde_json::json;

use super::samples::{applying, ended, planned, planning, queued};
use super::{World, handler, is, path, problem};

async fn with(restore: &Restore) -> World {
    let world = World::connected().await;
    world.put(restore).await;
    world
}

fn cancel(restore: &Restore) -> String {
    format!("{}/cancel", path(restore))
}

fn stop(restore: &Restore) -> String {
    format!("{}/stop", path(restore))
}

#[tokio::test]
async fn cancelling_an_unconfirmed_restore_twice_returns_the_same_answer() {
    for restore in [queued(1), planning(1), planned(1)] {
        let world = with(&restore).await;

        let cancelled = world.post(&cancel(&restore), &json!({})).await;

        assert_eq!((cancelled.status().as_u16(), &document(&cancelled)["state"]), (200, &json!("cancelled")));
        assert_eq!(document(&cancelled)["endedAt"], "2026-11-22T17:00:00Z");
        assert_eq!(world.post(&cancel(&restore), &json!({})).await.body(), cancelled.body());
    }
}

#[tokio::test]
async fn stopping_a_restore_that_writes_twice_returns_the_same_answer() {
    let restore = applying(1);
    let world = with(&restore).await;

    let stopping = world.post(&stop(&restore), &json!({})).await;

    assert_eq!((stopping.status().as_u16(), &document(&stopping)["state"]), (202, &json!("stopping")));
    assert_eq!(stopping.headers()["location"], path(&restore).as_str());
    assert_eq!(world.queue.receive(), Some(Work::Restore { restore: restore.reference() }));
    assert_eq!(world.post(&stop(&restore), &json!({})).await.body(), stopping.body());
}

#[tokio::test]
async fn only_plans_are_cancelled_and_only_restores_that_write_are_stopped() {
    let completed = ended(1, RestoreState::Completed);
    let cancelled = ended(1, RestoreState::Cancelled);
    for (restore, path, word) in [
        (&applying(1), cancel(&applying(1)), "restore-already-confirmed"),
        (&planned(1), stop(&planned(1)), "restore-not-running"),
        (&completed, cancel(&completed), "restore-ended"),
        (&completed, stop(&completed), "restore-ended"),
        (&cancelled, stop(&cancelled), "restore-ended"),
    ] {
        is(&with(restore).await.refused(&path, &json!({})).await, 409, word);
    }
}

#[tokio::test]
async fn unknown_restores_and_bodies_with_content_are_refused() {
    let restore = planned(1);
    let world = with(&restore).await;
    for path in [cancel(&restore), stop(&restore)] {
        is(&world.refused(&path, &json!({"force": true})).await, 422, "input-invalid");
        is(
            &world.refused(&path.replace(restore.restore_id.as_str(), "latest"), &json!({})).await,
            404,
            "restore-unknown",
        );
        let other = path.replace(restore.restore_id.as_str(), queued(9).restore_id.as_str());
        is(&world.refused(&other, &json!({})).await, 404, "restore-unknown");
        let too_long = " ".repeat(http_api::request::LONGEST_BODY + 1);
        is(&world.refusal(&path, |call| call.by(ADMIN).body(&too_long)).await, 413, "body-too-large");
    }
}

#[tokio::test]
async fn a_concluding_restore_is_stopping_if_it_ends_early_and_otherwise_applying() {
    let concluding = Restore { state: RestoreState::Concluding, open_slices: 0, ..applying(1) };
    let failing = Restore {
        failure: Some(Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token.")),
        ..concluding.clone()
    };
    let by = concluding.created_by.clone();
    let stopped = Restore { stopped: Some(Decision { by, at: now() }), ..concluding.clone() };
    for (restore, state) in [(concluding, "applying"), (failing, "stopping"), (stopped, "stopping")] {
        let world = with(&restore).await;
        assert_eq!(document(&world.get(&path(&restore)).await)["state"], state);
    }
}

#[tokio::test]
async fn a_failed_ledger_call_becomes_a_503_with_retry_after() {
    let restore = planned(1);
    let world = with(&restore).await;
    let faults = Faults::at(1, Fault::CallFails);
    let ledger = faults.worker().wrap(world.ledger.clone());
    let handler = handler(ledger, &world.objects, &world.queue, &world.clock);
    let call = ApiCall::new("POST", &cancel(&restore)).by(ADMIN);
    let response = call.answered_by(|request| handler.handle(request)).await;
    described::check("POST", &cancel(&restore), &response);
    is(&problem(&response), 503, "unavailable");
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.body().contains("injected"), "the cause is only logged");
}
