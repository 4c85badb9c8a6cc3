//! A CRM on a bad day.

use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use serde_json::json;

#[test]
fn a_backup_gets_through_everything_that_a_retry_can_mend() -> Result<()> {
    let portal = json!({
        "seed": 4, "records": { "contacts": 2_500, "companies": 900, "calls": 500, "conversations": 300 },
        "customObjects": [{ "name": "machine", "records": 400 }],
        "faults": { "rates": {
            "tooManyRequests": 0.02, "internalError": 0.02, "badGateway": 0.02, "serviceUnavailable": 0.02,
            "locked": 0.02, "reset": 0.02, "truncatedJson": 0.02,
        }},
    });
    let Some(journey) = Journey::begin_unconnected(&portal)? else { return Ok(()) };
    // Connecting asks once and tells whoever connects to try again, so the bad day begins later.
    journey.portal.change(&json!({ "faults": {} }))?;
    journey.connect("2026-09")?;
    journey.portal.change(&json!({ "faults": portal["faults"] }))?;

    let backup = journey.complete_backup()?;

    Download::of(&journey, &backup.backup_id)?.must_hold_all_of(&journey.portal)?;
    let calls = journey.portal.calls(2_000)?;
    let troubled = calls["recent"].as_array().into_iter().flatten().filter(|call| !call["fault"].is_null()).count();
    assert!(troubled >= 5, "{troubled} calls had trouble");
    Ok(())
}
