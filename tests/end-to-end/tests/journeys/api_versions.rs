//! An account that is still on the CRM's older API.

use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use serde_json::json;

#[test]
fn a_backup_by_the_older_api_holds_the_same() -> Result<()> {
    let portal = json!({
        "seed": 8, "records": { "contacts": 700, "deals": 250, "tasks": 120, "conversations": 60 },
        "customObjects": [{ "name": "machine", "records": 150 }],
    });
    let Some(journey) = Journey::begin_unconnected(&portal)? else { return Ok(()) };
    journey.connect("v3")?;

    let backup = journey.complete_backup()?;

    let download = Download::of(&journey, &backup.backup_id)?;
    download.must_hold_all_of(&journey.portal)?;
    assert_eq!(download.manifest()["apiVersion"], "v3");
    let listed: Vec<_> =
        journey.portal.calls(0)?["endpoints"].as_object().into_iter().flat_map(|e| e.keys().cloned()).collect();
    assert!(listed.iter().any(|endpoint| endpoint == "list contacts"), "{listed:?}");
    Ok(())
}
