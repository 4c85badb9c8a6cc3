//! Backups beside a script that reads page after page with HubSpot's own client for Python, in turn with ours, on the
//! same sandbox with the same limits and data. Other tools either use HubSpot's first API, or are not on the Python
//! package index.

use std::time::Duration;

use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::python::Environment;
use dev_stack::stack::Running;
use serde::Deserialize;
use serde_json::json;

use crate::export;
use crate::figure::Figure;
use crate::function_use::FunctionUse;
use crate::sample::number;

const OBJECT: &str = "contacts";
const PATIENCE: Duration = Duration::from_mins(10);
/// Records, turns, and how much faster ours must be.
const SIZES: [(u64, usize, Option<f64>); 4] =
    [(500, 5, None), (5_000, 3, Some(2.3)), (20_000, 1, Some(4.0)), (100_000, 1, Some(5.2))];
/// The most seconds for the smallest account.
const MOST_SECONDS: f64 = 5.0;
/// Records of the comparison without a limit, and how many ours must read in a second of processor time.
const UNLIMITED: u64 = 100_000;
const LEAST_PER_PROCESSOR_SECOND: f64 = 45_000.0;

/// The script's report.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    records: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// Takes the figures. None if HubSpot's client cannot be installed.
///
/// # Errors
/// When a backup or the script does not complete.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    let Some(python) = client(places) else { return Ok(Vec::new()) };
    let mut figures = Vec::new();
    for (records, turns, least) in SIZES {
        figures.extend(under_the_limit(places, &python, records, turns, least)?);
    }
    figures.extend(processor_time(places)?);
    Ok(figures)
}

/// The environment of the script. None if HubSpot's client cannot be installed.
fn client(places: &Places) -> Option<Environment> {
    let prepared = Environment::prepare(places, places.dev().join("crm-client-venv"), "crm-client.txt");
    prepared.inspect_err(|why| eprintln!("skipped: {why}")).ok()
}

fn under_the_limit(
    places: &Places,
    python: &Environment,
    records: u64,
    turns: usize,
    least: Option<f64>,
) -> Result<Vec<Figure>> {
    eprintln!("peers: {records} contacts of 200 properties, 190 calls per 10 s, 300 ms, {turns} turns …");
    let mut running = bring_up(places, records, &["--plan", "professional", "--latency-ms", "300"])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        theirs.push(script(places, python, &running, records)?.seconds);
        ours.push(back_up(&mut running, records, || Ok(()))?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let name = format!("peers, {records} records");
    let how = format!("request to archive, median of {turns}");
    let whole = Figure::new(format!("{name}: whole backup"), ours, "s", how);
    let ratio = Figure::new(format!("{name}: records/s of a script's"), theirs / ours, "×", "in turn");
    Ok(vec![
        if least.is_none() { whole.at_most(MOST_SECONDS) } else { whole },
        Figure::new(format!("{name}: a script"), theirs, "s", "HubSpot's client for Python, first call to closed zip"),
        match least {
            Some(least) => ratio.at_least(least),
            None => ratio,
        },
    ])
}

/// Records for each second of processor time, where nothing else limits a backup.
///
/// # Errors
/// As of [`run`].
pub(crate) fn processor_time(places: &Places) -> Result<Vec<Figure>> {
    let Some(python) = client(places) else { return Ok(Vec::new()) };
    let mut figures = without_a_limit(places, &python, Answers::Plain)?;
    figures.extend(without_a_limit(places, &python, Answers::Compressed)?);
    Ok(figures)
}

/// How the CRM answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// As the script gets them, which asks for no compression.
    Plain,
    /// With gzip, to clients that ask for it. A backup does.
    Compressed,
}

fn without_a_limit(places: &Places, python: &Environment, answers: Answers) -> Result<Vec<Figure>> {
    let (name, gzip) = match answers {
        Answers::Plain => ("plain answers", r#"{"gzip": false}"#),
        Answers::Compressed => ("compressed answers", r#"{"gzip": true}"#),
    };
    eprintln!("processor: {UNLIMITED} contacts of 200 properties, no limit, no latency, {name} …");
    let mut running = bring_up(places, UNLIMITED, &["--plan", "unlimited", "--variants", gzip])?;
    let (stack, mut used) = (running.stack().clone(), FunctionUse::default());
    used.look(&stack)?;
    let before = used.processor_seconds();
    back_up(&mut running, UNLIMITED, || used.look(&stack))?;
    used.look(&stack)?;
    let rate = number(UNLIMITED) / (used.processor_seconds() - before);
    let peak = used.all().first().map_or(0.0, |(_, peak)| *peak);
    let how = "no limit, no latency; all functions together";
    let figure =
        Figure::new(format!("processor, {name}: records per second of processor time"), rate, "records/s", how);
    let memory = Figure::new(format!("processor, {name}: highest memory of a function"), peak, "MiB", "VmHWM");
    if answers == Answers::Compressed {
        return Ok(vec![figure, memory]);
    }
    let peer = script(places, python, &running, UNLIMITED)?;
    let peers = number(UNLIMITED) / peer.cpu_seconds;
    Ok(vec![
        figure.at_least(LEAST_PER_PROCESSOR_SECOND),
        memory,
        Figure::new("processor: the same of a script", peers, "records/s", "HubSpot's client for Python"),
        Figure::new("processor: records of a script's", rate / peers, "×", "on the same machine, one after the other"),
        Figure::new("processor: memory of a script", peer.peak_mib, "MiB", "getrusage"),
    ])
}

fn bring_up(places: &Places, records: u64, account: &[&str]) -> Result<Running> {
    let records = format!("{OBJECT}={records}");
    let data = ["--records", &records, "--custom-objects", "", "--properties", "columns:200/60"];
    export::bring_up(places, &[&data, account].concat())
}

/// Seconds from the request to the archive.
fn back_up(running: &mut Running, records: u64, look: impl FnMut() -> Result<()>) -> Result<f64> {
    let completed = export::back_up("peers", running, PATIENCE, look)?;
    check(completed.backup.objects.iter().map(|object| object.records).sum(), records)?;
    Ok(completed.took.as_secs_f64())
}

fn script(places: &Places, python: &Environment, running: &Running, records: u64) -> Result<Peer> {
    let archive = places.target().join("bench/peer.zip");
    let request = json!({
        "url": running.stack().sandbox_url,
        "token": export::SANDBOX_TOKEN,
        "object": OBJECT,
        "properties": export::properties(running, OBJECT)?,
        "archive": archive,
    });
    let peer: Peer = python.ask("peer.py", &request)?;
    check(peer.records, records)?;
    Ok(peer)
}

fn check(found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!("a backup holds {found} records instead of {expected}")))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}
