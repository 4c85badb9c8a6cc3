//! One backup at a time, and how each comes to its end: cancelled, completed, expired.

use std::time::Duration;

use dev_stack::api::Answer;
use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};
use ureq::http::Method;

/// Asks for a backup with an Idempotency-Key.
fn create(journey: &Journey, key: &str) -> Result<Answer> {
    journey.api().send(&Method::POST, &journey.path("/backups"), &[("idempotency-key", key)], Vec::new())
}

fn id_of(answer: &Answer) -> String {
    answer.json()["backupId"].as_str().unwrap_or_default().to_owned()
}

fn await_records(journey: &Journey, backup_id: &str) -> Result<()> {
    eventually("record that was read", PATIENCE, || {
        let read = journey.backups().get(backup_id)?.objects.iter().map(|object| object.records).sum::<u64>();
        Ok((read > 0).then_some(()))
    })
}

#[test]
fn one_backup_runs_at_a_time_and_makes_room_when_it_is_cancelled() -> Result<()> {
    let portal = json!({ "seed": 24, "propertySet": "tiny", "records": { "contacts": 3_000 }, "latencyMs": 700 });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let (api, backup) = (journey.api(), |id: &str, rest: &str| journey.path(&format!("/backups/{id}{rest}")));

    let accepted = expect(202, create(&journey, "first")?)?;
    let first = id_of(&accepted);
    let location = accepted.headers.get("location").and_then(|value| value.to_str().ok());
    assert_eq!(location, Some(backup(&first, "").as_str()));
    assert_eq!(id_of(&expect(202, create(&journey, "first")?)?), first, "the same request makes no second backup");
    let running = assert_problem(&create(&journey, "second")?, 409, "backup-running");
    assert_eq!(running["runningBackupId"], first);
    assert_problem(&api.get(&backup(&first, "/download"))?, 409, "backup-not-completed");

    await_records(&journey, &first)?;
    let cancelled = expect(200, api.post(&backup(&first, "/cancel"), &json!({}))?)?.json();
    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["endedAt"].is_string(), "{cancelled}");
    let again = expect(200, api.post(&backup(&first, "/cancel"), &json!({}))?)?.json();
    assert_eq!(again, cancelled, "cancelling again is the same");
    assert_problem(&api.get(&backup(&first, "/download"))?, 409, "backup-not-completed");

    journey.portal.change(&json!({ "latencyMs": 0 }))?;
    let second = id_of(&expect(202, create(&journey, "second")?)?);
    assert_ne!(second, first);
    journey.await_completion(&second)?;
    Download::of(&journey, &second)?.must_hold_all_of(&journey.portal)?;
    assert_eq!(id_of(&expect(202, create(&journey, "first")?)?), first, "the key still stands for the first one");
    assert_eq!(journey.shown(&first)?["state"], "cancelled");
    let listed = expect(200, api.get(&journey.path("/backups"))?)?.json();
    assert_eq!(ids(&listed), [second.as_str(), first.as_str()], "newest first");
    eventually("end of the sweep", PATIENCE, || {
        let left = journey.aws().keys(&format!("segments/{}/", journey.account_id))?;
        Ok(left.is_empty().then_some(()))
    })
}

#[test]
fn an_archive_is_there_until_it_expires() -> Result<()> {
    let portal = json!({ "seed": 25, "propertySet": "tiny", "records": { "deals": 40 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let api = journey.api();

    let backup_id = journey.complete_backup()?.backup_id;
    let (path, cancel) = (format!("/backups/{backup_id}"), format!("/backups/{backup_id}/cancel"));
    let shown = journey.shown(&backup_id)?;
    assert_problem(&api.post(&journey.path(&cancel), &json!({}))?, 409, "backup-ended");
    assert_eq!(journey.shown(&backup_id)?, shown, "a completed backup stays what it is");
    Download::of(&journey, &backup_id)?.must_hold_all_of(&journey.portal)?;

    journey.aws().expire_archive(&journey.account_id, &backup_id)?;
    let gone = assert_problem(&api.get(&journey.path(&format!("{path}/download")))?, 410, "archive-expired");
    assert!(gone["expiredAt"].is_string(), "{gone}");
    assert_eq!(journey.shown(&backup_id)?["state"], "expired");
    let listed = expect(200, api.get(&journey.path("/backups"))?)?.json();
    assert_eq!(listed["backups"][0]["state"], "expired");
    Ok(())
}

#[test]
fn backups_are_listed_page_by_page() -> Result<()> {
    let Some(journey) = Journey::begin(&json!({ "seed": 26, "propertySet": "tiny" }))? else { return Ok(()) };
    let api = journey.api();
    let mut made = Vec::new();
    for _ in 0..3 {
        let backup_id = journey.backups().create()?;
        expect(200, api.post(&journey.path(&format!("/backups/{backup_id}/cancel")), &json!({}))?)?;
        made.insert(0, backup_id);
        // Ids sort by the millisecond.
        std::thread::sleep(Duration::from_millis(2));
    }

    let first = expect(200, api.get(&journey.path("/backups?limit=2"))?)?.json();
    let next = first["next"].as_str().unwrap_or_default();
    let rest = expect(200, api.get(&journey.path(&format!("/backups?limit=2&cursor={next}")))?)?.json();

    assert_eq!([ids(&first), ids(&rest)].concat(), made);
    assert!(rest["next"].is_null(), "{rest}");
    Ok(())
}

fn ids(page: &Value) -> Vec<&str> {
    page["backups"].as_array().into_iter().flatten().filter_map(|backup| backup["backupId"].as_str()).collect()
}
