//! Requests for restores and undos.

use domain::backup::{Backup, BackupState};
use domain::ids::RestoreId;
use domain::restore::{Restore, RestoreSource, RestoreState};
use domain::work::Work;
use http_api::testing::account::{ADMIN, account, now};
use http_api::testing::document;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::samples::{backup, ended, manifest, planned, queued};
use super::{RESTORES, World, is, path};

async fn with_backup(backup: &Backup) -> World {
    let world = World::connected().await;
    world.put(backup).await;
    if let Some(archive) = &backup.archive {
        world.write(&archive.manifest_key, &manifest(backup)).await;
    }
    world
}

fn wish() -> Value {
    json!({"backupId": backup().backup_id, "objectType": "contacts", "properties": ["jobtitle", "phone"]})
}

fn wish_with(name: &str, value: Value) -> Value {
    let mut wish = wish();
    wish[name] = value;
    wish
}

fn faults(problem: &Value) -> Vec<(&str, &str)> {
    let faults = problem["errors"].as_array().expect("faults").iter();
    faults
        .map(|fault| (fault["field"].as_str().expect("a field"), fault["detail"].as_str().expect("a sentence")))
        .collect()
}

fn fields(problem: &Value) -> Vec<&str> {
    faults(problem).into_iter().map(|(field, _)| field).collect()
}

#[tokio::test]
async fn a_restore_is_accepted_at_once_and_its_planning_begins() {
    let world = with_backup(&backup()).await;

    let response = world.post(RESTORES, &wish()).await;

    let restore = document(&response);
    let id = restore["restoreId"].as_str().expect("an id");
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["location"], format!("{RESTORES}/{id}").as_str());
    assert_eq!(
        restore,
        json!({
            "accountId": "42",
            "restoreId": id,
            "state": "queued",
            "objectType": "contacts",
            "label": "Contact",
            "source": {"backupId": backup().backup_id},
            "properties": ["jobtitle", "phone"],
            "createdAt": "2026-11-22T17:00:00Z",
            "createdBy": {"subject": "user-1", "email": "ada@example.com"},
        })
    );
    assert!(matches!(world.queue.receive(), Some(Work::Restore { restore }) if restore.restore_id.as_str() == id));
}

#[tokio::test]
async fn each_unknown_property_is_named_by_its_place() {
    let world = with_backup(&backup()).await;
    let properties = json!(["jobtitle", "jobtitel", "phone", "hs_object_id", "jobtitel"]);
    let problem = world.refused(RESTORES, &wish_with("properties", properties)).await;
    is(&problem, 422, "input-invalid");
    assert_eq!(fields(&problem), ["properties[1]", "properties[3]", "properties[4]"]);
    assert!(faults(&problem)[0].1.contains("'jobtitel'"), "{problem}");
}

#[tokio::test]
async fn a_refused_object_is_answered_with_the_objects_that_can_be_restored() {
    let world = with_backup(&backup()).await;
    let problem = world.refused(RESTORES, &wish_with("objectType", json!("contact"))).await;
    is(&problem, 422, "input-invalid");
    let [("objectType", detail)] = faults(&problem)[..] else { panic!("{problem}") };
    assert!(detail.ends_with("can be restored: contacts."), "{detail}");

    let problem = world.refused(RESTORES, &wish_with("objectType", json!("conversations"))).await;
    is(&problem, 422, "input-invalid");
    assert_eq!(fields(&problem), ["objectType"]);
}

#[tokio::test]
async fn a_problem_names_all_invalid_fields() {
    let world = with_backup(&backup()).await;
    let names = |count: usize| json!(vec!["jobtitle"; count]);
    for (body, expected) in [
        (json!({}), &["backupId", "objectType", "properties"][..]),
        (json!({"backupId": 1, "objectType": "", "properties": "jobtitle"}), &["backupId", "objectType", "properties"]),
        (wish_with("properties", json!([])), &["properties"]),
        (wish_with("properties", names(1_001)), &["properties"]),
        (
            wish_with("properties", json!(["jobtitle", 1, "", null])),
            &["properties[1]", "properties[2]", "properties[3]"],
        ),
        (wish_with("property", json!("jobtitle")), &["property"]),
    ] {
        let problem = world.refused(RESTORES, &body).await;
        is(&problem, 422, "input-invalid");
        assert_eq!(fields(&problem), expected);
    }
    assert_eq!(
        world.post(RESTORES, &wish_with("properties", names(1_000))).await.status(),
        202,
        "repeated names count once"
    );
}

/// D12: a body with 700 names of 100 characters was too large, although 1,000 properties are allowed.
#[tokio::test]
async fn the_greatest_number_of_properties_may_have_the_longest_names() {
    let names = |length: usize| -> Vec<String> { (0..1_000).map(|nth| format!("{nth:0length$}")).collect() };
    let mut manifest = manifest(&backup());
    let column = manifest["files"][0]["columns"][1].clone();
    let columns = names(100).into_iter().map(|name| {
        let mut column = column.clone();
        column["name"] = json!(name);
        column
    });
    let columns: Vec<Value> = columns.collect();
    manifest["files"][0]["columns"].as_array_mut().expect("a list").extend(columns);
    let world = World::connected().await;
    world.put(&backup()).await;
    world.write(&backup().archive.expect("an archive").manifest_key, &manifest).await;

    assert_eq!(world.post(RESTORES, &wish_with("properties", json!(names(100)))).await.status(), 202);

    let problem = world.refused(RESTORES, &wish_with("properties", json!(names(101)))).await;
    is(&problem, 422, "input-invalid");
    assert_eq!(fields(&problem), ["properties"]);
}

#[tokio::test]
async fn each_backup_without_a_usable_archive_has_its_own_problem() {
    let backup = backup();
    let world = with_backup(&backup).await;
    for unknown in ["0198a000-0000-7000-8000-000000000000", "latest"] {
        is(&world.refused(RESTORES, &wish_with("backupId", json!(unknown))).await, 404, "backup-unknown");
    }
    world.clock.advance(SignedDuration::from_hours(24));
    let problem = world.refused(RESTORES, &wish()).await;
    is(&problem, 410, "archive-expired");
    assert_eq!(problem["expiredAt"], "2026-11-23T17:00:00Z");

    let running = Backup { state: BackupState::Exporting, archive: None, ..backup };
    is(&with_backup(&running).await.refused(RESTORES, &wish()).await, 409, "backup-not-completed");
}

#[tokio::test]
async fn a_restore_needs_a_connection_to_the_backups_portal() {
    let world = World::empty();
    is(&world.refused(RESTORES, &wish()).await, 404, "account-unknown");
    world.put(&account(false)).await;
    is(&world.refused(RESTORES, &wish()).await, 409, "account-not-connected");
    let other = Backup { portal_id: 8, ..backup() };
    is(&with_backup(&other).await.refused(RESTORES, &wish()).await, 409, "portal-differs");
}

async fn with_restore(restore: &Restore) -> World {
    let world = World::connected().await;
    world.put(restore).await;
    world
}

fn undo(restore: &Restore) -> String {
    format!("{}/undo", path(restore))
}

#[tokio::test]
async fn a_restore_is_undone_once_by_a_new_restore() {
    let original = ended(1, RestoreState::Stopped);
    for (body, include_edited) in [("", false), ("{}", false), (r#"{"includeEdited":true}"#, true)] {
        let world = with_restore(&original).await;

        let response = world.answer("POST", &undo(&original), |call| call.by(ADMIN).body(body)).await;

        let made = document(&response);
        let id = made["restoreId"].as_str().expect("an id");
        assert_eq!(response.headers()["location"], format!("{RESTORES}/{id}").as_str());
        assert_eq!(made["state"], "queued");
        assert_eq!(made["source"], json!({"undoOf": original.restore_id, "includeEdited": include_edited}));
        assert!(matches!(world.queue.receive(), Some(Work::Restore { restore }) if restore.restore_id.as_str() == id));
        let problem = world.refused(&undo(&original), &json!({})).await;
        is(&problem, 409, "undo-exists");
        assert_eq!(problem["restoreId"], id);
    }
}

#[tokio::test]
async fn a_refused_undo_has_a_reason() {
    let completed = ended(1, RestoreState::Completed);
    let an_undo = RestoreSource::Undo { restore_id: RestoreId::new(now(), [9; 10]), include_edited: false };
    for (restore, word) in [
        (planned(1), "restore-not-ended"),
        (ended(1, RestoreState::Cancelled), "nothing-to-restore"),
        (Restore { source: an_undo, ..completed.clone() }, "undo-of-undo"),
        (Restore { portal_id: 8, ..completed.clone() }, "portal-differs"),
    ] {
        is(&with_restore(&restore).await.refused(&undo(&restore), &json!({})).await, 409, word);
    }
    let world = with_restore(&completed).await;
    world.clock.advance(SignedDuration::from_hours(88 * 24));
    let problem = world.refused(&undo(&completed), &json!({})).await;
    is(&problem, 410, "undo-expired");
    assert_eq!(problem["expiredAt"], "2027-02-18T17:00:00Z");

    is(&World::connected().await.refused(&undo(&queued(1)), &json!({})).await, 404, "restore-unknown");
    is(&World::empty().refused(&undo(&queued(1)), &json!({})).await, 404, "account-unknown");
    let world = World::empty();
    world.put(&account(false)).await;
    is(&world.refused(&undo(&queued(1)), &json!({})).await, 409, "account-not-connected");
}

#[tokio::test]
async fn an_undo_takes_no_field_but_include_edited() {
    let completed = ended(1, RestoreState::Completed);
    let world = with_restore(&completed).await;
    for (body, field) in [
        (json!({"includeEdited": "true"}), "includeEdited"),
        (json!({"includeEdited": null}), "includeEdited"),
        (json!({"properties": ["phone"]}), "properties"),
    ] {
        let problem = world.refused(&undo(&completed), &body).await;
        is(&problem, 422, "input-invalid");
        assert_eq!(fields(&problem), [field]);
    }
}
