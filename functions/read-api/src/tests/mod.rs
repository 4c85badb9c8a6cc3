//! Requests that read: from API Gateway's event to the answer, over ports in memory.

mod audit_log;
mod description;
mod later_versions;

use std::sync::Arc;
use std::time::Duration;

use domain::account::ApiVersion;
use domain::account::Requester;
use domain::backup::{Archive, Backup, BackupEvent, BackupState};
use domain::ids::{AccountId, BackupId, ObjectType};
use domain::object::{Committed, CountBefore, ObjectExport};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger::{self, Change, Ledger};
use domain::ports::storage::ETag;
use domain::property::{Columns, ObjectDefinition, Property, Sensitivity};
use domain::work::BackupRef;
use domain::{Failure, FailureKind};
use http_api::response::Response;
use http_api::routes::ROUTES;
use http_api::testing::account::{ADMIN, account, account_id, careful_account, now, step_up};
use http_api::testing::{AUDIENCE, ApiCall, described, document, kind, problem};
use in_memory::{ManualClock, MemoryLedger, MemoryStorage};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use workflows::audit_log::ExportAuditLog;

use crate::handler::Handler;

struct World {
    ledger: Arc<MemoryLedger>,
    clock: Arc<ManualClock>,
    handler: Handler,
}

impl World {
    fn empty() -> Self {
        let (ledger, clock) = (Arc::new(MemoryLedger::new()), Arc::new(ManualClock::at(now())));
        let storage = Arc::new(MemoryStorage::new());
        let export = ExportAuditLog {
            ledger: ledger.clone(),
            clock: clock.clone(),
            reader: storage.clone(),
            writer: storage.clone(),
            uploads: storage.clone(),
            links: storage.clone(),
        };
        let handler = Handler {
            ledger: ledger.clone(),
            links: storage,
            clock: clock.clone(),
            export,
            audience: AUDIENCE.to_owned(),
            link_valid_for: Duration::from_mins(5),
            step_up: step_up(ledger.clone(), clock.clone()),
        };
        Self { ledger, clock, handler }
    }

    async fn with_account() -> Self {
        let world = Self::empty();
        world.ledger.commit(&[Change::create(&account(false))]).await.expect("empty ledger");
        world
    }

    async fn with(backups: impl IntoIterator<Item = &Backup>) -> Self {
        let world = Self::with_account().await;
        for backup in backups {
            world.ledger.commit(&[Change::create(backup)]).await.expect("new");
        }
        world
    }

    async fn answer(&self, call: ApiCall) -> Response {
        call.answered_by(|request| self.handler.handle(request)).await
    }

    async fn get(&self, path: &str) -> Response {
        self.answer(ApiCall::get(path).by(ADMIN)).await
    }
}

/// The `nth` backup of account 42, queued.
fn queued(nth: u8) -> Backup {
    let created_at = now() + SignedDuration::from_mins(nth.into());
    let backup = BackupRef { account_id: account_id(), backup_id: BackupId::new(created_at, [nth; 10]) };
    let by = Requester { subject: "user-1".to_owned(), email: None };
    Backup::accepted(backup, 7, ApiVersion::V2026_09, by, created_at)
}

fn failed(nth: u8) -> Backup {
    let failure = Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token.");
    queued(nth).apply(BackupEvent::Failed(failure), now()).expect("running")
}

fn completed(nth: u8) -> Backup {
    let archive = Archive {
        storage_key: "archives/42/a.zip".to_owned(),
        manifest_key: "archives/42/a.manifest.json".to_owned(),
        etag: ETag("\"e\"".to_owned()),
        bytes: 1_234,
        expires_at: now() + SignedDuration::from_hours(14 * 24),
    };
    Backup {
        state: BackupState::Completed,
        contains_sensitive_data: Some(true),
        archive: Some(archive),
        ended_at: Some(now()),
        ..queued(nth)
    }
}

fn deleted(nth: u8) -> Backup {
    let by = Requester { subject: "user-1".to_owned(), email: None };
    completed(nth).apply(BackupEvent::ArchiveDeleted(by), now()).expect("not yet expired")
}

fn path(backup: &Backup) -> String {
    format!("/accounts/42/backups/{}", backup.backup_id)
}

#[tokio::test]
async fn backups_are_listed_newest_first_and_page_by_page() {
    let backups = [queued(1), failed(2), completed(3)];
    let world = World::with(&backups).await;
    let mut listed = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..3 {
        let mut call = ApiCall::get("/accounts/42/backups").by(ADMIN).query("limit", "2");
        if let Some(cursor) = &cursor {
            call = call.query("cursor", cursor);
        }
        let page = document(&world.answer(call).await);
        listed.extend(page["backups"].as_array().expect("a list").clone());
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let states: Vec<_> = listed.iter().map(|backup| backup["state"].as_str().expect("a state")).collect();
    assert_eq!((states, cursor), (vec!["completed", "failed", "queued"], None));
    assert_eq!(listed[0]["archive"], json!({"bytes": 1_234, "etag": "\"e\"", "expiresAt": "2026-12-06T17:00:00Z"}));
    assert_eq!(listed[1]["failure"]["kind"], "crm-token-refused");
}

#[tokio::test]
async fn invalid_parameters_are_named() {
    let world = World::with_account().await;
    let last_but_not_encoded = queued(1).backup_id.to_string();
    for (name, value) in [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("cursor", ""),
        ("cursor", "!"),
        ("cursor", &last_but_not_encoded),
    ] {
        let response = world.answer(ApiCall::get("/accounts/42/backups").by(ADMIN).query(name, value)).await;
        assert_eq!(problem(&response), (400, kind("parameter-invalid")), "{name}={value}");
        assert_eq!(document(&response)["errors"][0]["field"], name);
    }
}

/// D8: a misspelt parameter must not be ignored.
#[tokio::test]
async fn unknown_parameters_are_refused_on_every_route_after_the_right_is_checked() {
    let backup = completed(1);
    let world = World::with([&backup]).await;
    let log = "/accounts/42/audit-log".to_owned();
    let backups = "/accounts/42/backups".to_owned();
    for path in [backups, path(&backup), format!("{}/download", path(&backup)), log.clone(), format!("{log}.csv")] {
        let call = |groups| ApiCall::get(&path).by(groups).query("limits", "1").query("Limit", "1");
        let response = world.answer(call(ADMIN)).await;
        described::check("GET", &path, &response);
        assert_eq!(problem(&response), (400, kind("parameter-invalid")), "{path}");
        let errors = document(&response)["errors"].clone();
        let named: Vec<_> = errors.as_array().expect("faults").iter().map(|fault| &fault["field"]).collect();
        assert!(named.contains(&&json!("limits")) && named.contains(&&json!("Limit")), "{errors}");
        assert_eq!(problem(&world.answer(call(&["43:super-admin"])).await), (403, kind("forbidden")));
    }
    let response = world.answer(ApiCall::get("/openapi.json").query("version", "2")).await;
    described::check("GET", "/openapi.json", &response);
    assert_eq!(problem(&response), (400, kind("parameter-invalid")));
}

fn property(name: &str) -> Property {
    Property {
        name: name.to_owned(),
        label: name.to_owned(),
        kind: "string".to_owned(),
        sensitivity: Sensitivity::NonSensitive,
        calculated: false,
        read_only: false,
    }
}

#[tokio::test]
async fn a_backup_is_shown_with_progress_per_object() {
    let backup = queued(1).lease("run", now(), SignedDuration::from_mins(5)).expect("free");
    let definition = ObjectDefinition {
        object_type: ObjectType::parse("contacts").expect("a name"),
        type_id: Some("0-1".to_owned()),
        label: "Contact".to_owned(),
        custom: false,
    };
    let columns = Columns { properties: ["email", "firstname"].map(property).into() };
    let key = "columns.json".to_owned();
    let (object, _) = ObjectExport::discovered(
        &backup.reference(),
        definition,
        ReadMode::Ranges,
        &columns,
        key,
        CountBefore { records: Some(900), listed_empty: false, counted_at: now() },
        now(),
    );
    let added = Committed { records: 300, pages: 3, plain_bytes: 9_000, ..Committed::default() };
    let object = object.commit(1, &added, now()).expect("exporting");
    let world = World::with([&backup]).await;
    world.ledger.commit(&[Change::create(&object)]).await.expect("new");
    world.clock.advance(SignedDuration::from_secs(10));

    let shown = document(&world.get(&path(&backup)).await);

    let described = description::description()["components"]["schemas"]["ObjectProgress"]["properties"].clone();
    let names = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&shown["objects"][0]), names(&described));
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("discovering"), &Value::Null));
    assert_eq!(shown["progress"], json!({"shareDone": 0.0, "secondsLeft": null}));
    described::check("GET", &path(&backup), &world.get(&path(&backup)).await);
    assert_eq!(
        shown["objects"],
        json!([{
            "objectType": "contacts",
            "label": "Contact",
            "custom": false,
            "state": "exporting",
            "readMode": "ranges",
            "generation": 1,
            "columns": 3,
            "records": 300,
            "expectedRecords": 900,
            "pages": 3,
            "bytes": 9_000 + "hs_object_id,email,firstname\r\n".len(),
            "shareDone": 0.3333,
            "secondsLeft": 20,
            "crmTotal": null,
            "verdict": null,
            "window": {"from": "2026-11-22T17:00:00Z", "to": null},
        }])
    );
}

#[tokio::test]
async fn a_download_is_a_new_link_as_redirect_or_as_json() {
    let backup = completed(1);
    let world = World::with([&backup]).await;
    let download = format!("{}/download", path(&backup));
    let link = "memory:///archives/42/a.zip?file=crm-backup-42-2026-11-22-170100Z.zip&seconds=300";

    let redirect = world.get(&download).await;
    assert_eq!((redirect.status().as_u16(), redirect.body()), (302, ""));
    assert_eq!(redirect.headers()["location"], link);
    assert_eq!(redirect.headers()["cache-control"], "no-store");

    let accept = ApiCall::get(&download).by(ADMIN).header("accept", "text/html;q=0.5, application/json");
    let as_json = world.answer(accept).await;
    assert_eq!(document(&as_json), json!({"url": link, "expiresAt": "2026-11-22T17:05:00Z"}));
}

/// D9: old records were stored with more digits.
#[tokio::test]
async fn times_have_milliseconds_at_most_and_objects_of_an_ended_backup_are_unfinished() {
    let long: Timestamp = "2026-11-22T17:00:00.123456789Z".parse().expect("a time");
    let archive =
        completed(1).archive.map(|archive| Archive { expires_at: long + SignedDuration::from_hours(1), ..archive });
    let downloadable = Backup { created_at: long, ended_at: Some(long), archive, ..completed(1) };
    let by = Requester { subject: "user-1".to_owned(), email: None };
    let deleted = downloadable.apply(BackupEvent::ArchiveDeleted(by), long).expect("not yet expired");
    let failed = Backup { created_at: long, ended_at: Some(long), ..failed(2) };
    let definition = ObjectDefinition {
        object_type: ObjectType::parse("contacts").expect("a name"),
        type_id: None,
        label: "Contact".to_owned(),
        custom: false,
    };
    let columns = Columns { properties: Vec::new() };
    let (object, _) = ObjectExport::discovered(
        &failed.reference(),
        definition,
        ReadMode::Sequential,
        &columns,
        "k".to_owned(),
        CountBefore { records: None, listed_empty: false, counted_at: long },
        long,
    );
    for backup in [downloadable, deleted, failed] {
        let world = World::with([&backup]).await;
        world.ledger.commit(&[Change::create(&object)]).await.expect("new");
        world.clock.set(long);
        for path in [path(&backup), "/accounts/42/backups".to_owned(), format!("{}/download", path(&backup))] {
            let response = world.answer(ApiCall::get(&path).by(ADMIN).header("accept", "application/json")).await;
            described::check("GET", &path, &response);
        }
        let shown = document(&world.get(&path(&backup)).await);
        assert_eq!(shown["createdAt"], "2026-11-22T17:00:00.123Z");
        if let Some(object) = shown["objects"].get(0) {
            assert_eq!((&object["state"], &object["secondsLeft"]), (&json!("unfinished"), &Value::Null));
        }
    }
}

#[tokio::test]
async fn an_expired_backup_stays_listed_and_cannot_be_downloaded() {
    let backup = completed(1);
    let world = World::with([&backup]).await;
    world.clock.advance(SignedDuration::from_hours(14 * 24));
    let gone = world.get(&format!("{}/download", path(&backup))).await;
    assert_eq!(problem(&gone), (410, kind("archive-expired")));
    assert_eq!(document(&gone)["expiredAt"], "2026-12-06T17:00:00Z");
    assert_eq!(document(&world.get("/accounts/42/backups").await)["backups"][0]["state"], "expired");
    assert_eq!(document(&world.get(&path(&backup)).await)["state"], "expired");
}

#[tokio::test]
async fn a_backup_without_an_archive_cannot_be_downloaded() {
    for backup in [queued(1), failed(1)] {
        let world = World::with([&backup]).await;
        let response = world.get(&format!("{}/download", path(&backup))).await;
        assert_eq!(problem(&response), (409, kind("backup-not-completed")));
    }
}

#[tokio::test]
async fn unknown_accounts_backups_and_paths_have_different_problems() {
    let world = World::empty();
    assert_eq!(problem(&world.get("/accounts/42/backups").await), (404, kind("account-unknown")));
    for unknown in [path(&queued(1)), format!("{}/download", path(&queued(1))), "/accounts/42/backups/x".to_owned()] {
        assert_eq!(problem(&world.get(&unknown).await), (404, kind("backup-unknown")), "{unknown}");
    }
    for call in [ApiCall::get("/nothing"), ApiCall::get("/nothing").by(ADMIN), ApiCall::get("/accounts/42/backups/")] {
        assert_eq!(problem(&world.answer(call).await), (404, kind("path-unknown")));
    }
}

#[tokio::test]
async fn a_wrong_method_gets_the_allowed_ones_even_without_a_token() {
    let world = World::empty();
    for route in &ROUTES {
        let response = world.answer(ApiCall::new("OPTIONS", &route.path.replace("{accountId}", "42"))).await;
        assert_eq!(problem(&response), (405, kind("method-unsupported")), "{}", route.path);
        let allowed = response.headers()["allow"].to_str().expect("ASCII");
        assert_eq!(allowed.contains("GET"), allowed.contains("HEAD"), "{} {allowed}", route.path);
        assert!(allowed.split(", ").any(|method| method == route.method.as_str()), "{} {allowed}", route.path);
    }
}

#[tokio::test]
async fn only_a_super_admin_of_the_account_learns_whether_it_exists() {
    let backup = completed(1);
    let (with, without) = (World::with([&backup]).await, World::empty());
    let paths = ["/accounts/42/backups".to_owned(), path(&backup), format!("{}/download", path(&backup))];
    for (path, groups) in paths.iter().flat_map(|path| [(path, &["43:super-admin"]), (path, &["operators"])]) {
        let call = || ApiCall::get(path).by(groups);
        let (seen, unseen) = (with.answer(call()).await, without.answer(call()).await);
        assert_eq!(problem(&seen), (403, kind("forbidden")), "{path}");
        assert_eq!(seen.body(), unseen.body(), "{path}");
    }
    for path in &paths {
        // The `$default` route has no authorizer, so the function must check.
        assert_eq!(problem(&with.answer(ApiCall::get(path)).await), (401, kind("token-unsuitable")));
    }
}

#[tokio::test]
async fn a_backup_of_another_account_is_unknown() {
    let foreign = Backup { account_id: AccountId::parse("43").expect("digits"), ..completed(1) };
    let world = World::with([&foreign]).await;
    assert_eq!(problem(&world.get(&path(&foreign)).await), (404, kind("backup-unknown")));
}

/// Lists contain no values of the CRM, so they need no fresh second factor.
#[tokio::test]
async fn a_careful_account_hands_out_files_only_after_a_fresh_sign_in() {
    let world = World::empty();
    world.ledger.commit(&[Change::create(&careful_account())]).await.expect("empty ledger");
    let unknown = "/accounts/42/backups/0198a000-0000-7000-8000-000000000000/download";
    for (path, expected) in [(unknown, 404), ("/accounts/42/audit-log.csv", 302)] {
        let old = world.answer(ApiCall::get(path).by(ADMIN)).await;
        assert_eq!((old.status().as_u16(), &document(&old)["type"]), (401, &kind("step-up")), "{path}");
        let fresh = world.answer(ApiCall::get(path).by_signed_in(ADMIN, now())).await;
        assert_eq!(fresh.status(), expected, "{path}: {}", fresh.body());
    }
    for path in ["/accounts/42/backups", "/accounts/42/audit-log"] {
        assert_eq!(world.answer(ApiCall::get(path).by(ADMIN)).await.status(), 200, "{path}");
    }
}
