//! What a restore costs of the account's call limits.

use dev_stack::failure::Result;
use end_to_end::journey::Journey;
use end_to_end::portal::Called;
use serde_json::json;

#[test]
fn a_restore_makes_a_call_for_every_hundred_records_and_no_more() -> Result<()> {
    let portal = json!({ "seed": 95, "propertySet": "tiny", "records": { "contacts": 1_000, "deals": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let portal = &journey.portal;
    let backup_id = journey.complete_backup()?.backup_id;
    let damaged: Vec<_> = portal.truth("contacts")?.live().into_iter().step_by(6).take(150).collect();
    portal.edit("contacts", &damaged, &json!({ "firstname": "Overwritten" }))?;
    let called = || {
        Ok::<_, dev_stack::failure::Failure>((
            portal.called("batchRead", "contacts")?,
            portal.called("batchUpdate", "contacts")?,
        ))
    };
    let total = || portal.calls(0).map(|calls| calls["total"].as_u64().unwrap_or(0));
    let (began, before) = (called()?, total()?);

    let planned = journey.plan(&backup_id, "contacts", &["firstname", "lastname"])?;

    let (planning, planned_at) = (called()?, total()?);
    assert_eq!(planning.0 - began.0, Called { calls: 10, records: 1_000 });
    assert_eq!(planning.1 - began.1, Called::default());
    assert!(planned_at - before <= 10 + 8, "{} calls to plan", planned_at - before);
    assert_eq!((planned.plan.records.changed, planned.plan.calls), (150, 4), "the plan names its calls");

    journey.carry_out(&planned.restore_id)?;

    let applying = called()?;
    assert_eq!(applying.0 - planning.0, Called { calls: 2, records: 150 });
    assert_eq!(applying.1 - planning.1, Called { calls: 2, records: 150 });
    assert_eq!(total()? - planned_at, planned.plan.calls, "and nothing else is called");
    assert_eq!(portal.called("batchRead", "deals")?, Called::default());
    Ok(())
}
