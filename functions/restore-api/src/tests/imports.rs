//! Imports, and the files of what they did not restore.

use domain::ids::AccountId;
use domain::restore::import::Import;
use domain::restore::outcome::OutcomeCounts;
use domain::restore::{Restore, RestoreState};
use domain::{Failure, FailureKind};
use http_api::testing::account::ADMIN;
use http_api::testing::document;
use serde_json::{Value, json};

use super::samples::{applying, ended, import, queued};
use super::{IMPORTS, World, is, problem};

const ERRORS_KEY: &str = "restores/42/r/errors.0001.csv";

async fn with(import: &Import, restore: &Restore) -> World {
    let world = World::connected().await;
    world.put(import).await;
    world.put(restore).await;
    world
}

fn path(import: &Import) -> String {
    format!("{IMPORTS}/{}", import.restore_id)
}

#[tokio::test]
async fn an_import_contains_the_results_of_its_restore() {
    let import = import(1, RestoreState::Completed, Some(ERRORS_KEY));
    let world = with(&import, &ended(1, RestoreState::Completed)).await;
    assert_eq!(
        document(&world.get(&path(&import)).await),
        json!({
            "importId": import.restore_id,
            "name": "Data restore – Contact",
            "restoreId": import.restore_id,
            "objectType": "contacts",
            "state": "completed",
            "createdAt": "2026-11-22T17:00:01Z",
            "createdBy": {"subject": "user-1", "email": "ada@example.com"},
            "startedAt": "2026-11-22T17:00:00Z",
            "endedAt": "2026-11-22T17:00:00Z",
            "recordsGone": 3,
            "recordsUnreadable": 0,
            "valuesSkipped": 2,
            "valuesNotTried": 0,
            "counts": {
                "recordsRestored": 5, "valuesRestored": 6, "recordsFailed": 1, "valuesFailed": 2, "valuesUnclear": 1,
                "driftedValues": 4, "alreadyRight": 3,
                "droppedProperties": [{"property": "phone", "code": "READ_ONLY"}],
            },
            "hasErrors": true,
            "undo": {"possible": true, "until": "2027-02-18T17:00:00Z"},
        })
    );
}

#[tokio::test]
async fn an_import_names_the_restore_that_undoes_it_and_why_it_failed() {
    let undo = queued(2).restore_id;
    let failure = Some(Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token."));
    let import = Import { failure, ..import(1, RestoreState::Failed, None) };
    let restore = Restore { undone_by: Some(undo.clone()), ..ended(1, RestoreState::Failed) };
    let world = with(&import, &restore).await;
    world.put(&queued(2)).await;
    let shown = document(&world.get(&path(&import)).await);
    assert_eq!((&shown["state"], &shown["failure"]["kind"]), (&json!("failed"), &json!("crm-token-refused")));
    assert_eq!((&shown["undo"]["restoreId"], &shown["undo"]["possible"]), (&json!(undo), &json!(false)));
    let reason = shown["undo"]["reason"].as_str().expect("a sentence");
    assert!(reason.contains("is under way"), "{reason}");
}

/// D6: the answer lacked whether and until when a restore can be undone.
#[tokio::test]
async fn the_reason_against_an_undo_is_the_detail_of_the_refused_undo() {
    let undo = ended(2, RestoreState::Completed);
    let restore = Restore { undone_by: Some(undo.restore_id.clone()), ..ended(1, RestoreState::Completed) };
    let world = with(&import(1, RestoreState::Completed, None), &restore).await;
    world.put(&undo).await;
    let path = super::path(&restore);
    let shown = document(&world.get(&path).await);
    let refused = world.refused(&format!("{path}/undo"), &json!({})).await;
    is(&refused, 409, "undo-exists");
    assert_eq!(shown["undo"]["reason"], refused["detail"]);
    let already = format!("Restore {} has already undone this one.", undo.restore_id);
    assert_eq!(shown["undo"]["reason"], already);
    assert_eq!(document(&world.get(&super::path(&undo)).await)["undo"]["possible"], true);
    assert_eq!(document(&world.get(&format!("{IMPORTS}/{}", restore.restore_id)).await)["undo"], shown["undo"]);
}

/// D6: `hasErrors` depended on the file, and was false despite thousands of failed values.
#[tokio::test]
async fn an_import_with_failed_values_has_errors_even_without_the_file() {
    for why in [Some("It is not kept any more."), None] {
        let import = Import { errors_missing: why.map(str::to_owned), ..import(1, RestoreState::Completed, None) };
        let world = with(&import, &ended(1, RestoreState::Completed)).await;
        let shown = document(&world.get(&path(&import)).await);
        assert_eq!((&shown["hasErrors"], &shown["errorsMissing"]), (&json!(true), &json!(why)));
        let problem = problem(&world.get(&format!("{}/errors.csv", path(&import))).await);
        is(&problem, 404, "no-errors-file");
        // Imports that were stored without a reason get a sentence, too.
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(why.unwrap_or("could not be made when the restore ended")), "{problem}");
    }
}

/// R6: values that a stopped restore did not try were in no row, and `hasErrors` was false.
#[tokio::test]
async fn an_import_with_values_that_were_not_tried_has_errors() {
    let some = import(1, RestoreState::Stopped, Some(ERRORS_KEY));
    let outcome = OutcomeCounts { values_failed: 0, values_unclear: 0, ..some.outcome.clone() };
    let calm = Import { outcome, records_gone: 0, values_skipped: 0, ..some };
    for (not_tried, has_errors) in [(0, false), (5, true)] {
        let import = Import { values_not_tried: not_tried, ..calm.clone() };
        let world = with(&import, &ended(1, RestoreState::Stopped)).await;
        assert_eq!(document(&world.get(&path(&import)).await)["hasErrors"], has_errors);
    }
}

#[tokio::test]
async fn imports_are_listed_newest_first_and_page_by_page() {
    is(&problem(&World::empty().get(IMPORTS).await), 404, "account-unknown");
    let world = World::connected().await;
    for (nth, state) in [(1, RestoreState::Completed), (2, RestoreState::Stopped), (3, RestoreState::Failed)] {
        world.put(&import(nth, state, None)).await;
    }
    let first = document(&world.answer("GET", IMPORTS, |call| call.by(ADMIN).query("limit", "2")).await);
    let cursor = first["next"].as_str().expect("there is more");
    let last = document(&world.answer("GET", IMPORTS, |call| call.by(ADMIN).query("cursor", cursor)).await);
    let states =
        |page: &Value| page["imports"].as_array().expect("a list").iter().map(|one| one["state"].clone()).collect();
    let (first, last): (Vec<Value>, Vec<Value>) = (states(&first), states(&last));
    assert_eq!((json!(first), json!(last)), (json!(["failed", "stopped"]), json!(["completed"])));
}

#[tokio::test]
async fn the_file_of_errors_is_a_new_link_unless_it_would_be_empty() {
    let (some, none) = (import(1, RestoreState::Stopped, Some(ERRORS_KEY)), import(1, RestoreState::Stopped, None));
    let errors = format!("{}/errors.csv", path(&some));
    let restore = ended(1, RestoreState::Stopped);
    let world = with(&some, &restore).await;
    let link = format!("memory:///{ERRORS_KEY}?file=errors-contacts-{}.csv&seconds=300", some.restore_id);
    assert_eq!(world.get(&errors).await.headers()["location"], link.as_str());
    let as_json = world.answer("GET", &errors, |call| call.by(ADMIN).header("accept", "application/json")).await;
    assert_eq!(document(&as_json)["url"], link);
    is(&problem(&with(&none, &restore).await.get(&errors).await), 404, "no-errors-file");
}

#[tokio::test]
async fn an_import_of_another_account_or_an_unended_restore_is_unknown() {
    let foreign =
        Import { account_id: AccountId::parse("43").expect("digits"), ..import(1, RestoreState::Completed, None) };
    let world = World::connected().await;
    world.put(&foreign).await;
    // A restore that has not ended is not an import yet.
    let running = applying(2);
    world.put(&running).await;
    for path in [path(&foreign), format!("{IMPORTS}/{}", running.restore_id), format!("{IMPORTS}/x")] {
        is(&problem(&world.get(&path).await), 404, "import-unknown");
        is(&problem(&world.get(&format!("{path}/errors.csv")).await), 404, "import-unknown");
    }
}
