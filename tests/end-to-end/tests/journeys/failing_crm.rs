//! A CRM that refuses or does not answer: connecting fails at once. A backup names what it may not read, waits out an
//! outage, or fails with a reason. Afterwards another one can be started.

use dev_stack::backups::Backup;
use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::{assert_problem, fields};
use serde_json::{Value, json};

const TOKEN: &str = "crmConnection.token";

/// The reason of a backup that must have failed: its kind and its sentence.
fn reason(backup: &Backup) -> (String, String) {
    assert_eq!(backup.state, "failed");
    let failure = backup.failure.clone().unwrap_or_default();
    let text = |member: &str| failure[member].as_str().unwrap_or_default().to_owned();
    (text("kind"), text("sentence"))
}

/// After a failure and its mending, the account is as good as new.
fn succeeds_now(journey: &Journey) -> Result<()> {
    let backup = journey.complete_backup()?;
    Download::of(journey, &backup.backup_id)?.must_hold_all_of(&journey.portal)
}

#[test]
fn a_connection_that_does_not_work_is_not_accepted() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 30 }))? else { return Ok(()) };
    let url = &journey.stack.sandbox_url;
    let connect = |token: &str| {
        let connection = json!({ "baseUrl": url, "token": token });
        journey.api().put(&journey.path(""), &json!({ "crmConnection": connection }))
    };
    let connection =
        || -> Result<Value> { Ok(expect(200, journey.api().get(&journey.path(""))?)?.json()["crmConnection"].clone()) };

    journey.portal.change(&json!({ "tokenRevoked": true }))?;
    let refused = assert_problem(&connect(&journey.portal.token)?, 422, "crm-token-refused");
    assert_eq!(fields(&refused), [TOKEN]);
    journey.portal.change(&json!({ "tokenRevoked": false, "faults": endless("serviceUnavailable") }))?;
    let answer = connect(&journey.portal.token)?;
    assert_problem(&answer, 503, "crm-unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(connection()?.is_null(), "nothing was stored");

    journey.portal.change(&json!({ "faults": {} }))?;
    expect(200, connect(&journey.portal.token)?)?;
    let connected = connection()?;
    assert_eq!(connected["portalId"], journey.portal.portal_id);
    assert!(!connected.to_string().contains(&journey.portal.token), "the token is shown to nobody");
    let differs = assert_problem(&connect("token-of-the-default-portal")?, 409, "portal-differs");
    assert_eq!(fields(&differs), [TOKEN]);
    assert_eq!(connection()?, connected, "nothing was changed");
    Ok(())
}

#[test]
fn a_token_that_is_revoked_while_a_backup_runs_ends_it() -> Result<()> {
    let portal = json!({ "seed": 31, "propertySet": "tiny", "records": { "contacts": 2_000 }, "latencyMs": 700 });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let backup_id = journey.backups().create()?;
    eventually("record that was read", PATIENCE, || {
        Ok(journey.backups().get(&backup_id)?.objects.iter().any(|object| object.records > 0).then_some(()))
    })?;

    journey.portal.change(&json!({ "tokenRevoked": true, "latencyMs": 0 }))?;

    let (kind, sentence) = reason(&journey.await_end(&backup_id)?);
    assert_eq!(kind, "crm-token-refused");
    assert!(sentence.contains("token"), "{sentence}");
    assert_problem(
        &journey.api().get(&journey.path(&format!("/backups/{backup_id}/download")))?,
        409,
        "backup-not-completed",
    );
    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    succeeds_now(&journey)
}

/// B2, B3: what the token may not read is left out and named, the rest is complete, and a restore from it works.
#[test]
fn after_five_failures_in_a_row_backups_pause_until_the_account_is_connected_again() -> Result<()> {
    let portal = json!({ "seed": 35, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.portal.change(&json!({ "tokenRevoked": true }))?;
    for _ in 0..5 {
        let failed = journey.await_end(&journey.backups().create()?)?;
        assert_eq!(reason(&failed).0, "crm-token-refused");
    }

    let refused = assert_problem(&journey.api().post(&journey.path("/backups"), &json!({}))?, 409, "backups-paused");

    assert_eq!(refused["failure"]["kind"], "crm-token-refused");
    assert!(refused["nextAllowedAt"].is_string(), "{refused}");
    let inbox = expect(200, journey.api().get(&journey.path("/notifications"))?)?.json();
    let told = inbox["notifications"].as_array().cloned().unwrap_or_default();
    assert_eq!(told.len(), 5, "{inbox}");
    let pauses = told.iter().filter(|told| told["pausedUntil"].is_string());
    assert_eq!(pauses.count(), 1, "{inbox}");
    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    journey.connect("2026-09")?;
    succeeds_now(&journey)
}

#[test]
fn what_the_token_may_not_read_is_left_out_and_named() -> Result<()> {
    let portal = json!({ "seed": 32, "records": { "contacts": 20, "deals": 20, "tickets": 5 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.complete_backup()?;
    let lacking = ["crm.objects.deals.read", "tickets", "crm.schemas.custom.read"];
    let scopes: Vec<_> = all_scopes().into_iter().filter(|scope| !lacking.contains(&scope.as_str())).collect();
    journey.portal.change(&json!({ "scopes": scopes }))?;

    let backup_id = journey.backups().create()?;
    let backup = journey.await_end(&backup_id)?;

    assert_eq!(backup.state, "completed", "{:?}", backup.failure);
    let shown = journey.shown(&backup_id)?;
    let missing: Vec<_> = shown["missing"].as_array().into_iter().flatten().collect();
    let named: Vec<_> = missing.iter().map(|gap| (gap["objectType"].as_str(), gap["inLastBackup"] == true)).collect();
    assert_eq!(named, [(None, false), (Some("deals"), true), (Some("tickets"), true)], "{shown}");
    assert!(missing[1]["scopes"].to_string().contains("crm.objects.deals.read"), "{shown}");
    let download = Download::of(&journey, &backup_id)?;
    assert!(download.file_of("contacts").is_some() && download.file_of("deals").is_none());
    let inbox = expect(200, journey.api().get(&journey.path("/notifications"))?)?.json();
    let warned = inbox["notifications"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|inbox| inbox.to_string().contains("WARNING: The last backup held"));
    assert!(warned, "{inbox}");
    Ok(())
}

/// A2: values that the token may not see fail the backup before anything is read; a token that sees nothing learns of all
/// scopes.
#[test]
fn hidden_values_and_a_token_that_sees_nothing_fail_the_backup_and_name_the_scopes() -> Result<()> {
    let portal = json!({ "seed": 37, "records": { "contacts": 200, "deals": 20, "conversations": 5 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let hidden = "crm.objects.contacts.sensitive.read";
    let without = |lacking: &[&str]| -> Vec<String> {
        all_scopes().into_iter().filter(|scope| !lacking.contains(&scope.as_str())).collect()
    };
    journey.portal.change(&json!({ "scopes": without(&[hidden]), "variants": { "unseenValues": "null" } }))?;
    let backup_id = journey.backups().create()?;
    let (kind, sentence) = reason(&journey.await_end(&backup_id)?);
    assert_eq!(kind, "crm-scopes-missing", "{sentence}");
    assert!(sentence.contains(hidden), "{sentence}");
    assert!(nothing_was_read(&journey.shown(&backup_id)?));
    let nothing = json!({ "scopes": ["oauth"], "variants": { "scopeNames": "documented" } });
    journey.portal.change(&nothing)?;
    let backup_id = journey.backups().create()?;
    let (kind, sentence) = reason(&journey.await_end(&backup_id)?);
    assert_eq!(kind, "crm-scopes-missing", "{sentence}");
    for scope in ["crm.objects.contacts.read", "crm.objects.deals.read", "conversations.read", "tickets"] {
        assert!(sentence.contains(scope), "{scope}: {sentence}");
    }
    journey.portal.change(&json!({ "scopes": all_scopes(), "variants": {} }))?;
    succeeds_now(&journey)
}

/// B6: a CRM that is down is waited for, and the progress says since when.
#[test]
fn a_crm_that_is_down_for_longer_than_the_retries_is_waited_for() -> Result<()> {
    let portal = json!({ "seed": 33, "propertySet": "tiny", "records": { "contacts": 150 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.portal.change(&json!({ "faults": endless("serviceUnavailable") }))?;

    let backup_id = journey.backups().create()?;

    let waiting =
        eventually("wait", PATIENCE, || Ok(Some(journey.shown(&backup_id)?).filter(|b| b["waiting"].is_object())))?;
    assert_eq!(waiting["waiting"]["reason"], "crm-unavailable");
    assert!(waiting["waiting"]["since"].is_string(), "{waiting}");
    journey.portal.change(&json!({ "faults": {} }))?;
    assert_eq!(journey.await_end(&backup_id)?.state, "completed");
    Download::of(&journey, &backup_id)?.must_hold_all_of(&journey.portal)
}

fn nothing_was_read(backup: &Value) -> bool {
    backup["objects"].as_array().is_some_and(|objects| objects.iter().all(|object| object["pages"] == json!(0)))
}

/// The scopes that docs/admin.md asks for.
fn all_scopes() -> Vec<String> {
    let mut scopes: Vec<_> =
        ["oauth", "conversations.read", "tickets", "tickets.sensitive", "crm.objects.products.read"]
            .map(str::to_owned)
            .into();
    for object in ["companies", "contacts", "custom", "deals"] {
        let of_object =
            ["objects.{}.read", "schemas.{}.read", "objects.{}.sensitive.read", "objects.{}.highly_sensitive.read"];
        scopes.extend(of_object.map(|scope| format!("crm.{}", scope.replace("{}", object))));
    }
    scopes
}

/// A fault that hits every call.
fn endless(fault: &str) -> Value {
    json!({ "script": [{ "fault": fault, "times": null }] })
}
