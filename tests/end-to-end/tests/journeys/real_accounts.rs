//! Accounts as HubSpot sells them, and calls as it documents them.

use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use serde_json::json;

/// B2, B3: below Enterprise there are no custom objects, and some apps cannot have the scope for tickets. The backup is
/// complete but for them, and a restore from it works. All calls of both are as HubSpot's documents describe them.
#[test]
fn an_account_without_custom_objects_and_tickets_is_backed_up_and_restored() -> Result<()> {
    let portal = json!({
        "seed": 60, "profile": "professional", "conformance": true,
        "records": { "contacts": 300, "companies": 40, "deals": 20, "products": 5, "calls": 10, "tasks": 10, "conversations": 12 },
        "variants": { "customObjects": "refused", "tickets": "refused" },
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };

    let backup_id = journey.complete_backup()?.backup_id;

    let shown = journey.shown(&backup_id)?;
    let missing = shown["missing"].as_array().cloned().unwrap_or_default();
    let named: Vec<_> = missing.iter().map(|gap| gap["label"].as_str().unwrap_or_default()).collect();
    assert_eq!(named, ["Custom objects", "Ticket"], "{shown}");
    let download = Download::of(&journey, &backup_id)?;
    assert!(download.file_of("contacts").is_some() && download.file_of("tickets").is_none());

    let before = journey.portal.truth("contacts")?;
    let ids = before.having("jobtitle");
    journey.portal.edit("contacts", &ids[..30], &json!({ "jobtitle": "Damaged" }))?;
    let restore_id = journey.plan(&backup_id, "contacts", &["jobtitle"])?.restore_id;
    journey.carry_out(&restore_id)?;
    assert_eq!(journey.portal.truth("contacts")?.changed_since(&before), [], "everything is as it was");

    assert_eq!(journey.portal.violations()?, [""; 0], "every call and answer is as documented");
    Ok(())
}

/// C1: the same account by each form of cursor that names ids, as fast: about a hundred records a call.
#[test]
fn both_forms_of_cursors_that_name_ids_fill_their_pages() -> Result<()> {
    for cursors in ["nextId", "ids"] {
        let portal = json!({
            "seed": 61, "propertySet": "tiny", "records": { "contacts": 12_000 }, "plan": "unlimited", "latencyMs": 50,
            "faults": { "cursors": cursors },
        });
        let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
        let backup = journey.complete_backup()?;
        Download::of(&journey, &backup.backup_id)?.must_hold_all_of(&journey.portal)?;
        let calls = journey.portal.calls(0)?;
        let listed = &calls["endpoints"]["list contacts"];
        let (records, pages) = (listed["records"].as_u64().unwrap_or(0), listed["calls"].as_u64().unwrap_or(0));
        let told = format!("{cursors}: {pages} pages for {records} records");
        assert!(records >= 12_000 && records >= pages * 95, "{told}");
        // A page at each end of a range has records of the next one too. The slower the machine, the more ranges.
        assert!(pages < 200, "{told}");
    }
    Ok(())
}
