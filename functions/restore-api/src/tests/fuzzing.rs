//! Fuzzing of bodies: none gets a 5xx answer, and every answer fits the description.

use fuzz::{Form, Target};
use http_api::testing::account::{ADMIN, now};
use http_api::testing::{AUDIENCE, ApiCall};
use serde_json::{Value, json};

use super::{RESTORES, World};

const WORDS: &[&str] = &[
    "backupId",
    "objectType",
    "properties",
    "contacts",
    "email",
    "0198a000-0000-7000-8000-000000000000",
    "acknowledgements",
    "dataChanges",
    "cannotBeUndoneInCrm",
    "includeEdited",
];

#[test]
fn fuzz_restore_body() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let target = Target { memory: 16 << 20, ..Target::new("restore_body", Form::Json, WORDS) };
    target.fuzz(|input| {
        let body = String::from_utf8_lossy(input);
        let one = format!("{RESTORES}/0198a000-0000-7000-8000-000000000000");
        let is_confirmed = serde_json::from_slice::<Value>(input).is_ok_and(|document| {
            let given = &document["acknowledgements"];
            given["dataChanges"] == true && given["cannotBeUndoneInCrm"] == true
        });
        let claims = json!({
            "sub": "user-1", "aud": AUDIENCE, "token_use": "id", "cognito:groups": ADMIN, "auth_time": now().as_second(),
        });
        runtime.block_on(async {
            let world = World::connected().await;
            let mut statuses = Vec::new();
            for path in [RESTORES.to_owned(), format!("{one}/confirm"), format!("{one}/undo"), format!("{one}/stop")] {
                let before = (world.ledger.all(), world.queue.queued());
                let signed_in = |call: ApiCall| call.with_claims(&claims).body(&body);
                let response = world.answer("POST", &path, signed_in).await;
                let status = response.status().as_u16();
                // The account has no backup and no restore.
                assert!((400..500).contains(&status), "{}", response.body());
                assert_eq!((world.ledger.all(), world.queue.queued()), before, "a refusal changes something");
                assert!(status != 404 || !path.ends_with("confirm") || is_confirmed, "not acknowledged");
                statuses.push(status);
            }
            statuses
        })
    });
}
