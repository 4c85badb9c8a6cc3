//! How much of the CRM's call limit a backup uses: the CRM's limits are the speed limit, and the export should sit on
//! them.

use std::time::Duration;

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use jiff::Timestamp;
use serde::Deserialize;

use crate::export;
use crate::figure::Figure;
use crate::function_use::FunctionUse;
use crate::sample::{number, percent};

pub(crate) const ACCOUNT: [&str; 10] = of_latency("300");
/// Calls a second that the plan allows.
pub(crate) const ALLOWED: f64 = 19.0;
/// Calls a second with HubSpot's increase of the limit.
const INCREASED: f64 = 25.0;

const fn of_latency(latency_ms: &str) -> [&str; 10] {
    [
        "--records",
        "contacts=100000",
        "--custom-objects",
        "",
        "--properties",
        "columns:200/60",
        "--plan",
        "professional",
        "--latency-ms",
        latency_ms,
    ]
}

/// One account.
struct Case {
    latency_ms: &'static str,
    /// Calls a second.
    allowed: f64,
    /// The form of its cursors, in the sandbox's words.
    cursors: &'static str,
    name: &'static str,
}

const CASES: [Case; 7] = [
    Case { latency_ms: "300", allowed: ALLOWED, cursors: "nextId", name: "300 ms" },
    Case { latency_ms: "300", allowed: ALLOWED, cursors: "ids", name: "300 ms, cursors are the last id" },
    Case { latency_ms: "100", allowed: ALLOWED, cursors: "nextId", name: "100 ms" },
    Case { latency_ms: "800", allowed: ALLOWED, cursors: "nextId", name: "800 ms" },
    Case { latency_ms: "100", allowed: INCREASED, cursors: "nextId", name: "100 ms, 250 calls" },
    Case { latency_ms: "300", allowed: INCREASED, cursors: "nextId", name: "300 ms, 250 calls" },
    Case { latency_ms: "800", allowed: INCREASED, cursors: "nextId", name: "800 ms, 250 calls" },
];
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
    pub(crate) object: Option<String>,
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
    for case in &CASES {
        figures.extend(of_case(places, case)?);
    }
    Ok(figures)
}

fn of_case(places: &Places, case: &Case) -> Result<Vec<Figure>> {
    let Case { latency_ms, allowed, cursors, name } = case;
    eprintln!("saturation: 100,000 contacts of 200 properties, {:.0} calls per 10 s, {name} …", allowed * 10.0);
    let faults = format!(r#"{{"cursors": "{cursors}"}}"#);
    let mut account: Vec<&str> = of_latency(latency_ms).into_iter().chain(["--faults", &faults]).collect();
    if *allowed > ALLOWED {
        account.extend(["--limit-increases", "1"]);
    }
    let mut running = export::bring_up(places, &account)?;
    let (stack, mut used, began) = (running.stack().clone(), FunctionUse::default(), Timestamp::now());
    let completed = export::back_up("saturation", &mut running, PATIENCE, || used.look(&stack))?;
    used.look(&stack)?;
    let runs = stack.invocations(began.as_millisecond())?.functions.get("export-chunk").map_or(0, |of| of.invocations);
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
    let mut figures = vec![
        Figure::new(
            format!("saturation, {name}: calls admitted of those allowed"),
            percent(rate, *allowed),
            "%",
            format!("{how}; searches left out, from 10 s after the first page to 5 s before the last"),
        )
        .at_least(97.0),
        Figure::new(
            format!("saturation, {name}: records per list call"),
            number(records) / number(pages.len() as u64),
            "",
            how,
        )
        .at_least(97.0),
        Figure::new(
            format!("saturation, {name}: calls refused"),
            percent(number(report.refused), number(report.total)),
            "%",
            how,
        )
        .at_most(0.5),
        Figure::new(
            format!("saturation, {name}: whole backup"),
            completed.took.as_secs_f64(),
            "s",
            "request to archive",
        ),
        Figure::new(format!("saturation, {name}: runs of export-chunk"), number(runs), "", "the emulator's logs"),
    ];
    figures.extend(used.memory(&format!("saturation, {name}")));
    Ok(figures)
}

/// Calls a second, once all workers are at work and before they run out of it.
pub(crate) fn steady_rate(calls: &[Call]) -> Option<f64> {
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
