//! However the CRM's cursors look, an account is read by several workers, and nothing is lost.

use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use serde_json::json;

/// Enough for splitting to be worth it.
const RECORDS: u64 = 9_000;

/// Backs an account up whose lists treat cursors as `cursors` says.
fn back_up(cursors: &str) -> Result<()> {
    let portal = json!({
        "seed": 3, "propertySet": "tiny", "records": { "contacts": RECORDS }, "faults": { "cursors": cursors },
        // Slow enough for other workers to be there before the first one is through.
        "plan": "unlimited", "latencyMs": 150,
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };

    let backup = journey.complete_backup()?;

    Download::of(&journey, &backup.backup_id)?.must_hold_all_of(&journey.portal)?;
    let shown = journey.shown(&backup.backup_id)?;
    let contacts = shown["objects"].as_array().into_iter().flatten().find(|object| object["objectType"] == "contacts");
    assert_eq!(contacts.map(|object| &object["readMode"]), Some(&json!("ranges")), "{shown}");
    assert_eq!(contacts.map(|object| &object["verdict"]), Some(&json!("exact")), "{shown}");
    Ok(())
}

/// C1: HubSpot's guide shows cursors that name the last id plus one.
#[test]
fn cursors_that_name_the_next_id_are_as_good_as_those_that_name_the_last() -> Result<()> {
    back_up("nextId")?;
    back_up("ids")
}

/// C2: ids come by search where cursors are texts.
#[test]
fn cursors_that_are_no_ids_are_replaced_by_searches() -> Result<()> {
    back_up("opaque")
}

#[test]
fn a_list_that_starts_over_is_replaced_by_searches() -> Result<()> {
    back_up("restart")
}

#[test]
fn a_list_that_refuses_to_start_in_the_middle_is_replaced_by_searches() -> Result<()> {
    back_up("refuse")
}

#[test]
fn a_list_that_skips_records_when_started_in_the_middle_is_replaced_by_searches() -> Result<()> {
    back_up("skip")
}

#[test]
fn cursors_that_only_look_like_ids_are_found_out() -> Result<()> {
    back_up("offsets")
}
