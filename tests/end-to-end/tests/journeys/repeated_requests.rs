//! Requests that come again: under their Idempotency-Key they do nothing twice, and what the client has already is not sent
//! once more.

use std::sync::Barrier;
use std::thread;

use dev_stack::api::Answer;
use dev_stack::failure::Result;
use end_to_end::journey::{Journey, expect};
use end_to_end::problem::{assert_problem, fields};
use serde_json::{Value, json};
use ureq::http::Method;

/// Requests with one key at the same moment, as by an impatient double click.
const CLICKS: usize = 10;

fn keyed(journey: &Journey, path: &str, key: &str, body: &Value) -> Result<Answer> {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    journey.api().send(&Method::POST, &journey.path(path), &headers, body.to_string().into_bytes())
}

/// The answers to the same request, sent many times at once; all must be accepted and name the same thing by `id`.
fn clicked(journey: &Journey, path: &str, key: &str, body: &Value, id: &str) -> Result<String> {
    let barrier = Barrier::new(CLICKS);
    let answers = thread::scope(|scope| {
        let asked: Vec<_> = (0..CLICKS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    keyed(journey, path, key, body)
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let mut ids = Vec::new();
    for answer in answers {
        let made = expect(202, answer)?.json();
        ids.push(made[id].as_str().unwrap_or_default().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    Ok(ids.remove(0))
}

/// D2: every click gets the answer of the first one, for a backup, a restore, its confirmation and its undo.
#[test]
fn a_double_click_does_nothing_twice_and_is_told_nothing_else() -> Result<()> {
    let portal = json!({ "seed": 71, "propertySet": "tiny", "records": { "contacts": 20 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };

    let backup_id = clicked(&journey, "/backups", "backup", &json!({}), "backupId")?;
    journey.await_completion(&backup_id)?;
    let listed = expect(200, journey.api().get(&journey.path("/backups"))?)?.json();
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(1), "{listed}");

    let before = journey.portal.truth("contacts")?;
    journey.portal.edit("contacts", &before.live(), &json!({ "firstname": "Overwritten" }))?;
    let wish = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["firstname"] });
    let restore_id = clicked(&journey, "/restores", "restore", &wish, "restoreId")?;
    journey.await_plan(restore_id.clone())?;
    let other = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["lastname"] });
    for (path, key, body) in [("/restores", "restore", &other), ("/restores", "backup", &wish)] {
        let problem = assert_problem(&keyed(&journey, path, key, body)?, 422, "idempotency-key-taken");
        assert_eq!(fields(&problem), ["Idempotency-Key"]);
    }
    let acknowledged = json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": true } });
    let confirm = format!("/restores/{restore_id}/confirm");
    assert_eq!(clicked(&journey, &confirm, "confirm", &acknowledged, "restoreId")?, restore_id);
    journey.await_rest(&restore_id)?;
    let undo_id = clicked(&journey, &format!("/restores/{restore_id}/undo"), "undo", &json!({}), "restoreId")?;
    assert_ne!(undo_id, restore_id);
    let listed = expect(200, journey.api().get(&journey.path("/restores"))?)?.json();
    assert_eq!(listed["restores"].as_array().map(Vec::len), Some(2), "the restore and its undo: {listed}");
    Ok(())
}

/// D10: HEAD is answered wherever GET is, to the same people; and the description is not sent twice.
#[test]
fn a_head_request_is_a_get_request_without_the_body_and_the_description_has_an_etag() -> Result<()> {
    let portal = json!({ "seed": 72, "propertySet": "tiny", "records": { "contacts": 5 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let (backups, account) = (journey.path("/backups"), journey.path(""));
    for path in ["/openapi.json", backups.as_str(), account.as_str()] {
        let head = journey.api().send(&Method::HEAD, path, &[], Vec::new())?;
        let get = journey.api().get(path)?;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.headers.get("content-type"), get.headers.get("content-type"), "{path}");
    }
    let nobody = journey.stack.api().send(&Method::HEAD, &backups, &[], Vec::new())?;
    assert_eq!(nobody.status, 401, "nobody sees anything without a token");

    let described = expect(200, journey.api().get("/openapi.json")?)?;
    let etag = described.headers["etag"].to_str().unwrap_or_default().to_owned();
    let again = journey.api().send(&Method::GET, "/openapi.json", &[("if-none-match", &etag)], Vec::new())?;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    Ok(())
}
