//! The workers of a restore die in the middle of their work. Alone in its program, so that it runs while no other journey
//! does: all work in the stack is killed.

use std::time::{Duration, Instant};

use dev_stack::failure::Result;
use end_to_end::journey::Journey;
use end_to_end::patience::eventually;
use serde_json::json;

const RECORDS: u64 = 4_000;

/// How long a step of a restore may take.
const PATIENCE: Duration = Duration::from_mins(6);

/// D3: killed work is taken over by then.
const TAKEN_OVER: Duration = Duration::from_secs(90);

#[test]
fn a_restore_whose_workers_are_killed_ends_in_exactly_the_backups_values_and_can_be_undone() -> Result<()> {
    let portal = json!({ "seed": 110, "propertySet": "tiny", "records": { "contacts": RECORDS } });
    let Some(mut journey) = Journey::begin(&portal)? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;
    let before = journey.portal.truth("contacts")?;
    let edit = json!({ "firstname": "Overwritten", "lastname": "" });
    journey.portal.edit("contacts", &before.live(), &edit)?;
    let damaged = journey.portal.truth("contacts")?;
    journey.portal.change(&json!({ "latencyMs": 500 }))?;
    let began = Instant::now();

    // A death costs a minute here, so there is one: while values are written. `tests/faults` has one at every step.
    let restore_id = journey.plan(&backup_id, "contacts", &["firstname", "lastname"])?.restore_id;
    journey.restores().confirm(&restore_id)?;
    let writes = || Ok(Some(journey.portal.called("batchUpdate", "contacts")?.calls).filter(|calls| *calls >= 12));
    eventually("write", PATIENCE, writes)?;
    let killed = journey.stack.kill_function("restore-chunk")?;
    let interrupted = journey.portal.truth("contacts")?.changed_since(&before);
    let calls = || -> Result<u64> { Ok(journey.portal.called("batchUpdate", "contacts")?.calls) };
    let calls_before = calls()?;
    eventually("write by another run", TAKEN_OVER, || Ok((calls()? > calls_before).then_some(())))?;
    let restore = journey.restores().watch(&restore_id, PATIENCE, |_| Ok(()))?;

    println!("{killed} processes killed; {} after {} s", restore.state, began.elapsed().as_secs());
    assert!(killed > 0 && !interrupted.is_empty(), "nothing was interrupted");
    assert_eq!(restore.state, "completed", "{:?}", restore.failure);
    assert_eq!(journey.portal.truth("contacts")?.changed_since(&before), []);
    let counts = journey.restores().import(&restore_id)?.counts;
    assert_eq!((counts.records_restored, counts.values_failed, counts.values_unclear), (RECORDS, 0, 0), "{counts:?}");

    // The lock is free, and what died has forgotten nothing of what it has overwritten.
    journey.portal.change(&json!({ "latencyMs": 0 }))?;
    // Confirming takes a second factor of the last five minutes.
    let group = format!("{}:super-admin", journey.account_id);
    journey.admin = journey.stack.users.new_user(&format!("undoer-{}", journey.account_id), &[&group])?;
    let undo = journey.plan_undo(&restore_id, false)?;
    assert_eq!((undo.plan.records.changed, undo.plan.values.edited_since), (RECORDS, 0));
    assert_eq!(journey.carry_out(&undo.restore_id)?.state, "completed");
    assert_eq!(journey.portal.truth("contacts")?.changed_since(&damaged), []);
    Ok(())
}
