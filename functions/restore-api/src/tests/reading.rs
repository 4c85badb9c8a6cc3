//! Reading restores: lists, plans, progress, outcomes, and the file of what a plan leaves out.

use domain::lease::WaitReason;
use domain::lease::{Leasing, Wait};
use domain::restore::slice::{RestoreSlice, SliceState};
use domain::restore::{DroppedProperty, Restore, RestoreState};
use domain::storage_keys;
use http_api::testing::account::{ADMIN, now};
use http_api::testing::document;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::samples::{applying, definition, ended, import, nothing_planned, outcome, planned, planning, queued, slice};
use super::{RESTORES, World, is, path, problem};

/// With a restore and the stored files of its plan.
async fn with(restore: &Restore) -> World {
    let world = World::connected().await;
    world.put(restore).await;
    if let Some(attempt) = restore.defined_by {
        world.write(&storage_keys::restore_definition(&restore.reference(), attempt), &definition()).await;
    }
    if let Some(plan) = &restore.plan {
        let values = json!([
            {"property": "jobtitle", "before": "Engineer", "after": "Head of R&D"},
            {"property": "phone", "before": "+49 30 1", "after": ""},
        ]);
        // More than a double can represent exactly.
        let samples = json!([{"recordId": 9_007_199_254_740_993_u64, "values": values, "moreValues": 3}]);
        world.write(&plan.samples_key, &samples).await;
    }
    world
}

async fn shown(world: &World, restore: &Restore) -> Value {
    let response = world.get(&path(restore)).await;
    assert_eq!(response.status(), 200, "{}", response.body());
    document(&response)
}

#[tokio::test]
async fn restores_are_listed_newest_first_and_page_by_page_without_their_plans() {
    let world = World::connected().await;
    for restore in [queued(1), planned(2), ended(3, RestoreState::Completed)] {
        world.put(&restore).await;
    }
    let first = document(&world.answer("GET", RESTORES, |call| call.by(ADMIN).query("limit", "2")).await);
    let cursor = first["next"].as_str().expect("there is more").to_owned();
    let last = world.answer("GET", RESTORES, |call| call.by(ADMIN).query("limit", "2").query("cursor", &cursor)).await;
    let last = document(&last);
    let restores = |page: &Value| page["restores"].as_array().expect("a list").clone();
    let states: Vec<_> = [restores(&first), restores(&last)].concat().iter().map(|one| one["state"].clone()).collect();
    assert_eq!((json!(states), last.get("next")), (json!(["completed", "planned", "queued"]), None));
    assert!(restores(&first).iter().all(|restore| restore.get("plan").is_none() && restore.get("outcome").is_none()));
}

#[tokio::test]
async fn lists_of_unknown_accounts_and_invalid_pages_are_refused() {
    is(&problem(&World::empty().get(RESTORES).await), 404, "account-unknown");
    let world = World::connected().await;
    assert_eq!(document(&world.get(RESTORES).await), json!({"restores": []}));
    for (name, value) in [("limit", "0"), ("limit", "101"), ("cursor", "!"), ("cursor", queued(1).restore_id.as_str())]
    {
        let response = world.answer("GET", RESTORES, |call| call.by(ADMIN).query(name, value)).await;
        is(&problem(&response), 400, "parameter-invalid");
    }
}

#[tokio::test]
async fn a_plan_is_shown_with_its_counts_properties_samples_and_warnings() {
    let restore = planned(1);
    let world = with(&restore).await;

    let shown = shown(&world, &restore).await;

    assert_eq!((&shown["state"], &shown["planExpiresAt"]), (&json!("planned"), &json!("2026-11-22T18:00:00Z")));
    let plan = &shown["plan"];
    assert_eq!(
        plan["records"],
        json!({"read": 100, "changed": 11, "unchanged": 86, "notFound": 2, "merged": 1, "unreadable": 0})
    );
    assert_eq!(plan["values"], json!({"set": 8, "cleared": 3, "cannotBeSet": 2, "editedSince": 0, "notShown": 0}));
    assert_eq!(
        plan["properties"],
        json!([
            {"name": "jobtitle", "label": "Job title", "type": "string", "restorable": true,
             "changed": 8, "set": 8, "cleared": 0, "cannotBeSet": 2, "notShown": 0},
            {"name": "phone", "label": "Phone", "type": "string", "restorable": true,
             "changed": 3, "set": 0, "cleared": 3, "cannotBeSet": 0, "notShown": 0},
            {"name": "score", "label": "Score", "type": "string", "restorable": false, "reason": "calculated",
             "detail": "The CRM calculates this property from others.",
             "changed": 0, "set": 0, "cleared": 0, "cannotBeSet": 0, "notShown": 0},
        ])
    );
    assert_eq!(
        plan["samples"],
        json!([{"recordId": "9007199254740993", "moreValues": 3, "values": [
            {"property": "jobtitle", "before": "Engineer", "after": "Head of R&D"},
            {"property": "phone", "before": "+49 30 1", "after": null},
        ]}])
    );
    let warnings = plan["warnings"].as_array().expect("a list").iter();
    let warnings: Vec<_> = warnings.map(|warning| json!([warning["kind"], warning["property"]])).collect();
    assert_eq!(
        json!(warnings),
        json!([
            ["changes-live-data", null],
            ["workflows-may-run", null],
            ["records-not-found", null],
            ["values-cannot-be-set", "jobtitle"],
            ["many-cleared", "phone"],
            ["unique", "phone"],
        ])
    );
    // Twelve calls at ten a second and less, rounded up.
    assert_eq!((&plan["calls"], &plan["estimatedSeconds"], &plan["skipped"]), (&json!(12), &json!(2), &json!(true)));
    assert_eq!((shown.get("progress"), shown.get("outcome")), (None, None));
}

#[tokio::test]
async fn a_plan_expires_after_an_hour_without_confirmation() {
    let restore = planned(1);
    let world = with(&restore).await;
    world.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(shown(&world, &restore).await["state"], "expired");
    assert_eq!(document(&world.get(RESTORES).await)["restores"][0]["state"], "expired");
}

#[tokio::test]
async fn a_restore_is_shown_even_after_its_plan_and_slices_were_deleted() {
    let restore = ended(1, RestoreState::Completed);
    let world = World::connected().await;
    world.put(&restore).await;
    world.put(&import(1, RestoreState::Completed, None)).await;
    let shown = shown(&world, &restore).await;
    assert_eq!((&shown["state"], shown.get("plan")), (&json!("completed"), None));
    assert_eq!(shown["outcome"]["valuesRestored"], 6);
}

#[tokio::test]
async fn progress_counts_compared_and_then_processed_records() {
    let restore = planning(1);
    let world = with(&restore).await;
    world.put(&RestoreSlice { rows_planned: 33, ..slice(&restore, SliceState::Planning) }).await;
    let progress = &shown(&world, &restore).await["progress"];
    assert_eq!(progress, &json!({"recordsPlanned": 33, "recordsTotal": 100, "shareDone": 0.33}));

    let dropped = vec![DroppedProperty { property: "phone".to_owned(), code: "READ_ONLY".to_owned() }];
    let restore = Restore { dropped, ..applying(1) };
    let world = with(&restore).await;
    world.put(&RestoreSlice { outcome: outcome(), ..slice(&restore, SliceState::Applying) }).await;
    let shown = shown(&world, &restore).await;
    assert_eq!(shown["progress"], json!({"recordsDone": 8, "recordsTotal": 11, "shareDone": 0.7273}));
    assert_eq!(
        shown["outcome"],
        json!({
            "recordsRestored": 5, "valuesRestored": 6, "recordsFailed": 1, "valuesFailed": 2, "valuesUnclear": 1,
            "driftedValues": 4, "alreadyRight": 3,
            "droppedProperties": [{"property": "phone", "code": "READ_ONLY"}],
        })
    );
}

#[tokio::test]
async fn an_undo_names_the_restore_that_it_undoes() {
    let original = ended(1, RestoreState::Completed);
    let source = domain::restore::RestoreSource::Undo { restore_id: original.restore_id.clone(), include_edited: true };
    let restore = Restore { source, ..queued(2) };
    let shown = shown(&with(&restore).await, &restore).await;
    assert_eq!(shown["source"], json!({"undoOf": original.restore_id, "includeEdited": true}));
}

#[tokio::test]
async fn the_file_of_what_a_plan_leaves_out_is_a_new_link_as_redirect_or_as_json() {
    let restore = planned(1);
    let world = with(&restore).await;
    let skipped = format!("{}/skipped.csv", path(&restore));
    let (key, id) = (storage_keys::plan_skipped(&restore.reference(), 2), &restore.restore_id);
    let link = format!("memory:///{key}?file=skipped-contacts-{id}.csv&seconds=300");

    let redirect = world.get(&skipped).await;
    assert_eq!((redirect.status().as_u16(), redirect.body()), (302, ""));
    assert_eq!(redirect.headers()["location"], link.as_str());

    let as_json = world.answer("GET", &skipped, |call| call.by(ADMIN).header("accept", "application/json")).await;
    assert_eq!(document(&as_json), json!({"url": link, "expiresAt": "2026-11-22T17:05:00Z"}));
}

#[tokio::test]
async fn a_file_that_would_be_empty_or_is_not_made_yet_cannot_be_downloaded() {
    for (restore, status, word) in [
        (queued(1), 409, "plan-not-ready"),
        (planning(1), 409, "plan-not-ready"),
        (nothing_planned(1), 404, "no-errors-file"),
    ] {
        let response = with(&restore).await.get(&format!("{}/skipped.csv", path(&restore))).await;
        is(&problem(&response), status, word);
    }
}

#[tokio::test]
async fn a_restore_of_another_account_is_unknown() {
    let foreign = Restore { account_id: domain::ids::AccountId::parse("43").expect("digits"), ..planned(1) };
    let world = World::connected().await;
    world.put(&foreign).await;
    for path in [path(&foreign), path(&queued(9)), format!("{RESTORES}/latest"), format!("{RESTORES}/..")] {
        is(&problem(&world.get(&path).await), 404, "restore-unknown");
        is(&problem(&world.get(&format!("{path}/skipped.csv")).await), 404, "restore-unknown");
    }
}

/// D4: the wait has the same words as that of a backup.
#[tokio::test]
async fn a_waiting_restore_has_the_reason_and_end_of_the_wait() {
    let wait = |minutes: i64, reason| Wait { until: now() + SignedDuration::from_mins(minutes), reason };
    let with_wait = |wait: Wait| Leasing { wait: Some(wait), ..Leasing::default() };
    let (day, run_over) = (wait(30, WaitReason::DailyLimit), wait(30, WaitReason::RunOver));
    let writes = applying(1);
    for (wait, state, waits) in [
        (day, SliceState::Applying, true),
        (day, SliceState::Done, false),
        (run_over, SliceState::Applying, false),
        (wait(0, WaitReason::DailyLimit), SliceState::Applying, false),
    ] {
        let world = with(&writes).await;
        world.put(&RestoreSlice { leasing: with_wait(wait), ..slice(&writes, state) }).await;
        let shown = shown(&world, &writes).await;
        let expected = json!({
            "until": "2026-11-22T17:30:00Z", "reason": "daily-limit", "sentence": WaitReason::DailyLimit.sentence(),
        });
        assert_eq!(shown.get("waiting"), waits.then_some(&expected), "{state:?} {wait:?}");
    }
    let queued = Restore { leasing: with_wait(day), ..queued(1) };
    assert_eq!(shown(&with(&queued).await, &queued).await["waiting"]["reason"], "daily-limit");
}
