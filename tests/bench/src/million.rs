//! A million records with the call limit off: what the system does when the CRM is not what it waits for, and how much
//! memory its functions take.

use std::time::Duration;

use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;

use crate::export;
use crate::figure::Figure;
use crate::function_use::FunctionUse;
use crate::sample::number;

const RECORDS: u64 = 1_000_000;
const ACCOUNT: [&str; 8] =
    ["--records", "contacts=1000000", "--custom-objects", "", "--properties", "columns:20/12", "--plan", "unlimited"];
const PATIENCE: Duration = Duration::from_mins(15);

/// Takes the figures.
///
/// # Errors
/// When the backup does not complete, or does not hold every record.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("million: 1,000,000 contacts of 20 properties, no call limit, no latency …");
    let mut running = export::bring_up(places, &ACCOUNT)?;
    let stack = running.stack().clone();
    let mut used = FunctionUse::default();
    let completed = export::back_up("million", &mut running, PATIENCE, || used.look(&stack))?;
    used.look(&stack)?;
    let records: u64 = completed.backup.objects.iter().map(|object| object.records).sum();
    if records != RECORDS {
        return Err(Failure::new(format!("the backup holds {records} records instead of {RECORDS}")));
    }
    let archive = places.target().join("bench/million.zip");
    let bytes = completed.backups.download(&completed.backup.backup_id, &archive)? as u64;
    let seconds = completed.took.as_secs_f64();
    let how = "deployed stack, release builds; emulator, sandbox CRM and functions on the same machine";
    let mut figures = vec![
        Figure::new("million: whole backup", seconds, "s", how),
        Figure::new("million: records", number(RECORDS) / seconds, "records/s", how),
        Figure::new("million: archive", number(bytes) / f64::from(1 << 20), "MiB", "downloaded"),
    ];
    let how = "all functions together";
    let processor = number(RECORDS) / used.processor_seconds();
    figures.push(Figure::new("million: records per processor second", processor, "records/s", how));
    figures.extend(used.memory("million"));
    Ok(figures)
}
