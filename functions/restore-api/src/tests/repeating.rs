//! D2: repeated requests with their Idempotency-Key.

use domain::allowance::IdempotentRequest;
use domain::ids::BackupId;
use domain::restore::{Restore, RestoreState};
use http_api::response::Response;
use http_api::testing::account::{ADMIN, account_id, now};
use http_api::testing::{AUDIENCE, ApiCall, described, document};
use in_memory::faults::{Fault, Faults};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::samples::{backup, ended, manifest, planned};
use super::{RESTORES, World, handler, is, path, problem};

/// A request that may be sent twice.
struct Twice {
    world: World,
    path: String,
    body: Value,
    /// Calls of the ledger up to the commit.
    calls: u64,
}

impl Twice {
    async fn create() -> Self {
        let (world, backup) = (World::connected().await, backup());
        world.put(&backup).await;
        let archive = backup.archive.as_ref().expect("completed");
        world.write(&archive.manifest_key, &manifest(&backup)).await;
        let body = json!({"backupId": backup.backup_id, "objectType": "contacts", "properties": ["phone", "phone"]});
        Self { world, path: RESTORES.to_owned(), body, calls: 6 }
    }

    async fn undo() -> Self {
        let original = ended(1, RestoreState::Completed);
        let world = World::connected().await;
        world.put(&original).await;
        Self { world, path: format!("{}/undo", path(&original)), body: json!({"includeEdited": true}), calls: 6 }
    }

    async fn confirm() -> Self {
        let plan = planned(1);
        let world = World::connected().await;
        world.put(&plan).await;
        let body = json!({"acknowledgements": {"dataChanges": true, "cannotBeUndoneInCrm": true}});
        Self { world, path: format!("{}/confirm", path(&plan)), body, calls: 5 }
    }

    async fn all() -> [Self; 3] {
        [Self::create().await, Self::undo().await, Self::confirm().await]
    }

    fn call(&self, key: &str) -> ApiCall {
        keyed(&self.path, &self.body, key)
    }

    async fn send(&self, key: &str) -> Response {
        self.world.answer("POST", &self.path, |_| self.call(key)).await
    }

    fn restores(&self) -> usize {
        let stored = self.world.ledger.all();
        stored.iter().filter(|stored| stored.key.sort.starts_with(Restore::PREFIX)).count()
    }
}

/// Sent by a super admin who has just signed in.
fn keyed(path: &str, body: &Value, key: &str) -> ApiCall {
    let claims = json!({
        "sub": "user-1", "aud": AUDIENCE, "token_use": "id", "email": "ada@example.com",
            "email_verified": true, "cognito:groups": ADMIN,
        "auth_time": now().as_second(),
    });
    let call = ApiCall::new("POST", path).with_claims(&claims).body(&body.to_string());
    call.header("idempotency-key", key)
}

#[tokio::test]
async fn a_request_repeated_with_its_key_gets_the_same_answer() {
    for twice in Twice::all().await {
        let first = twice.send("k").await;
        assert_eq!(first.status(), 202, "{}: {}", twice.path, first.body());
        let restores = twice.restores();
        assert_eq!(twice.send("k").await.body(), first.body(), "{}", twice.path);
        assert_eq!(twice.restores(), restores);
    }
}

/// D2: the slow request is held at every call of the ledger while the fast one completes.
#[tokio::test]
async fn two_requests_with_the_same_key_at_the_same_time_get_the_same_answer() {
    let held_at = [Twice::create().await.calls, Twice::undo().await.calls, Twice::confirm().await.calls];
    for (which, nth) in
        held_at.into_iter().enumerate().flat_map(|(which, calls)| (1..=calls).map(move |nth| (which, nth)))
    {
        let [create, undo, confirm] = Twice::all().await;
        let twice = [create, undo, confirm].into_iter().nth(which).expect("one of three");
        let world = &twice.world;
        let faults = Faults::at(nth, Fault::CallHeld);
        let ledger = faults.worker().wrap(world.ledger.clone());
        let slow = handler(ledger, &world.objects, &world.queue, &world.clock);
        let slow = twice.call("k").answered_by(|request| slow.handle(request));
        let fast = async {
            faults.until_struck().await;
            let answer = twice.send("k").await;
            faults.release();
            answer
        };

        let (again, first) = tokio::join!(slow, fast);

        described::check("POST", &twice.path, &again);
        assert_eq!((first.status().as_u16(), again.status().as_u16()), (202, 202), "{} held at {nth}", twice.path);
        assert_eq!(document(&again), document(&first), "{} held at {nth}", twice.path);
    }
}

#[tokio::test]
async fn a_key_of_another_request_is_refused() {
    let (original, plan) = (ended(1, RestoreState::Completed), planned(2));
    let Twice { world, body: create, .. } = Twice::create().await;
    world.put(&original).await;
    world.put(&plan).await;
    let (undo, confirm) = (format!("{}/undo", path(&original)), format!("{}/confirm", path(&plan)));
    let acknowledged = json!({"acknowledgements": {"dataChanges": true, "cannotBeUndoneInCrm": true}});
    let firsts = [(RESTORES, &create), (undo.as_str(), &json!({})), (confirm.as_str(), &acknowledged)];
    for (place, (path, body)) in firsts.into_iter().enumerate() {
        let response = world.answer("POST", path, |_| keyed(path, body, &format!("k{place}"))).await;
        assert_eq!(response.status(), 202, "{}", response.body());
    }
    let mut other = create.clone();
    other["properties"] = json!(["jobtitle"]);
    let others = [(RESTORES, &other), (undo.as_str(), &json!({"includeEdited": true}))];
    let before = world.ledger.all();
    for (place, (path, body)) in (0..3).flat_map(|place| others.iter().chain(&firsts).map(move |other| (place, other)))
    {
        if firsts[place] == (*path, *body) {
            continue;
        }
        let response = world.answer("POST", path, |_| keyed(path, body, &format!("k{place}"))).await;
        is(&problem(&response), 422, "idempotency-key-taken");
        assert_eq!(problem(&response)["errors"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(world.ledger.all(), before);
}

#[tokio::test]
async fn a_key_of_a_backup_starts_no_restore_until_it_expires() {
    let twice = Twice::create().await;
    let note = IdempotentRequest {
        account_id: account_id(),
        idempotency_key: "k".to_owned(),
        backup_id: BackupId::new(now(), [1; 10]),
        restore: None,
        forget_at: now() + SignedDuration::from_hours(1),
    };
    twice.world.put(&note).await;
    is(&problem(&twice.send("k").await), 422, "idempotency-key-taken");
    twice.world.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(twice.send("k").await.status(), 202);
}

#[tokio::test]
async fn an_invalid_key_is_named() {
    for twice in Twice::all().await {
        let response = twice.send("two words").await;
        is(&problem(&response), 400, "parameter-invalid");
        assert_eq!(problem(&response)["errors"][0]["field"], "Idempotency-Key");
    }
}
