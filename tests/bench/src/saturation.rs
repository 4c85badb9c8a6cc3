//! How much of the CRM's call limit a backup uses: the CRM's limits are the speed limit, and the export should sit on
//! them.

use std::time::Duration;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use serde::Deserialize;

use crate::export;
use crate::figure::Figure;
use crate::sample::{number, percent};

pub(crate) const ACCOUNT: [&str; 10] = [
    "--records",
    "contacts=100000",
    "--custom-objects",
    "",
    "--properties",
    "columns:200/60",
    "--plan",
    "professional",
    "--latency-ms",
    "300",
];
/// Calls a second that the plan allows.
pub(crate) const ALLOWED: f64 = 19.0;
/// At 1,900 records a second it should take a minute.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long workers may take to start and to split their ranges, counted from the first page.
const WARM_UP_MS: i64 = 10_000;
/// The time before the last page that is not measured, because there may be too little work.
const RUN_OUT_MS: i64 = 5_000;

/// The sandbox's report, as far as it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) total: u64,
    pub(crate) refused: u64,
    pub(crate) recent: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    pub(crate) at_ms: i64,
    pub(crate) endpoint: String,
    object: Option<String>,
    status: u16,
    records: u32,
}

impl Call {
    fn is_page(&self) -> bool {
        self.endpoint == "list" && self.object.as_deref() == Some("contacts")
    }

    /// Searches have a limit of their own.
    fn draws_on_the_limit(&self) -> bool {
        self.endpoint != "search" && self.status != 429
    }
}

/// Takes the figures.
///
/// # Errors
/// When the backup does not complete.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (cursors, words) in [("nextId", "last id + 1"), ("ids", "last id")] {
        figures.extend(with_cursors(places, cursors, words)?);
    }
    Ok(figures)
}

fn with_cursors(places: &Places, cursors: &str, words: &str) -> Result<Vec<Figure>> {
    eprintln!("saturation: 100,000 contacts of 200 properties, 190 calls per 10 s, 300 ms, cursors: {words} …");
    let faults = format!(r#"{{"cursors": "{cursors}"}}"#);
    let account: Vec<&str> = ACCOUNT.into_iter().chain(["--faults", &faults]).collect();
    let mut running = export::bring_up(places, &account)?;
    let completed = export::back_up("saturation", &mut running, PATIENCE, || Ok(()))?;
    let report = export::call_report(&running)?;
    let report: Report = serde_json::from_value(report).or_failure(|| "the sandbox's call report".to_owned())?;
    if report.total > report.recent.len() as u64 {
        return Err(Failure::new(format!(
            "the sandbox remembers only {} of {} calls",
            report.recent.len(),
            report.total
        )));
    }
    let rate = steady_rate(&report.recent).ok_or_else(|| Failure::new("the backup was too short to measure"))?;
    let pages: Vec<u64> = report.recent.iter().filter(|call| call.is_page()).map(|call| call.records.into()).collect();
    let records: u64 = pages.iter().sum();
    let how = "deployed stack, release builds; from the sandbox's call report";
    Ok(vec![
        Figure::new(
            format!("saturation, {words}: calls admitted of those allowed"),
            percent(rate, ALLOWED),
            "%",
            format!("{how}; searches left out, from 10 s after the first page to 5 s before the last"),
        )
        .at_least(95.0),
        Figure::new(
            format!("saturation, {words}: records per list call"),
            number(records) / number(pages.len() as u64),
            "",
            how,
        )
        .at_least(97.0),
        Figure::new(
            format!("saturation, {words}: calls refused"),
            percent(number(report.refused), number(report.total)),
            "%",
            how,
        )
        .at_most(1.0),
        Figure::new(
            format!("saturation, {words}: whole backup"),
            completed.took.as_secs_f64(),
            "s",
            "request to archive",
        ),
    ])
}

/// Calls a second, once all workers are at work and before they run out of it.
fn steady_rate(calls: &[Call]) -> Option<f64> {
    let pages = || calls.iter().filter(|call| call.is_page() && call.records > 1).map(|call| call.at_ms);
    rate_between(calls, pages().min()? + WARM_UP_MS, pages().max()? - RUN_OUT_MS)
}

/// Calls a second that were admitted in a span of time; None where it has no length.
pub(crate) fn rate_between(calls: &[Call], from: i64, to: i64) -> Option<f64> {
    let millis = u64::try_from(to - from).ok().filter(|millis| *millis > 0)?;
    let admitted = calls.iter().filter(|call| call.draws_on_the_limit() && (from..to).contains(&call.at_ms)).count();
    Some(number(admitted as u64) * 1_000.0 / number(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at_ms: i64, endpoint: &str, status: u16) -> Call {
        Call { at_ms, endpoint: endpoint.to_owned(), object: Some("contacts".to_owned()), status, records: 100 }
    }

    #[test]
    fn only_admitted_calls_of_the_steady_time_count() {
        let pages = (0..200).map(|n| call(n * 100, "list", 200));
        let others = (0..200).flat_map(|n| [call(n * 100, "search", 200), call(n * 100, "list", 429)]);
        let calls: Vec<_> = pages.chain(others).collect();
        let rate = steady_rate(&calls).expect("long enough");
        assert!((rate - 10.0).abs() < 0.3, "{rate}");
    }

    #[test]
    fn a_short_export_has_no_steady_time() {
        assert!(steady_rate(&[call(0, "list", 200), call(9_000, "list", 200)]).is_none());
        assert!(steady_rate(&[]).is_none());
    }
}
