//! Requests that start, cancel and delete backups: from API Gateway's event to the answer, over ports in memory.

use std::sync::Arc;

use domain::account::Requester;
use domain::account::{Account, ApiVersion};
use domain::allowance::{Allowance, IdempotentRequest, RestoreAct};
use domain::audit::AuditEntry;
use domain::backup::{Archive, Backup, BackupEvent, BackupState};
use domain::ids::{BackupId, RestoreId};
use domain::ports::ledger::{self, Change, Ledger};
use domain::ports::storage::ETag;
use domain::tier::TierName;
use domain::work::{BackupRef, Work};
use domain::{Failure, FailureKind};
use http_api::response::Response;
use http_api::testing::account::{ADMIN, account, account_id, careful_account, now, step_up};
use http_api::testing::{AUDIENCE, ApiCall, described, document, kind, problem};
use in_memory::faults::{Fault, Faults};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue};
use jiff::SignedDuration;
use serde_json::{Value, json};
use workflows::backup::create::CreateBackup;

use crate::handler::Handler;

const BACKUPS: &str = "/accounts/42/backups";

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    handler: Handler,
}

impl World {
    fn empty() -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let (ledger, queue) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryQueue::new(clock.clone())));
        let step_up = step_up(ledger.clone(), clock.clone());
        let create = CreateBackup { ledger: ledger.clone(), queue: queue.clone(), clock };
        let handler = Handler { create, audience: AUDIENCE.to_owned(), step_up };
        Self { ledger, queue, handler }
    }

    async fn connected() -> Self {
        let world = Self::empty();
        world.ledger.commit(&[Change::create(&account(true))]).await.expect("empty ledger");
        world
    }

    async fn answer(&self, call: ApiCall) -> Response {
        call.answered_by(|request| self.handler.handle(request)).await
    }

    async fn post(&self, path: &str) -> Response {
        self.answer(ApiCall::new("POST", path).by(ADMIN)).await
    }

    /// The status and document of a refused request; checks that it changed nothing.
    async fn refused(&self, call: ApiCall) -> (u16, Value) {
        let before = (self.ledger.all(), self.queue.queued());
        let response = self.answer(call).await;
        assert_eq!((self.ledger.all(), self.queue.queued()), before, "{}", response.body());
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        (response.status().as_u16(), document(&response))
    }
}

fn backup_id(response: &Response) -> String {
    document(response)["backupId"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_backup_is_accepted_at_once_with_its_path() {
    let world = World::connected().await;

    let response = world.answer(ApiCall::new("POST", BACKUPS).by(ADMIN).body("{}")).await;

    let id = backup_id(&response);
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["location"], format!("{BACKUPS}/{id}").as_str());
    assert_eq!(
        document(&response),
        json!({
            "accountId": "42",
            "backupId": id,
            "portalId": 7,
            "apiVersion": "2026-09",
            "createdAt": "2026-11-22T17:00:00Z",
            "createdBy": {"subject": "user-1", "email": "ada@example.com"},
            "state": "queued",
            "containsSensitiveData": null,
        })
    );
    assert!(matches!(world.queue.receive(), Some(Work::Discover { backup }) if backup.backup_id.as_str() == id));
}

#[tokio::test]
async fn a_refused_second_backup_names_the_running_one() {
    let world = World::connected().await;
    let running = backup_id(&world.post(BACKUPS).await);
    let (status, problem) = world.refused(ApiCall::new("POST", BACKUPS).by(ADMIN)).await;
    assert_eq!((status, &problem["type"]), (409, &kind("backup-running")));
    assert_eq!(problem["runningBackupId"], running.as_str());
}

#[tokio::test]
async fn repeating_a_request_with_its_key_returns_the_same_backup() {
    let world = World::connected().await;
    let call = || ApiCall::new("POST", BACKUPS).by(ADMIN).header("idempotency-key", "7f3c");
    let first = world.answer(call()).await;
    let again = world.answer(call()).await;
    assert_eq!((first.status(), first.body()), (again.status(), again.body()));
    assert_eq!(world.queue.queued().len(), 1);
    let malformed = ApiCall::new("POST", BACKUPS).by(ADMIN).header("idempotency-key", "two words");
    let (status, problem) = world.refused(malformed).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!("Idempotency-Key")));
}

/// D2: a key of a restore is refused for a backup until it expires.
#[tokio::test]
async fn a_key_of_a_restore_starts_no_backup() {
    let world = World::connected().await;
    let restore_id = RestoreId::new(now(), [1; 10]);
    let note = IdempotentRequest {
        account_id: account_id(),
        idempotency_key: "k".to_owned(),
        backup_id: IdempotentRequest::no_backup(&restore_id),
        restore: Some(RestoreAct { action: "create-restore".to_owned(), restore_id }),
        forget_at: now() + SignedDuration::from_hours(1),
    };
    world.ledger.commit(&[Change::create(&note)]).await.expect("new");
    let call = || ApiCall::new("POST", BACKUPS).by(ADMIN).header("idempotency-key", "k");
    let response = world.answer(call()).await;
    described::check("POST", BACKUPS, &response);
    let (status, problem) = world.refused(call()).await;
    assert_eq!((status, &problem["type"]), (422, &kind("idempotency-key-taken")));
}

#[tokio::test]
async fn only_a_super_admin_of_the_account_learns_whether_it_exists() {
    let (with, without) = (World::connected().await, World::empty());
    for groups in [
        &[][..],
        &["43:super-admin"],
        &["operators"],
        &["x42:super-admin"],
        &["42:super-admin-of-nothing"],
        &["[42:super-admin operators]"],
    ] {
        let call = || ApiCall::new("POST", BACKUPS).by(groups);
        let (status, problem) = with.refused(call()).await;
        assert_eq!((status, &problem["type"]), (403, &kind("forbidden")), "{groups:?}");
        assert_eq!((status, problem), without.refused(call()).await, "{groups:?}");
    }
    let no_groups = json!({"sub": "user-1", "aud": AUDIENCE, "token_use": "id"});
    assert_eq!(with.refused(ApiCall::new("POST", BACKUPS).with_claims(&no_groups)).await.0, 403);
    // An invalid id.
    assert_eq!(with.refused(ApiCall::new("POST", "/accounts/acme/backups").by(ADMIN)).await.0, 403);
}

#[tokio::test]
async fn an_access_token_or_a_missing_token_gets_401() {
    let world = World::connected().await;
    let access = json!({"sub": "user-1", "client_id": AUDIENCE, "token_use": "access", "cognito:groups": ADMIN});
    for call in [ApiCall::new("POST", BACKUPS).with_claims(&access), ApiCall::new("POST", BACKUPS)] {
        let (status, problem) = world.refused(call).await;
        assert_eq!((status, &problem["type"]), (401, &kind("token-unsuitable")));
    }
}

#[tokio::test]
async fn an_unknown_or_unconnected_account_cannot_start_a_backup() {
    let world = World::empty();
    let (status, problem) = world.refused(ApiCall::new("POST", BACKUPS).by(ADMIN)).await;
    assert_eq!((status, &problem["type"]), (404, &kind("account-unknown")));
    world.ledger.commit(&[Change::create(&account(false))]).await.expect("empty ledger");
    let (status, problem) = world.refused(ApiCall::new("POST", BACKUPS).by(ADMIN)).await;
    assert_eq!((status, &problem["type"]), (409, &kind("account-not-connected")));
}

#[tokio::test]
async fn a_body_with_content_is_refused() {
    let world = World::connected().await;
    for (body, status, word) in [
        ("{", 400, "json-malformed"),
        (r#"{"objects":["contacts"]}"#, 422, "input-invalid"),
        (&" ".repeat(262_145), 413, "body-too-large"),
    ] {
        let (answered, problem) = world.refused(ApiCall::new("POST", BACKUPS).by(ADMIN).body(body)).await;
        assert_eq!((answered, &problem["type"]), (status, &kind(word)));
    }
}

#[tokio::test]
async fn cancelling_a_backup_twice_returns_the_same_answer() {
    let world = World::connected().await;
    let id = backup_id(&world.post(BACKUPS).await);
    let cancel = format!("{BACKUPS}/{id}/cancel");

    let cancelled = world.post(&cancel).await;

    assert_eq!((cancelled.status().as_u16(), &document(&cancelled)["state"]), (200, &json!("cancelled")));
    assert_eq!(world.post(&cancel).await.body(), cancelled.body());
    assert_eq!(world.post(BACKUPS).await.status(), 202, "the account is free again");
}

#[tokio::test]
async fn an_ended_or_unknown_backup_cannot_be_cancelled() {
    let world = World::connected().await;
    let id = BackupId::parse(&backup_id(&world.post(BACKUPS).await)).expect("an id");
    let backup = BackupRef { account_id: account_id(), backup_id: id };
    let loaded = ledger::load::<Backup>(&*world.ledger, &Backup::key_of(&backup)).await.expect("readable");
    let loaded = loaded.expect("present");
    let failed = BackupEvent::Failed(Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token."));
    let failed = loaded.record.apply(failed, now()).expect("running");
    world.ledger.commit(&[Change::replace(&loaded, &failed)]).await.expect("unchanged");

    let cancel = |id: &str| ApiCall::new("POST", &format!("{BACKUPS}/{id}/cancel")).by(ADMIN);
    let (status, problem) = world.refused(cancel(backup.backup_id.as_str())).await;
    assert_eq!((status, &problem["type"]), (409, &kind("backup-ended")));
    for unknown in ["0198a000-0000-7000-8000-000000000000", "latest", ".."] {
        let (status, problem) = world.refused(cancel(unknown)).await;
        assert_eq!((status, &problem["type"]), (404, &kind("backup-unknown")), "{unknown}");
    }
}

#[tokio::test]
async fn a_failed_ledger_call_becomes_a_503_with_retry_after() {
    let world = World::connected().await;
    let faults = Faults::at(1, Fault::CallFails);
    let ledger = faults.worker().wrap(world.ledger.clone());
    let create = CreateBackup { ledger, ..world.handler.create.clone() };
    let handler = Handler { create, audience: AUDIENCE.to_owned(), step_up: world.handler.step_up.clone() };
    let response = ApiCall::new("POST", BACKUPS).by(ADMIN).answered_by(|request| handler.handle(request)).await;
    assert_eq!(problem(&response), (503, kind("unavailable")));
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.body().contains("injected"), "the cause is only logged");
}

#[tokio::test]
async fn a_backup_that_is_too_early_gets_the_time_of_the_next_one() {
    let world = World::empty();
    let plan = TierName::parse("enterprise").expect("a plan");
    let used = Allowance { used_at: Some(now() - SignedDuration::from_hours(20)), ..Allowance::free(account_id()) };
    let changes = [Change::create(&Account { tier: plan, ..account(true) }), Change::create(&used)];
    world.ledger.commit(&changes).await.expect("empty ledger");

    let response = world.post(BACKUPS).await;

    described::check("POST", BACKUPS, &response);
    assert_eq!(problem(&response), (429, kind("backup-too-early")));
    assert_eq!(document(&response)["nextAllowedAt"], "2026-11-22T21:00:00Z");
    assert_eq!(response.headers()["retry-after"], "14401");
}

#[tokio::test]
async fn deleting_an_archive_twice_returns_the_same_answer_and_keeps_the_backup() {
    let world = World::connected().await;
    let backup = completed();
    world.ledger.commit(&[Change::create(&backup)]).await.expect("new");
    let path = format!("{BACKUPS}/{}", backup.backup_id);
    for _ in 0..2 {
        let response = world.answer(ApiCall::new("DELETE", &path).by(ADMIN)).await;
        described::check("DELETE", &path, &response);
        let shown = document(&response);
        assert_eq!((response.status().as_u16(), &shown["state"]), (200, &json!("deleted")));
        assert_eq!(shown["deletion"]["by"]["subject"], "user-1");
        assert_eq!(world.queue.receive(), Some(Work::Sweep { backup: backup.reference() }));
    }
    let entries = ledger::list::<AuditEntry>(&*world.ledger, "AUDIT#42", "").await.expect("readable");
    assert_eq!(entries.iter().filter(|entry| entry.record.action == "delete-backup").count(), 1);
}

#[tokio::test]
async fn a_backup_without_an_archive_cannot_be_deleted() {
    let world = World::connected().await;
    let running = format!("{BACKUPS}/{}", backup_id(&world.post(BACKUPS).await));
    let expired =
        Backup { archive: completed().archive.map(|archive| Archive { expires_at: now(), ..archive }), ..completed() };
    world.ledger.commit(&[Change::create(&expired)]).await.expect("new");
    let unknown = format!("{BACKUPS}/x");
    for (path, status, word) in [
        (running, 409, "backup-not-completed"),
        (format!("{BACKUPS}/{}", expired.backup_id), 410, "archive-expired"),
        (unknown, 404, "backup-unknown"),
    ] {
        let response = world.answer(ApiCall::new("DELETE", &path).by(ADMIN)).await;
        described::check("DELETE", &path, &response);
        assert_eq!(problem(&response), (status, kind(word)));
    }
}

fn completed() -> Backup {
    let reference = BackupRef { account_id: account_id(), backup_id: BackupId::new(now(), [9; 10]) };
    let by = Requester { subject: "user-1".to_owned(), email: None };
    let archive = Archive {
        storage_key: "archives/42/a.zip".to_owned(),
        manifest_key: "archives/42/a.manifest.json".to_owned(),
        etag: ETag("\"e\"".to_owned()),
        bytes: 1_234,
        expires_at: now() + SignedDuration::from_hours(24),
    };
    Backup {
        state: BackupState::Completed,
        archive: Some(archive),
        ..Backup::accepted(reference, 7, ApiVersion::V2026_09, by, now())
    }
}

/// Account 42 asks for a fresh second factor before an archive is deleted. Starting and cancelling a backup does no harm.
#[tokio::test]
async fn a_careful_account_deletes_archives_only_after_a_fresh_sign_in() {
    let world = World::empty();
    world.ledger.commit(&[Change::create(&careful_account())]).await.expect("empty ledger");
    let id = backup_id(&world.post(BACKUPS).await);
    assert_eq!(world.post(&format!("{BACKUPS}/{id}/cancel")).await.status(), 200);
    let delete = || ApiCall::new("DELETE", &format!("{BACKUPS}/{id}"));
    for call in [delete().by(ADMIN), delete().by_signed_in(ADMIN, now() - SignedDuration::from_mins(6))] {
        let (status, problem) = world.refused(call).await;
        assert_eq!((status, &problem["type"]), (401, &kind("step-up")));
    }
    let (status, problem) = world.refused(delete().by_signed_in(ADMIN, now())).await;
    assert_eq!((status, &problem["type"]), (409, &kind("backup-not-completed")), "it was cancelled");
}
