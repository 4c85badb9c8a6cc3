//! An account in which people work while it is backed up.

use std::collections::BTreeSet;

use dev_stack::failure::Result;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use serde_json::json;

const OBJECTS: [&str; 2] = ["contacts", "deals"];

#[test]
fn records_that_nobody_touches_are_all_there_while_others_come_and_go() -> Result<()> {
    let portal = json!({
        "seed": 5, "records": { "contacts": 4_000, "deals": 1_500 },
        "faults": { "churn": { "everyPages": 4, "delete": 3, "create": 4 } },
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let before: Vec<_> = OBJECTS.iter().map(|object| journey.portal.truth(object)).collect::<Result<_>>()?;

    let backup = journey.complete_backup()?;

    let download = Download::of(&journey, &backup.backup_id)?;
    for (object, before) in OBJECTS.into_iter().zip(before) {
        let after = journey.portal.truth(object)?;
        let rows = after.check_values(&download.csv_of(object)?)?;
        let untouched: BTreeSet<u64> = after.live().into_iter().filter(|id| before.get(*id).is_some()).collect();
        let missing: Vec<_> = untouched.iter().filter(|id| rows.binary_search(id).is_err()).collect();
        assert!(missing.is_empty(), "{object}: {missing:?} are missing");
        assert!(untouched.len() < before.live().len(), "{object}: nothing was deleted meanwhile");
        let verdict = download.file_of(object).map(|file| file["verdict"].clone());
        assert!([Some(json!("exact")), Some(json!("drift"))].contains(&verdict), "{object}: {verdict:?}");
    }
    Ok(())
}
