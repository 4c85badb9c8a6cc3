//! An account whose contacts have so many properties that their names do not fit into a URL.

use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use serde_json::json;

#[test]
fn contacts_of_a_thousand_properties_are_backed_up_whole() -> Result<()> {
    let portal = json!({ "seed": 2, "propertySet": "wide:1000", "records": { "contacts": 1_100, "tickets": 150 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };

    let backup = journey.complete_backup()?;

    let download = Download::of(&journey, &backup.backup_id)?;
    download.must_hold_all_of(&journey.portal)?;
    let columns = download.file_of("contacts").map(|file| file["columns"].as_array().map_or(0, Vec::len));
    assert_eq!(columns, Some(1_000), "the record id is one of the thousand properties");
    // The ids were listed and the values read by id, since no URL could name all properties. So few records are read in
    // one range: at a bound between two, some would be listed twice.
    let calls = journey.portal.calls(0)?;
    assert_eq!(calls["endpoints"]["batchRead contacts"]["records"], 1_100, "{}", calls["endpoints"]);
    Ok(())
}
