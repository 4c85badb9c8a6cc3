//! How fast a backup is where the CRM's cursors are texts that only the CRM can read: ids come by searches and from the list,
//! values by batches, from all workers.

use std::time::Duration;

use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;

use crate::export;
use crate::figure::Figure;
use crate::sample::number;
use crate::saturation::ACCOUNT;

const RECORDS: u64 = 100_000;
/// At 330 records a second, as by one worker, it takes five minutes.
const PATIENCE: Duration = Duration::from_mins(8);

/// Takes the figures.
///
/// # Errors
/// When the backup does not complete, or is not exact.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("opaque: 100,000 contacts of 200 properties, 190 calls per 10 s, 300 ms, opaque cursors …");
    let account: Vec<&str> = ACCOUNT.into_iter().chain(["--faults", r#"{"cursors": "opaque"}"#]).collect();
    let mut running = export::bring_up(places, &account)?;
    let completed = export::back_up("opaque", &mut running, PATIENCE, || Ok(()))?;
    let records: u64 = completed.backup.objects.iter().map(|object| object.records).sum();
    if records != RECORDS {
        return Err(Failure::new(format!("the backup has {records} records of {RECORDS}")));
    }
    let seconds = completed.took.as_secs_f64();
    let how = "deployed stack, release builds; from the request to the archive";
    Ok(vec![
        Figure::new("opaque: records", number(records) / seconds, "records/s", how).at_least(900.0),
        Figure::new("opaque: whole backup", seconds, "s", "request to archive"),
    ])
}
