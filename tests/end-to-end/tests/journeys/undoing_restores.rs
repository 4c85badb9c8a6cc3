//! Undoing restores: values become again what they were before, unless somebody has edited them since.

use std::time::Duration;

use dev_stack::failure::Result;
use dev_stack::restores::{PlannedRecords, PlannedValues};
use end_to_end::journey::{Journey, expect};
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};

fn contacts(seed: u64, records: u64) -> Value {
    json!({ "seed": seed, "propertySet": "tiny", "records": { "contacts": records } })
}

#[test]
fn an_undo_gives_back_the_state_before_the_restore() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(90, 160))? else { return Ok(()) };
    let (portal, api) = (&journey.portal, journey.api());
    let backup_id = journey.complete_backup()?.backup_id;
    let (held, empty) = (portal.truth("contacts")?.having("lastname"), portal.truth("contacts")?.live());
    let empty: Vec<_> = empty.into_iter().filter(|id| !held.contains(id)).take(3).collect();
    portal.edit("contacts", &held[..110], &json!({ "lastname": "=1+1, \"quoted\"\r\nü" }))?;
    portal.edit("contacts", &held[110..120], &json!({ "lastname": "" }))?;
    portal.edit("contacts", &empty, &json!({ "lastname": "Filled in" }))?;
    let damaged = portal.truth("contacts")?;
    let restore_id = journey.plan(&backup_id, "contacts", &["lastname", "email"])?.restore_id;
    assert_eq!(journey.carry_out(&restore_id)?.counts.values_restored, 123);
    let restored = portal.truth("contacts")?;

    let undo = journey.plan_undo(&restore_id, false)?;

    let records = PlannedRecords { read: 123, changed: 123, ..PlannedRecords::default() };
    assert_eq!((undo.plan.records, undo.plan.skipped), (records, false), "only what was written is looked at");
    assert_eq!(undo.plan.values, PlannedValues { set: 113, cleared: 10, ..PlannedValues::default() });
    assert_eq!(portal.truth("contacts")?, restored, "an undo is planned first");
    let shown = expect(200, api.get(&journey.path(&format!("/restores/{}", undo.restore_id)))?)?.json();
    assert_eq!(shown["source"], json!({ "undoOf": restore_id, "includeEdited": false }));

    let import = journey.carry_out(&undo.restore_id)?;

    assert_eq!((import.state.as_str(), import.counts.values_restored, import.has_errors), ("completed", 123, false));
    assert_eq!(portal.truth("contacts")?.changed_since(&damaged), []);
    let original = expect(200, api.get(&journey.path(&format!("/imports/{restore_id}")))?)?.json();
    assert_eq!(
        (&original["undo"]["restoreId"], &original["undo"]["possible"]),
        (&json!(undo.restore_id), &json!(false))
    );
    Ok(())
}

#[test]
fn what_somebody_has_edited_since_is_only_undone_if_asked_for() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(91, 60))? else { return Ok(()) };
    let portal = &journey.portal;
    let backup_id = journey.complete_backup()?.backup_id;
    let ids = portal.truth("contacts")?.live()[..10].to_vec();
    portal.edit("contacts", &ids, &json!({ "firstname": "Overwritten", "lastname": "Overwritten" }))?;
    let damaged = portal.truth("contacts")?;
    let mut restores = Vec::new();
    for property in ["firstname", "lastname"] {
        let planned = journey.plan(&backup_id, "contacts", &[property])?.restore_id;
        journey.carry_out(&planned)?;
        restores.push(planned);
    }
    portal.edit("contacts", &ids[..2], &json!({ "firstname": "Edited", "lastname": "Edited" }))?;
    let both = |property: &str| ids[..2].iter().map(|id| (*id, property.to_owned())).collect::<Vec<_>>();

    let careful = journey.plan_undo(&restores[0], false)?;

    assert_eq!((careful.plan.records.changed, careful.plan.values.edited_since), (8, 2));
    let skipped = journey.skipped_of(&careful.restore_id)?;
    let rows: Vec<_> = skipped.iter().map(|line| (line.record_id, line.code(), line.old_value.as_str())).collect();
    assert_eq!(rows, [(ids[0], "EDITED_SINCE", "Edited"), (ids[1], "EDITED_SINCE", "Edited")]);
    let import = journey.carry_out(&careful.restore_id)?;
    assert_eq!((import.counts.records_restored, import.has_errors), (8, true));
    let left: Vec<_> = portal.truth("contacts")?.changed_since(&damaged);
    assert_eq!(left.into_iter().filter(|(_, property)| property == "firstname").collect::<Vec<_>>(), both("firstname"));

    let thorough = journey.plan_undo(&restores[1], true)?;

    assert_eq!((thorough.plan.records.changed, thorough.plan.values.edited_since), (10, 0));
    assert_eq!(journey.carry_out(&thorough.restore_id)?.counts.records_restored, 10);
    assert_eq!(portal.truth("contacts")?.changed_since(&damaged), both("firstname"));
    Ok(())
}

#[test]
fn a_restore_can_be_undone_for_88_days() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(92, 20))? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;
    let ids = journey.portal.truth("contacts")?.having("firstname");
    journey.portal.edit("contacts", &ids[..3], &json!({ "firstname": "Overwritten" }))?;
    let restore_id = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;
    journey.carry_out(&restore_id)?;
    let undo = journey.path(&format!("/restores/{restore_id}/undo"));
    let age = |hours| journey.aws().age_restore(&journey.account_id, &restore_id, Duration::from_hours(hours));

    age(88 * 24 + 1)?;
    let expired = assert_problem(&journey.api().post(&undo, &json!({}))?, 410, "undo-expired");
    assert!(expired["expiredAt"].is_string(), "{expired}");
    age(88 * 24 - 1)?;
    expect(202, journey.api().post(&undo, &json!({}))?).map(drop)
}
