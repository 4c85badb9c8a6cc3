//! A small account of many kinds of objects: the time and the calls that are not pages of records.

use std::collections::BTreeMap;
use std::time::Duration;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;

use crate::export;
use crate::figure::Figure;
use crate::sample::number;
use crate::saturation::Report;

/// Eleven kinds of objects with a hundred records each.
const ACCOUNT: [&str; 8] = [
    "--records",
    "contacts=100,companies=100,deals=100,tickets=100,products=100,calls=100,tasks=100,conversations=100",
    "--custom-objects",
    "machine=100,contract=100,site=100",
    "--plan",
    "professional",
    "--latency-ms",
    "300",
];
const KINDS: usize = 11;
const RECORDS: u64 = 1_100;
const PATIENCE: Duration = Duration::from_mins(2);
/// Backups in turn. The first one also starts the functions.
const TURNS: usize = 3;

/// Takes the figures.
///
/// # Errors
/// When a backup does not complete, or does not hold every record.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("small: 11 kinds of objects of 100 records, 190 calls per 10 s, 300 ms …");
    let mut running = export::bring_up(places, &ACCOUNT)?;
    let mut seconds = Vec::new();
    for turn in 1..=TURNS {
        let completed = export::back_up("small", &mut running, PATIENCE, || Ok(()))?;
        let records: u64 = completed.backup.objects.iter().map(|object| object.records).sum();
        if records != RECORDS {
            return Err(Failure::new(format!("the backup holds {records} records instead of {RECORDS}")));
        }
        seconds.push(completed.took.as_secs_f64());
        eprintln!("small: backup {turn} of {TURNS} took {:.1} s", completed.took.as_secs_f64());
    }
    let report: Report =
        serde_json::from_value(export::call_report(&running)?).or_failure(|| "the sandbox's call report".to_owned())?;
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    for object in report.recent.iter().filter_map(|call| call.object.as_deref()) {
        *calls.entry(object).or_default() += 1;
    }
    let most = calls.into_values().max().unwrap_or_default() / TURNS;
    let all = number(report.total) / number((TURNS * KINDS) as u64);
    let longest = seconds.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Figure::new("small: longest of three backups", longest, "s", "request to archive; the first starts functions")
            .at_most(10.0),
        Figure::new(
            "small: calls per kind of object",
            all,
            "calls",
            "all calls, searches and lists of objects included",
        )
        .at_most(8.0),
        Figure::new("small: calls of the kind with the most", number(most as u64), "calls", "the sandbox's report"),
    ])
}
