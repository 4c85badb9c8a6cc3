//! A CRM that refuses, ignores or changes what a restore writes: one bad record does not affect the others, and every
//! value that was not restored is reported.

use dev_stack::failure::Result;
use end_to_end::journey::Journey;
use end_to_end::portal::Called;
use end_to_end::restoring::Reported;
use serde_json::{Value, json};

fn contacts(seed: u64, records: u64) -> Value {
    json!({ "seed": seed, "propertySet": "tiny", "records": { "contacts": records } })
}

#[test]
fn writes_that_the_crm_ignores_without_a_word_are_failures_in_a_file_that_no_spreadsheet_runs() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(80, 60))? else { return Ok(()) };
    let portal = &journey.portal;
    let ids = portal.truth("contacts")?.live();
    let formulas =
        ["=HYPERLINK(\"https://example.com\";\"a\")", "+49 30 1234", "-1+1", "@SUM(1)", "\tx", "-5.2", "plain"];
    for (id, formula) in ids.iter().zip(formulas) {
        portal.edit("contacts", &[*id], &json!({ "lastname": formula }))?;
    }
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("contacts")?;
    portal.edit("contacts", &ids[..20], &json!({ "firstname": "Overwritten" }))?;
    portal.edit("contacts", &ids[..formulas.len()], &json!({ "lastname": "=1+1" }))?;
    portal.change(&json!({ "ignoredWrites": { "contacts": ["lastname"] } }))?;

    let planned = journey.plan(&backup_id, "contacts", &["lastname", "firstname"])?.restore_id;
    let import = journey.carry_out(&planned)?;

    assert_eq!((import.state.as_str(), import.has_errors), ("completed", true));
    let counts = &import.counts;
    assert_eq!((counts.values_restored, counts.values_failed, counts.records_failed), (20, 7, 7));
    let mut errors = journey.errors_of(&import.import_id)?;
    errors.sort_unstable();
    let rows: Vec<_> = errors.iter().map(|line| (line.record_id, line.property.as_str(), line.code())).collect();
    let expected: Vec<_> = ids[..7].iter().map(|id| (*id, "lastname", "WRITE_IGNORED")).collect();
    assert_eq!(rows, expected);
    let cells: Vec<_> = errors.iter().map(|line| (line.old_value.as_str(), line.backup_value.clone())).collect();
    let defused = |formula: &&str| {
        let plain = ["-5.2", "plain"].contains(formula);
        ("'=1+1", if plain { (*formula).to_owned() } else { format!("'{formula}") })
    };
    assert_eq!(cells, formulas.iter().map(defused).collect::<Vec<_>>());
    let left: Vec<_> = ids[..7].iter().map(|id| (*id, "lastname".to_owned())).collect();
    assert_eq!(portal.truth("contacts")?.changed_since(&before), left);
    Ok(())
}

#[test]
fn a_lifecycle_stage_goes_back_by_way_of_none() -> Result<()> {
    let Some(journey) = Journey::begin(&json!({ "seed": 81, "records": { "contacts": 80 } }))? else { return Ok(()) };
    let portal = &journey.portal;
    let ids = portal.truth("contacts")?.live();
    portal.edit("contacts", &ids[..30], &json!({ "lifecyclestage": "lead" }))?;
    portal.edit("contacts", &ids[30..35], &json!({ "lifecyclestage": "customer" }))?;
    let before = portal.truth("contacts")?;
    let backup_id = journey.complete_backup()?.backup_id;
    portal.edit("contacts", &ids[..30], &json!({ "lifecyclestage": "customer", "firstname": "Overwritten" }))?;
    portal.edit("contacts", &ids[30..35], &json!({ "lifecyclestage": "lead" }))?;

    let planned = journey.plan(&backup_id, "contacts", &["lifecyclestage", "firstname"])?;
    let stage = planned.plan.warnings.iter().find(|warning| warning.kind == "stage");
    assert_eq!(stage.and_then(|warning| warning.property.as_deref()), Some("lifecyclestage"));
    let import = journey.carry_out(&planned.restore_id)?;

    assert_eq!((import.state.as_str(), import.has_errors), ("completed", false));
    let values = planned.plan.values;
    assert_eq!(import.counts.values_restored, values.set + values.cleared);
    assert_eq!(portal.truth("contacts")?.changed_since(&before), []);
    // All 35 at once; then the 30 whose stage went back are cleared, and set.
    assert_eq!(portal.called("batchUpdate", "contacts")?, Called { calls: 3, records: 35 + 30 + 30 });
    Ok(())
}

#[test]
fn edits_between_plan_and_confirmation_are_overwritten_and_reported() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(82, 50))? else { return Ok(()) };
    let portal = &journey.portal;
    let before = portal.truth("contacts")?;
    let backup_id = journey.complete_backup()?.backup_id;
    let ids = before.having("firstname");
    portal.edit("contacts", &ids[..9], &json!({ "firstname": "Overwritten" }))?;
    let planned = journey.plan(&backup_id, "contacts", &["firstname"])?.restore_id;

    // Somebody overwrites two of them once more, sets one right, and edits what the plan leaves as it is.
    portal.edit("contacts", &ids[..2], &json!({ "firstname": "Edited" }))?;
    let right = before.value(ids[2], "firstname");
    portal.edit("contacts", &ids[2..3], &json!({ "firstname": right }))?;
    portal.edit("contacts", &ids[20..21], &json!({ "firstname": "Edited" }))?;
    let edited = portal.truth("contacts")?;
    let import = journey.carry_out(&planned)?;

    let counts = &import.counts;
    assert_eq!((counts.values_restored, counts.already_right, counts.values_failed), (8, 1, 0));
    assert_eq!(counts.drifted_values, 3, "two edited, one set right");
    let after = portal.truth("contacts")?;
    assert_eq!(after.changed_since(&before), [(ids[20], "firstname".to_owned())]);
    let written: Vec<_> = ids[..9].iter().copied().filter(|id| *id != ids[2]).collect();
    assert_eq!(after.written_since(&edited), written);
    Ok(())
}

#[test]
fn one_bad_record_in_a_hundred_is_found_with_few_calls_and_the_others_are_restored() -> Result<()> {
    let mut portal = contacts(83, 100);
    portal["conditionalRequirements"] =
        json!([{ "object": "contacts", "property": "grade", "value": "VIP", "requires": ["reviewer"] }]);
    let Some(journey) = Journey::begin_unconnected(&portal)? else { return Ok(()) };
    let portal = &journey.portal;
    for property in ["grade", "reviewer"] {
        portal.define_property("contacts", property, &json!({ "type": "string" }))?;
    }
    let ids = portal.truth("contacts")?.live();
    portal.edit("contacts", &ids, &json!({ "grade": "plain" }))?;
    portal.edit("contacts", &ids[36..37], &json!({ "grade": "VIP" }))?;
    journey.connect("2026-09")?;
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("contacts")?;
    portal.edit("contacts", &ids, &json!({ "grade": "lost" }))?;

    let planned = journey.plan(&backup_id, "contacts", &["grade"])?.restore_id;
    let import = journey.carry_out(&planned)?;

    let counts = &import.counts;
    assert_eq!((counts.records_restored, counts.records_failed), (99, 1));
    let errors = journey.errors_of(&import.import_id)?;
    let rows: Vec<_> = errors.iter().map(|line| (line.record_id, line.property.as_str(), line.code())).collect();
    assert_eq!(rows, [(ids[36], "grade", "MISSING_CONDITIONAL_REQUIRED_PROPERTY")]);
    assert_eq!(portal.truth("contacts")?.changed_since(&before), [(ids[36], "grade".to_owned())]);
    let Called { calls, records } = portal.called("batchUpdate", "contacts")?;
    assert!((2..=1 + 15).contains(&calls), "{calls} calls");
    assert_eq!(records, 99, "each of the others is written once");
    Ok(())
}

#[test]
fn rules_of_the_crm_about_required_properties_are_reported_per_record() -> Result<()> {
    let mut portal = contacts(84, 40);
    portal["requiredProperties"] = json!({ "contacts": ["lastname"] });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let portal = &journey.portal;
    let ids = portal.truth("contacts")?.live();
    let (empty, other) = (&ids[4..7], &ids[20..30]);
    portal.edit("contacts", empty, &json!({ "lastname": "" }))?;
    let before = portal.truth("contacts")?;
    let backup_id = journey.complete_backup()?.backup_id;
    for some in [empty, other] {
        portal.edit("contacts", some, &json!({ "firstname": "Overwritten", "lastname": "Overwritten" }))?;
    }

    let planned = journey.plan(&backup_id, "contacts", &["firstname", "lastname"])?.restore_id;
    let import = journey.carry_out(&planned)?;

    assert_eq!((import.counts.records_failed, import.counts.values_failed), (3, 3));
    let mut errors = journey.errors_of(&import.import_id)?;
    errors.sort_unstable();
    let rows: Vec<_> = errors.iter().map(line).collect();
    let expected: Vec<_> = empty.iter().map(|id| (*id, "lastname", "Overwritten", "")).collect();
    assert_eq!(rows, expected);
    assert!(errors.iter().all(|line| line.code() == "MISSING_REQUIRED_PROPERTY"), "{errors:?}");
    let left: Vec<_> = empty.iter().map(|id| (*id, "lastname".to_owned())).collect();
    assert_eq!(portal.truth("contacts")?.changed_since(&before), left, "first names of the same records are restored");
    Ok(())
}

fn line(line: &Reported) -> (u64, &str, &str, &str) {
    (line.record_id, &line.property, &line.old_value, &line.backup_value)
}
