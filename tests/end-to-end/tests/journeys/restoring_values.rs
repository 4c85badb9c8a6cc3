//! Values of any object become again what a backup has, and nothing else is changed.

use dev_stack::failure::Result;
use dev_stack::restores::{Counts, PlannedProperty, PlannedRecords, PlannedValues, Sample, SampleValue};
use end_to_end::journey::Journey;
use end_to_end::portal::Called;
use end_to_end::problem::assert_problem;
use end_to_end::restoring::Planned;
use serde_json::{Value, json};

fn contacts(seed: u64, records: u64) -> Value {
    json!({ "seed": seed, "propertySet": "tiny", "records": { "contacts": records } })
}

fn restored(records: u64, values: u64) -> Counts {
    Counts { records_restored: records, values_restored: values, ..Counts::default() }
}

#[test]
fn values_that_a_bad_edit_has_overwritten_are_set_again() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(50, 240))? else { return Ok(()) };
    let (portal, restores) = (&journey.portal, journey.restores());
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("contacts")?;
    let ids = before.having("firstname");
    portal.edit("contacts", &ids[..40], &json!({ "firstname": "Overwritten" }))?;
    portal.edit("contacts", &ids[40..50], &json!({ "firstname": "", "lastname": "Not asked for" }))?;
    let damaged = portal.truth("contacts")?;

    let Planned { restore_id, plan } = journey.plan(&backup_id, "contacts", &["firstname", "email"])?;

    let records = PlannedRecords { read: 240, changed: 50, unchanged: 190, ..PlannedRecords::default() };
    let values = PlannedValues { set: 50, ..PlannedValues::default() };
    assert_eq!((plan.records, plan.values, plan.calls, plan.skipped), (records, values, 2, false));
    let counted: Vec<_> = plan.properties.iter().map(|p| (p.name.as_str(), p.label.as_str(), p.set)).collect();
    assert_eq!(counted, [("firstname", "First Name", 50), ("email", "Email", 0)]);
    let expected: Vec<_> =
        ids[..20].iter().map(|id| sample(*id, "Overwritten", before.value(*id, "firstname"))).collect();
    assert_eq!(plan.samples, expected, "the first twenty changes, as they are and as they would be");
    let warnings: Vec<_> = plan.warnings.iter().map(|warning| warning.kind.as_str()).collect();
    assert_eq!(warnings, ["changes-live-data", "workflows-may-run"]);
    assert_eq!(portal.truth("contacts")?, damaged, "planning changes nothing");
    assert_eq!(restores.imports()?, []);

    let import = journey.carry_out(&restore_id)?;

    assert_eq!((import.name.as_str(), import.state.as_str()), ("Data restore – Contact", "completed"));
    assert_eq!((&import.counts, import.has_errors), (&restored(50, 50), false));
    let left: Vec<_> = ids[40..50].iter().map(|id| (*id, "lastname".to_owned())).collect();
    assert_eq!(portal.truth("contacts")?.changed_since(&before), left, "only what was asked for is restored");
    assert_eq!(restores.imports()?, [import]);
    let shown = restores.get(&restore_id)?;
    assert_eq!((shown.state.as_str(), shown.outcome), ("completed", Some(restored(50, 50))));
    Ok(())
}

fn sample(id: u64, before: &str, after: &str) -> Sample {
    let text = |value: &str| Some(value.to_owned());
    let value = SampleValue { property: "firstname".to_owned(), before: text(before), after: text(after) };
    Sample { record_id: id.to_string(), values: vec![value] }
}

#[test]
fn values_that_were_empty_are_cleared_again() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(51, 240))? else { return Ok(()) };
    let portal = &journey.portal;
    let empty = portal.truth("contacts")?.live()[30..90].to_vec();
    portal.edit("contacts", &empty, &json!({ "firstname": "", "lastname": "" }))?;
    let before = portal.truth("contacts")?;
    let backup_id = journey.complete_backup()?.backup_id;
    portal.edit("contacts", &empty, &json!({ "firstname": "Filled in" }))?;
    portal.edit("contacts", &empty[..5], &json!({ "lastname": "Filled in" }))?;

    let Planned { restore_id, plan } = journey.plan(&backup_id, "contacts", &["firstname", "lastname"])?;

    assert_eq!((plan.values, plan.records.changed), (PlannedValues { cleared: 65, ..PlannedValues::default() }, 60));
    assert_eq!(plan.samples[0].values.iter().map(|value| value.after.as_ref()).collect::<Vec<_>>(), [None, None]);
    let many: Vec<_> = plan.warnings.iter().filter(|warning| warning.kind == "many-cleared").collect();
    assert_eq!(many.iter().map(|warning| warning.property.as_deref()).collect::<Vec<_>>(), [Some("firstname")]);
    assert!(many[0].sentence.contains("'First Name' would be cleared in 60 of the"), "{}", many[0].sentence);

    let import = journey.carry_out(&restore_id)?;

    assert_eq!(import.counts, restored(60, 65));
    assert_eq!(portal.truth("contacts")?.changed_since(&before), []);
    Ok(())
}

#[test]
fn records_that_are_as_they_should_be_get_no_write() -> Result<()> {
    let Some(journey) = Journey::begin(&contacts(52, 150))? else { return Ok(()) };
    let portal = &journey.portal;
    let backup_id = journey.complete_backup()?.backup_id;
    let unchanged = journey.plan(&backup_id, "contacts", &["firstname"])?;
    assert_eq!((unchanged.plan.records.unchanged, unchanged.plan.calls), (150, 0));
    assert_problem(&journey.confirm(&unchanged.restore_id)?, 409, "nothing-to-restore");
    let ids = portal.truth("contacts")?.having("firstname")[10..17].to_vec();
    portal.edit("contacts", &ids, &json!({ "firstname": "Overwritten" }))?;
    let damaged = portal.truth("contacts")?;

    let Planned { restore_id, .. } = journey.plan(&backup_id, "contacts", &["firstname", "lastname"])?;
    journey.carry_out(&restore_id)?;

    assert_eq!(portal.truth("contacts")?.written_since(&damaged), ids);
    assert_eq!(portal.called("batchUpdate", "contacts")?, Called { calls: 1, records: 7 });
    Ok(())
}

#[test]
fn custom_objects_are_restored_under_their_own_name() -> Result<()> {
    let portal = json!({ "seed": 53, "customObjects": [{ "name": "machine", "records": 130 }] });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let portal = &journey.portal;
    let object_type = format!("p{}_machine", portal.portal_id);
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("machine")?;
    portal.edit("machine", &before.live()[..105], &json!({ "name": "Overwritten" }))?;
    portal.edit("machine", &before.having("serial_no")[..3], &json!({ "serial_no": "" }))?;

    let Planned { restore_id, plan } = journey.plan(&backup_id, &object_type, &["name", "serial_no"])?;
    let import = journey.carry_out(&restore_id)?;

    assert_eq!((plan.records.read, plan.values.set), (130, 108));
    assert_eq!(import.name, "Data restore – Machine");
    assert_eq!((import.state.as_str(), import.counts.values_restored), ("completed", 108));
    assert_eq!(portal.truth("machine")?.changed_since(&before), []);
    Ok(())
}

#[test]
fn properties_that_cannot_be_written_are_named_with_the_reason_and_the_others_are_restored() -> Result<()> {
    let Some(journey) = Journey::begin(&json!({ "seed": 54, "records": { "contacts": 60 } }))? else { return Ok(()) };
    let portal = &journey.portal;
    let backup_id = journey.complete_backup()?.backup_id;
    let before = portal.truth("contacts")?;
    let ids = before.having("firstname")[..12].to_vec();
    let edit = json!({ "firstname": "Overwritten", "hs_analytics_num_visits": "-1", "hs_email_domain": "example.com" });
    portal.edit("contacts", &ids, &edit)?;
    portal.archive_property("contacts", "city")?;
    portal.define_property("contacts", "zip", &json!({ "type": "number" }))?;
    let damaged = portal.truth("contacts")?;
    let chosen = ["hs_analytics_num_visits", "firstname", "hs_email_domain", "city", "zip"];

    let Planned { restore_id, plan } = journey.plan(&backup_id, "contacts", &chosen)?;

    let judged: Vec<_> = plan.properties.iter().map(|p| (p.name.as_str(), p.reason.as_deref())).collect();
    assert_eq!(
        judged,
        [
            ("hs_analytics_num_visits", Some("read-only")),
            ("firstname", None),
            ("hs_email_domain", Some("calculated")),
            ("city", Some("archived")),
            ("zip", Some("type-changed")),
        ]
    );
    for property in &plan.properties {
        let PlannedProperty { name, restorable, detail, changed, .. } = property;
        assert_eq!((*restorable, *changed > 0, detail.is_none()), (name == "firstname", *restorable, *restorable));
        assert!(detail.as_ref().is_none_or(|detail| detail.ends_with('.')), "{property:?}");
    }
    assert_eq!((plan.records.changed, plan.values.set), (12, 12));

    let import = journey.carry_out(&restore_id)?;

    assert_eq!((import.counts, import.has_errors), (restored(12, 12), false));
    let restored = portal.truth("contacts")?;
    assert!(ids.iter().all(|id| restored.value(*id, "firstname") == before.value(*id, "firstname")));
    let written: Vec<_> = ids.iter().map(|id| (*id, "firstname".to_owned())).collect();
    assert_eq!(restored.changed_since(&damaged), written, "nothing else was written");

    let none = journey.plan(&backup_id, "contacts", &["hs_email_domain", "city"])?;
    assert_eq!((none.plan.records, none.plan.calls), (PlannedRecords::default(), 0), "there is nothing to read");
    Ok(())
}
