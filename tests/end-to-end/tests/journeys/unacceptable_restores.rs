//! Requests about restores that cannot be accepted: each answer names what is wrong and where, and nothing is changed.

use dev_stack::failure::Result;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::{assert_problem, fields};
use serde_json::{Value, json};
use ureq::http::Method;

/// The id of a restore that nobody has.
const ABSENT: &str = "0198a000-0000-7000-8000-000000000000";

/// What is wrong with a wish for a restore: its body, then status, problem type and fields at fault.
type Wish<'a> = (Value, u16, &'a str, &'a [&'a str]);

#[test]
fn what_is_wrong_with_a_wish_for_a_restore_is_named() -> Result<()> {
    let portal = json!({ "seed": 100, "propertySet": "tiny", "records": { "contacts": 6 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let (stack, api, path) = (&journey.stack, journey.api(), journey.path("/restores"));
    let backup_id = journey.complete_backup()?.backup_id;
    let good = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["firstname"] });
    let wish = |member: &str, value: Value| {
        let mut wish = good.clone();
        wish[member] = value;
        wish
    };
    let calls = journey.portal.calls(0)?["total"].clone();

    let cases: &[Wish<'_>] = &[
        (json!({}), 422, "input-invalid", &["backupId", "objectType", "properties"]),
        (wish("properties", json!([])), 422, "input-invalid", &["properties"]),
        (wish("properties", json!("firstname")), 422, "input-invalid", &["properties"]),
        (wish("properties", json!(["firstname", 7, ""])), 422, "input-invalid", &["properties[1]", "properties[2]"]),
        (wish("properties", json!(["firstname", "shoe_size"])), 422, "input-invalid", &["properties[1]"]),
        (wish("properties", json!(["hs_object_id"])), 422, "input-invalid", &["properties[0]"]),
        (wish("objectType", json!("deals")), 422, "input-invalid", &["objectType"]),
        (wish("objectType", json!(["contacts"])), 422, "input-invalid", &["objectType"]),
        (wish("backupId", json!(17)), 422, "input-invalid", &["backupId"]),
        (wish("recordIds", json!([1])), 422, "input-invalid", &["recordIds"]),
        (wish("backupId", json!("17")), 404, "backup-unknown", &[]),
        (wish("backupId", json!(ABSENT)), 404, "backup-unknown", &[]),
        (json!([]), 400, "json-malformed", &[]),
    ];
    for (body, status, word, at_fault) in cases {
        println!("{body} expects {status} {word}");
        let document = assert_problem(&api.post(&path, body)?, *status, word);
        assert_eq!(fields(&document), *at_fault, "{document}");
    }
    // Somebody else's backup is unknown, even to those who may restore.
    let other = stack.api().with_token(&stack.super_admin.id_token);
    let answer = other.post(&format!("/accounts/{}/restores", stack.account_id), &good)?;
    assert_problem(&answer, 404, "backup-unknown");

    assert_eq!(journey.portal.calls(0)?["total"], calls, "nobody has asked the CRM");

    // A backup that did not come to its end has nothing to restore.
    let cancelled = journey.backups().create()?;
    expect(200, api.post(&journey.path(&format!("/backups/{cancelled}/cancel")), &json!({}))?)?;
    assert_problem(&api.post(&path, &wish("backupId", json!(cancelled)))?, 409, "backup-not-completed");
    assert_eq!(expect(200, api.get(&path)?)?.json(), json!({ "restores": [] }));
    Ok(())
}

#[test]
fn restores_that_nobody_has_are_unknown_however_their_ids_look() -> Result<()> {
    let portal = json!({ "seed": 101, "propertySet": "tiny", "records": { "contacts": 6 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let stack = &journey.stack;
    let backup_id = journey.complete_backup()?.backup_id;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    let shown = journey.restores().get(&planned)?;
    let both = json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": true } });
    // Somebody who has signed in just now, or nothing could be confirmed anyway.
    let group = format!("{}:super-admin", stack.account_id);
    let other = stack.users.new_user(&format!("other-{}", journey.account_id), &[&group])?;
    let other = stack.api().with_token(&other.id_token);

    for (api, account, id) in [
        (journey.api(), &journey.account_id, "17"),
        (journey.api(), &journey.account_id, ABSENT),
        (other, &stack.account_id, planned.as_str()),
    ] {
        let (restore, import) =
            (format!("/accounts/{account}/restores/{id}"), format!("/accounts/{account}/imports/{id}"));
        for (method, path, body, word) in [
            (Method::GET, restore.clone(), &json!({}), "restore-unknown"),
            (Method::GET, format!("{restore}/skipped.csv"), &json!({}), "restore-unknown"),
            (Method::POST, format!("{restore}/confirm"), &both, "restore-unknown"),
            (Method::POST, format!("{restore}/cancel"), &json!({}), "restore-unknown"),
            (Method::POST, format!("{restore}/stop"), &json!({}), "restore-unknown"),
            (Method::POST, format!("{restore}/undo"), &json!({}), "restore-unknown"),
            (Method::GET, import.clone(), &json!({}), "import-unknown"),
            (Method::GET, format!("{import}/errors.csv"), &json!({}), "import-unknown"),
        ] {
            println!("{method} {path} expects {word}");
            let body = if method == Method::GET { Vec::new() } else { body.to_string().into_bytes() };
            assert_problem(&api.send(&method, &path, &[], body)?, 404, word);
        }
    }
    let api = journey.api();
    for list in ["restores", "imports"] {
        for query in ["limit=0", "limit=many", "cursor=x"] {
            let answer = api.get(&journey.path(&format!("/{list}?{query}")))?;
            let document = assert_problem(&answer, 400, "parameter-invalid");
            assert_eq!(fields(&document), [query.split('=').next().unwrap_or_default()]);
        }
    }
    let restore = journey.path(&format!("/restores/{planned}"));
    assert_problem(&api.send(&Method::DELETE, &restore, &[], Vec::new())?, 405, "method-unsupported");
    let edited = json!({ "includeEdited": "yes" });
    assert_eq!(
        fields(&assert_problem(&api.post(&format!("{restore}/undo"), &edited)?, 422, "input-invalid")),
        ["includeEdited"]
    );
    assert_eq!(journey.restores().get(&planned)?, shown);
    Ok(())
}

#[test]
fn what_comes_out_of_turn_is_refused_with_what_to_do_instead() -> Result<()> {
    let portal = json!({ "seed": 102, "propertySet": "tiny", "records": { "contacts": 120 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let (portal, restores) = (&journey.portal, journey.restores());
    let backup_id = journey.complete_backup()?.backup_id;
    let ids = portal.truth("contacts")?.having("firstname");
    portal.edit("contacts", &ids[..5], &json!({ "firstname": "Overwritten" }))?;
    let post =
        |id: &str, action: &str| journey.api().post(&journey.path(&format!("/restores/{id}/{action}")), &json!({}));
    let refused = |id: &str, action: &str, status, word: &str| -> Result<Value> {
        println!("{action} expects {status} {word}");
        let answer = if action == "confirm" { journey.confirm(id)? } else { post(id, action)? };
        Ok(assert_problem(&answer, status, word))
    };

    // While it is planned by a slow CRM.
    portal.change(&json!({ "latencyMs": 4_000 }))?;
    let restore_id = restores.plan(&backup_id, "contacts", &["firstname"])?;
    refused(&restore_id, "confirm", 409, "plan-not-ready")?;
    refused(&restore_id, "stop", 409, "restore-not-running")?;
    refused(&restore_id, "undo", 409, "restore-not-ended")?;
    portal.change(&json!({ "latencyMs": 0 }))?;

    // While its plan waits.
    journey.await_plan(restore_id.clone())?;
    refused(&restore_id, "stop", 409, "restore-not-running")?;
    refused(&restore_id, "undo", 409, "restore-not-ended")?;
    assert_problem(
        &journey.api().get(&journey.path(&format!("/restores/{restore_id}/skipped.csv")))?,
        404,
        "no-errors-file",
    );

    // While it runs.
    portal.change(&json!({ "latencyMs": 4_000 }))?;
    restores.confirm(&restore_id)?;
    refused(&restore_id, "confirm", 409, "restore-already-confirmed")?;
    refused(&restore_id, "cancel", 409, "restore-already-confirmed")?;
    refused(&restore_id, "undo", 409, "restore-not-ended")?;
    portal.change(&json!({ "latencyMs": 0 }))?;

    // After its end.
    let completed =
        eventually("end", PATIENCE, || Ok(Some(restores.get(&restore_id)?).filter(|r| r.state == "completed")))?;
    refused(&restore_id, "confirm", 409, "restore-already-confirmed")?;
    refused(&restore_id, "cancel", 409, "restore-ended")?;
    refused(&restore_id, "stop", 409, "restore-ended")?;
    let import = journey.path(&format!("/imports/{restore_id}/errors.csv"));
    assert_problem(&journey.api().get(&import)?, 404, "no-errors-file");

    // Its undo is one, and has none. One that is cancelled makes room.
    let unwanted = journey.plan_undo(&restore_id, false)?.restore_id;
    assert_eq!(refused(&restore_id, "undo", 409, "undo-exists")?["restoreId"], unwanted);
    restores.cancel(&unwanted)?;
    refused(&unwanted, "undo", 409, "undo-of-undo")?;
    let undo = journey.plan_undo(&restore_id, false)?.restore_id;
    assert_eq!(journey.carry_out(&undo)?.state, "completed");
    refused(&undo, "undo", 409, "undo-of-undo")?;
    assert_eq!(refused(&restore_id, "undo", 409, "undo-exists")?["restoreId"], undo);

    assert_eq!(restores.get(&restore_id)?, completed, "a completed restore stays what it is");
    Ok(())
}
