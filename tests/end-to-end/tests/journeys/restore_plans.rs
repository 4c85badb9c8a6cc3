//! What a plan says about what cannot be restored, and when there is no plan at all.

use std::time::Duration;

use dev_stack::failure::Result;
use dev_stack::restores::{PlannedRecords, PlannedValues};
use end_to_end::journey::{Journey, expect};
use end_to_end::problem::{assert_problem, fields};
use end_to_end::restoring::{Planned, Reported};
use serde_json::{Value, json};

fn contacts(seed: u64, records: u64) -> Value {
    json!({ "seed": seed, "propertySet": "tiny", "records": { "contacts": records } })
}

/// Record id and code of each line, in order of the ids.
fn codes(lines: &[Reported]) -> Vec<(u64, &str)> {
    let mut codes: Vec<_> = lines.iter().map(|line| (line.record_id, line.code())).collect();
    codes.sort_unstable();
    codes
}

#[test]
fn deleted_records_are_reported_and_left_alone() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(60, 120))? else { return Ok(()) };
    let portal = &journey.portal;
    let backup_id = journey.complete_backup()?.backup_id;
    let ids = portal.truth("contacts")?.having("firstname");
    portal.edit("contacts", &ids[..10], &json!({ "firstname": "Overwritten" }))?;
    portal.change_records("contacts", &json!({ "archive": [ids[0], ids[30]], "purge": [ids[31]] }))?;
    let deleted = [(ids[0], "RECORD_GONE"), (ids[30], "RECORD_GONE"), (ids[31], "RECORD_GONE")];

    let Planned { restore_id, plan } = journey.plan(&backup_id, "contacts", &["firstname"])?;

    let records = PlannedRecords { read: 120, changed: 9, unchanged: 108, not_found: 3, merged: 0 };
    assert_eq!((plan.records, plan.skipped), (records, true));
    let warned = plan.warnings.iter().find(|warning| warning.kind == "records-not-found");
    assert!(warned.is_some_and(|warning| warning.sentence.contains("recycling bin")), "{:?}", plan.warnings);
    let skipped = journey.skipped_of(&restore_id)?;
    assert_eq!(codes(&skipped), deleted);
    assert!(skipped.iter().all(|line| line.property.is_empty() && line.reason.contains("recycling bin")));

    // One more is deleted before the plan is carried out.
    portal.change_records("contacts", &json!({ "archive": [ids[9]] }))?;
    let before = portal.truth("contacts")?;
    let import = journey.carry_out(&restore_id)?;

    let counts = &import.counts;
    assert_eq!((counts.records_restored, counts.records_failed, counts.values_failed), (8, 1, 1));
    assert!(import.has_errors);
    let errors = journey.errors_of(&import.import_id)?;
    let mut expected = deleted.to_vec();
    expected.push((ids[9], "RECORD_GONE"));
    expected.sort_unstable();
    assert_eq!(codes(&errors), expected);
    let after = portal.truth("contacts")?;
    assert_eq!(after.written_since(&before), ids[1..9]);
    assert_eq!(after.of_state("archived"), before.of_state("archived"), "nothing was brought back");
    Ok(())
}

#[test]
fn a_record_that_was_merged_into_another_is_listed_and_never_written() -> Result<()> {
    let Some(journey) = Journey::begin(&json!({ "seed": 61, "records": { "contacts": 40 } }))? else { return Ok(()) };
    let portal = &journey.portal;
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("contacts")?;
    let ids = before.having("firstname");
    let (survivor, merged, damaged) = (ids[3], ids[7], ids[5]);
    portal.change_records("contacts", &json!({ "merge": { (merged.to_string()): survivor } }))?;
    portal.edit("contacts", &[damaged], &json!({ "firstname": "Overwritten" }))?;

    let Planned { restore_id, plan } = journey.plan(&backup_id, "contacts", &["firstname", "lastname", "email"])?;

    assert_eq!((plan.records.changed, plan.records.merged, plan.records.not_found), (1, 1, 0));
    let skipped = journey.skipped_of(&restore_id)?;
    assert_eq!(codes(&skipped), [(merged, "RECORD_MERGED")]);
    assert!(skipped[0].reason.contains(&survivor.to_string()), "{}", skipped[0].reason);

    let unwritten = portal.truth("contacts")?;
    let import = journey.carry_out(&restore_id)?;

    assert_eq!(codes(&journey.errors_of(&import.import_id)?), [(merged, "RECORD_MERGED")]);
    let after = portal.truth("contacts")?;
    assert_eq!(after.written_since(&unwritten), [damaged]);
    assert_eq!(after.value(survivor, "firstname"), before.value(survivor, "firstname"));
    Ok(())
}

#[test]
fn values_that_are_no_options_any_more_stay_as_they_are() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&contacts(62, 30))? else { return Ok(()) };
    let portal = &journey.portal;
    let size = |options: &[&str]| {
        let options: Vec<_> = options.iter().map(|value| json!({ "value": value, "label": value })).collect();
        json!({ "type": "enumeration", "fieldType": "select", "options": options })
    };
    portal.define_property("contacts", "shirt", &size(&["s", "m", "xl"]))?;
    let ids = portal.truth("contacts")?.live();
    portal.edit("contacts", &ids[..6], &json!({ "shirt": "xl" }))?;
    portal.edit("contacts", &ids[6..10], &json!({ "shirt": "s" }))?;
    journey.connect("2026-09")?;
    let backup_id = journey.complete_backup()?.backup_id;
    portal.edit("contacts", &ids[..10], &json!({ "shirt": "m" }))?;
    portal.define_property("contacts", "shirt", &size(&["s", "m"]))?;

    let Planned { restore_id, plan } = journey.plan(&backup_id, "contacts", &["shirt"])?;

    assert_eq!(plan.values, PlannedValues { set: 4, cannot_be_set: 6, ..PlannedValues::default() });
    assert_eq!(plan.properties[0].cannot_be_set, 6);
    let warned: Vec<_> = plan.warnings.iter().filter(|warning| warning.property.is_some()).collect();
    assert_eq!(warned.iter().map(|warning| warning.kind.as_str()).collect::<Vec<_>>(), ["values-cannot-be-set"]);
    let expected: Vec<_> = ids[..6].iter().map(|id| (*id, "NOT_AN_OPTION")).collect();
    let skipped = journey.skipped_of(&restore_id)?;
    assert_eq!(codes(&skipped), expected);
    assert!(skipped.iter().all(|line| (line.old_value.as_str(), line.backup_value.as_str()) == ("m", "xl")));

    let import = journey.carry_out(&restore_id)?;

    assert_eq!((import.counts.values_restored, import.counts.values_failed), (4, 0));
    assert_eq!(codes(&journey.errors_of(&import.import_id)?), expected);
    let after = portal.truth("contacts")?;
    let shirts: Vec<_> = ids[4..8].iter().map(|id| after.value(*id, "shirt")).collect();
    assert_eq!(shirts, ["m", "m", "s", "s"]);
    Ok(())
}

#[test]
fn conversations_cannot_be_restored() -> Result<()> {
    let portal = json!({ "seed": 63, "propertySet": "tiny", "records": { "contacts": 5, "conversations": 8 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;

    let wish = json!({ "backupId": backup_id, "objectType": "conversations", "properties": ["status"] });
    let refused = assert_problem(&journey.api().post(&journey.path("/restores"), &wish)?, 422, "input-invalid");

    assert_eq!(fields(&refused), ["objectType"]);
    let detail = refused["errors"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("Conversations cannot be restored"), "{refused}");
    let listed = expect(200, journey.api().get(&journey.path("/restores"))?)?.json();
    assert_eq!(listed, json!({ "restores": [] }));
    Ok(())
}

#[test]
fn a_plan_can_be_confirmed_for_an_hour() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(64, 30))? else { return Ok(()) };
    let (portal, restores) = (&journey.portal, journey.restores());
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("contacts")?;
    portal.edit("contacts", &before.having("firstname")[..4], &json!({ "firstname": "Overwritten" }))?;
    let damaged = portal.truth("contacts")?;
    let age = |restore_id: &str, minutes| {
        journey.aws().age_plan(&journey.account_id, restore_id, Duration::from_mins(minutes))
    };
    let old = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    let older = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;

    age(&older, 61)?;
    let expired = assert_problem(&journey.confirm(&older)?, 410, "plan-expired");
    assert!(expired["expiredAt"].is_string(), "{expired}");
    assert_eq!(restores.get(&older)?.state, "expired");
    assert_eq!(portal.truth("contacts")?, damaged, "nothing was written");

    age(&old, 55)?;
    assert_eq!(journey.carry_out(&old)?.state, "completed", "55 minutes are less than an hour");
    assert_eq!(portal.truth("contacts")?.changed_since(&before), []);
    Ok(())
}

#[test]
fn an_expired_backup_cannot_be_restored_from() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(65, 10))? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;
    journey.aws().expire_archive(&journey.account_id, &backup_id)?;

    let wish = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["firstname"] });
    let gone = assert_problem(&journey.api().post(&journey.path("/restores"), &wish)?, 410, "archive-expired");

    assert!(gone["expiredAt"].is_string(), "{gone}");
    Ok(())
}

#[test]
fn values_of_another_portal_are_not_restored_into_this_one() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(66, 20))? else { return Ok(()) };
    let (portal, aws) = (&journey.portal, journey.aws());
    let backup_id = journey.complete_backup()?.backup_id;
    portal.edit("contacts", &portal.truth("contacts")?.having("firstname")[..2], &json!({ "firstname": "Other" }))?;
    let damaged = portal.truth("contacts")?;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    aws.move_backup(&journey.account_id, &backup_id, portal.portal_id + 1)?;
    aws.move_restore(&journey.account_id, &planned, portal.portal_id + 1)?;

    let wish = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["firstname"] });
    let refused = assert_problem(&journey.api().post(&journey.path("/restores"), &wish)?, 409, "portal-differs");
    assert_problem(&journey.confirm(&planned)?, 409, "portal-differs");

    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&portal.portal_id.to_string()), "{detail}");
    assert_eq!(portal.truth("contacts")?, damaged);
    Ok(())
}
