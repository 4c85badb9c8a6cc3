//! A CRM that refuses or does not answer: whoever connects is told at once, a backup fails with a reason, and neither
//! keeps anybody from trying again.

use std::collections::BTreeSet;

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

#[test]
fn a_missing_scope_fails_the_backup_before_anything_is_read_and_is_named() -> Result<()> {
    let portal = json!({
        "seed": 32, "records": { "contacts": 20, "deals": 20 }, "variants": { "sensitiveDefinitions": "scoped" },
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    for lacking in
        ["crm.objects.deals.read", "crm.objects.contacts.sensitive.read", "crm.schemas.custom.read", "tickets"]
    {
        let scopes: Vec<_> = all_scopes().into_iter().filter(|scope| scope != lacking).collect();
        journey.portal.change(&json!({ "scopes": scopes }))?;

        let backup_id = journey.backups().create()?;

        let (kind, sentence) = reason(&journey.await_end(&backup_id)?);
        assert_eq!(kind, "crm-scopes-missing", "without {lacking}: {sentence}");
        assert!(sentence.contains(lacking), "{sentence}");
        assert!(nothing_was_read(&journey.shown(&backup_id)?), "without {lacking}");
    }
    journey.portal.change(&json!({ "scopes": all_scopes() }))?;
    succeeds_now(&journey)
}

#[test]
fn all_missing_scopes_of_all_objects_are_named_at_once() -> Result<()> {
    let portal = json!({
        "seed": 37, "records": { "contacts": 20, "deals": 20, "conversations": 5 },
        "variants": { "sensitiveDefinitions": "scoped" },
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let lacking = BTreeSet::from([
        "conversations.read",
        "crm.objects.contacts.highly_sensitive.read",
        "crm.objects.contacts.sensitive.read",
        "crm.objects.deals.read",
        "crm.schemas.contacts.read",
        "crm.schemas.custom.read",
        "crm.schemas.products.read",
        "tickets",
    ]);
    let granted: Vec<_> = all_scopes().into_iter().filter(|scope| !lacking.contains(scope.as_str())).collect();
    journey.portal.change(&json!({ "scopes": granted }))?;

    let backup_id = journey.backups().create()?;

    let (kind, sentence) = reason(&journey.await_end(&backup_id)?);
    assert_eq!(kind, "crm-scopes-missing", "{sentence}");
    let words: Vec<_> = sentence.split([' ', ',']).map(|word| word.trim_end_matches('.')).collect();
    let known = all_scopes();
    let named: BTreeSet<_> = known.iter().map(String::as_str).filter(|scope| words.contains(scope)).collect();
    assert_eq!(named, lacking, "{sentence}");
    assert!(nothing_was_read(&journey.shown(&backup_id)?));
    journey.portal.change(&json!({ "scopes": known }))?;
    succeeds_now(&journey)
}

#[test]
fn a_crm_that_is_down_for_longer_than_the_retries_fails_the_backup() -> Result<()> {
    let portal = json!({ "seed": 33, "propertySet": "tiny", "records": { "contacts": 150 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.portal.change(&json!({ "faults": endless("serviceUnavailable") }))?;

    let backup_id = journey.backups().create()?;

    let waiting =
        eventually("wait", PATIENCE, || Ok(Some(journey.shown(&backup_id)?).filter(|b| b["waiting"].is_object())))?;
    assert_eq!(waiting["waiting"]["reason"], "crm-unavailable");
    let (kind, sentence) = reason(&journey.await_end(&backup_id)?);
    assert_eq!(kind, "crm-unavailable");
    assert!(sentence.contains("503"), "{sentence}");
    journey.portal.change(&json!({ "faults": {} }))?;
    succeeds_now(&journey)
}

fn nothing_was_read(backup: &Value) -> bool {
    backup["objects"].as_array().is_some_and(|objects| objects.iter().all(|object| object["pages"] == json!(0)))
}

/// The scopes that the README asks for.
fn all_scopes() -> Vec<String> {
    let mut scopes: Vec<_> = ["conversations.read", "tickets"].map(str::to_owned).into();
    for object in ["companies", "contacts", "custom", "deals", "products", "tickets"] {
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
