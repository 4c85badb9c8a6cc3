//! Confirming, cancelling and stopping restores: one at a time, and the account is free for the next one however a restore
//! ends. That it is after a worker was killed is in `killed_restores.rs`.

use dev_stack::failure::Result;
use dev_stack::restores::Import;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::{assert_problem, fields};
use end_to_end::truth::Truth;
use serde_json::{Value, json};

/// Records that take three rounds of eight batches and one batch more, so that there is time to interfere.
const MANY: u64 = 2_500;

fn contacts(seed: u64, records: u64) -> Value {
    json!({ "seed": seed, "propertySet": "tiny", "records": { "contacts": records } })
}

/// Backs the account up and then overwrites first and last names. Returns the backup and what it holds.
fn damage(journey: &Journey) -> Result<(String, Truth)> {
    let backup_id = journey.complete_backup()?.backup_id;
    let before = journey.portal.truth("contacts")?;
    let edit = json!({ "firstname": "Overwritten", "lastname": "Overwritten" });
    journey.portal.edit("contacts", &before.live(), &edit)?;
    Ok((backup_id, before))
}

/// Has a plan carried out by a slow CRM, and waits until it has answered a write.
fn begin_slowly(journey: &Journey, restore_id: &str) -> Result<()> {
    journey.portal.change(&json!({ "latencyMs": 3_000 }))?;
    journey.restores().confirm(restore_id)?;
    eventually("write", PATIENCE, || Ok((journey.portal.called("batchUpdate", "contacts")?.records > 0).then_some(())))
}

/// How many records have the first name that they should have.
fn right(journey: &Journey, before: &Truth) -> Result<u64> {
    let now = journey.portal.truth("contacts")?;
    let ids = before.live().into_iter();
    Ok(ids.filter(|id| now.value(*id, "firstname") == before.value(*id, "firstname")).count() as u64)
}

/// Restored values stay restored and are reported, and another restore does the rest.
fn ends_half_way_and_makes_room(journey: &Journey, before: &Truth, import: &Import, backup_id: &str) -> Result<()> {
    let counts = &import.counts;
    let right = right(journey, before)?;
    assert!(right > 0 && right < MANY, "{right} of {MANY} are restored");
    assert!((counts.values_restored..=counts.values_restored + counts.values_unclear).contains(&right), "{counts:?}");
    let shown = journey.restores().get(&import.restore_id)?;
    assert_eq!((&shown.state, shown.outcome.as_ref()), (&import.state, Some(counts)));
    assert_eq!(journey.restores().imports()?, std::slice::from_ref(import));
    let lasting = journey.portal.truth("contacts")?;

    let rest = journey.plan(backup_id, "contacts", &["firstname"])?;
    assert_eq!(rest.plan.records.changed, MANY - right);
    assert_eq!(journey.portal.truth("contacts")?, lasting, "nobody writes any more");
    assert_eq!(journey.carry_out(&rest.restore_id)?.state, "completed");
    assert_eq!(self::right(journey, before)?, MANY);
    Ok(())
}

#[test]
fn nothing_is_written_before_both_acknowledgements_are_given() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(70, 20))? else { return Ok(()) };
    let (backup_id, _) = damage(&journey)?;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    let damaged = journey.portal.truth("contacts")?;
    let confirm = journey.path(&format!("/restores/{planned}/confirm"));
    let (changes, undone) = ("acknowledgements.dataChanges", "acknowledgements.cannotBeUndoneInCrm");

    for (body, at_fault) in [
        (json!({}), &[changes, undone][..]),
        (json!({ "acknowledgements": { "dataChanges": true } }), &[undone]),
        (json!({ "acknowledgements": { "cannotBeUndoneInCrm": true } }), &[changes]),
        (json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": false } }), &[undone]),
        (json!({ "acknowledgements": { "dataChanges": "true", "cannotBeUndoneInCrm": 1 } }), &[changes, undone]),
        (
            json!({ "dataChanges": true, "cannotBeUndoneInCrm": true }),
            &[changes, undone, "cannotBeUndoneInCrm", "dataChanges"],
        ),
    ] {
        let refused = assert_problem(&journey.api().post(&confirm, &body)?, 422, "input-invalid");
        assert_eq!(fields(&refused), at_fault, "{body}");
    }

    assert_eq!(journey.restores().get(&planned)?.state, "planned");
    assert_eq!(journey.portal.truth("contacts")?, damaged);
    assert_eq!(journey.carry_out(&planned)?.state, "completed");
    Ok(())
}

#[test]
fn one_restore_runs_at_a_time_and_makes_room_when_it_is_completed() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(71, 150))? else { return Ok(()) };
    let (backup_id, before) = damage(&journey)?;
    let first = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    let second = journey.plan(&backup_id, "contacts", &["lastname"])?.restore_id;
    journey.portal.change(&json!({ "latencyMs": 3_000 }))?;

    let accepted = expect(202, journey.confirm(&first)?)?;
    let location = accepted.headers.get("location").and_then(|value| value.to_str().ok());
    assert_eq!(location, Some(journey.path(&format!("/restores/{first}")).as_str()));
    let running = assert_problem(&journey.confirm(&second)?, 409, "restore-running");
    assert_eq!(running["restoreId"], first);
    assert_eq!(journey.restores().get(&second)?.state, "planned");

    journey.portal.change(&json!({ "latencyMs": 0 }))?;
    assert_eq!(journey.await_rest(&first)?.state, "completed");
    assert_eq!(journey.carry_out(&second)?.state, "completed");
    assert_eq!(journey.portal.truth("contacts")?.changed_since(&before), []);
    let imports = journey.restores().imports()?;
    let listed: Vec<_> = imports.iter().map(|import| import.restore_id.as_str()).collect();
    assert_eq!(listed, [second.as_str(), first.as_str()], "newest first");
    Ok(())
}

#[test]
fn a_plan_that_is_cancelled_is_never_carried_out() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(72, 20))? else { return Ok(()) };
    let (backup_id, _) = damage(&journey)?;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    let damaged = journey.portal.truth("contacts")?;
    let cancel = journey.path(&format!("/restores/{planned}/cancel"));

    let cancelled = expect(200, journey.api().post(&cancel, &json!({}))?)?.json();

    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["endedAt"].is_string(), "{cancelled}");
    let again = expect(200, journey.api().post(&cancel, &json!({}))?)?.json();
    assert_eq!(again, cancelled, "cancelling again is the same");
    assert_problem(&journey.confirm(&planned)?, 409, "restore-ended");
    let import = journey.path(&format!("/imports/{planned}"));
    assert_problem(&journey.api().get(&import)?, 404, "import-unknown");
    assert_eq!(journey.portal.truth("contacts")?, damaged);
    Ok(())
}

#[test]
fn what_a_stopped_restore_has_done_stays_done_and_is_listed() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(73, MANY))? else { return Ok(()) };
    let (backup_id, before) = damage(&journey)?;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    begin_slowly(&journey, &planned)?;

    journey.restores().stop(&planned)?;

    let shown = journey.restores().get(&planned)?.state;
    assert!(["stopping", "stopped"].contains(&shown.as_str()), "{shown}");
    journey.portal.change(&json!({ "latencyMs": 0 }))?;
    assert_eq!(journey.await_rest(&planned)?.state, "stopped");
    let import = journey.restores().import(&planned)?;
    assert_eq!((import.state.as_str(), import.failure.as_ref()), ("stopped", None));
    ends_half_way_and_makes_room(&journey, &before, &import, &backup_id)
}

#[test]
fn a_token_that_is_revoked_half_way_fails_the_restore_and_makes_room() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(74, MANY))? else { return Ok(()) };
    let (backup_id, before) = damage(&journey)?;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    begin_slowly(&journey, &planned)?;

    journey.portal.change(&json!({ "tokenRevoked": true, "latencyMs": 0 }))?;

    assert_eq!(journey.await_rest(&planned)?.state, "failed");
    let import = journey.restores().import(&planned)?;
    let failure = import.failure.clone().unwrap_or_default();
    assert_eq!((import.state.as_str(), &failure["kind"]), ("failed", &json!("crm-token-refused")));
    assert!(failure["sentence"].as_str().is_some_and(|sentence| sentence.contains("token")), "{failure}");
    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    ends_half_way_and_makes_room(&journey, &before, &import, &backup_id)
}
