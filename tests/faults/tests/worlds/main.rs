//! A thousand worlds, each made up from a number; and one of them, again.
//!
//! ```sh
//! WORLDS=20000 cargo test -p faults --test worlds a_thousand_worlds
//! WORLD=4711 cargo test -p faults --test worlds one_world -- --nocapture
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use faults::worlds::{Coverage, WorldPlan, shrink, walk};
use tokio::runtime::Builder;

/// How many worlds, unless `WORLDS` is set.
const WORLDS: u64 = 1_000;

/// A run of more worlds than usual goes on until it has met so many kinds of failures. Others end at the first.
const MOST_KINDS: usize = 5;

/// Plans that are tried to make one smaller that fails, and how long that may take.
const MOST_TRIES: usize = 600;
const LONGEST_SHRINKING: Duration = Duration::from_mins(1);

/// What a thousand worlds have met. A kind of trouble that struck in none would prove nothing.
const EXPECTED: [&str; 34] = [
    "a failed call in a backup",
    "a failed call in a restore",
    "a lost answer in a backup",
    "a lost answer at Crm::update_batch",
    "a death in a backup",
    "a death in a restore",
    "a death after a call at Crm::update_batch",
    "a death after a call at Ledger::commit",
    "a frozen worker in a backup",
    "a frozen worker in a restore",
    "a clock that jumps forward in a",
    "a clock that goes back in a",
    "a message that comes late in a",
    "messages that are lost in a",
    "a cancellation in a backup",
    "a stop in a restore",
    "an edit in a backup",
    "an edit in a restore",
    "an edit just before a call in a restore",
    "values set between plan and confirmation",
    "mergers between",
    "deletions between",
    "Unavailable in a",
    "RateLimit in a",
    "DailyLimit in a",
    "TokenRefused in a",
    "AnswerLost in a",
    "Late in a",
    "verdict Drift",
    "verdict Short",
    "undo Completed",
    "fate written",
    "fate failed: EDITED_SINCE",
    "fate failed: INVALID_OPTION",
];

thread_local! {
    /// The place and the message of the last panic on this thread.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A world that is not as it must be.
struct Failing {
    plan: WorldPlan,
    message: String,
}

/// Keeps the messages of panics instead of printing them.
fn listen() {
    panic::set_hook(Box::new(|panic| LAST_PANIC.set(panic.to_string())));
}

/// Goes through a world. The error comes from the oracle.
fn outcome(plan: &WorldPlan) -> Result<Coverage, String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let walked = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(walk(plan))));
    walked.map_err(|_| LAST_PANIC.take())
}

/// What is wrong, without the details, so that a plan is made smaller only for as long as the same is wrong.
fn kind(message: &str) -> String {
    let mut lines = message.lines();
    let place = lines.next().unwrap_or_default().to_owned();
    let what = lines.next().unwrap_or_default();
    let what = what.split_once("failed: ").map_or(what, |(_, what)| what);
    format!("{place} {}", what.split(':').next().unwrap_or_default())
}

fn smallest(failing: &Failing) -> WorldPlan {
    let (wrong, began) = (kind(&failing.message), Instant::now());
    shrink(&failing.plan, MOST_TRIES, |plan| {
        began.elapsed() < LONGEST_SHRINKING && outcome(plan).is_err_and(|message| kind(&message) == wrong)
    })
}

/// What a developer needs to look into a failure.
fn report(failing: &Failing) -> String {
    let plan = smallest(failing);
    let message = outcome(&plan).err().unwrap_or_else(|| "not again: something in it is not repeatable".to_owned());
    let line = serde_json::to_string(&plan).expect("a plan is JSON");
    format!(
        "world {} fails: {}\n\nmade smaller: {message}\n{plan:#?}\n\nagain:\nWORLD='{line}' cargo test -p faults --test worlds one_world -- --nocapture\n",
        failing.plan.seed, failing.message,
    )
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_thousand_worlds() {
    listen();
    let (first, worlds) = (number("FIRST_WORLD", 0), number("WORLDS", WORLDS));
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let (met, failing) = (Mutex::new(Coverage::default()), Mutex::new(BTreeMap::<String, Failing>::new()));
    let most_kinds = if worlds > WORLDS { MOST_KINDS } else { 1 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds {
                        return;
                    }
                    let plan = WorldPlan::of(seed);
                    match outcome(&plan) {
                        Ok(coverage) => met.lock().expect("not poisoned").add_world(&coverage),
                        Err(message) => {
                            let mut failing = failing.lock().expect("not poisoned");
                            failing.entry(kind(&message)).or_insert(Failing { plan, message });
                            stop.store(failing.len() >= most_kinds, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let reports: Vec<String> = failing.into_inner().expect("not poisoned").values().map(report).collect();
    drop(panic::take_hook());
    assert!(reports.is_empty(), "{}", reports.join("\n"));
    let met = met.into_inner().expect("not poisoned");
    println!("{met}");
    let missing: Vec<_> = EXPECTED.iter().filter(|what| met.of(what) == 0).collect();
    assert!(worlds < WORLDS || missing.is_empty(), "no world has met {missing:?}");
}

#[test]
fn one_world() {
    let Ok(line) = std::env::var("WORLD") else { return };
    let plan = match line.parse() {
        Ok(seed) => WorldPlan::of(seed),
        Err(_) => serde_json::from_str(&line).expect("a number or a plan"),
    };
    println!("{plan:#?}");
    listen();
    let outcome = outcome(&plan);
    drop(panic::take_hook());
    match outcome {
        Ok(coverage) => println!("{coverage}"),
        Err(message) => panic!("{message}"),
    }
}

/// The backup is cancelled while its objects are discovered, and any one call fails. A run that notices the end late has
/// written after the sweep, and asks for another one.
#[test]
fn a_cancelled_backup_leaves_nothing_behind_whichever_call_fails() {
    listen();
    let (mut cancelled, mut failing) = (0, Vec::new());
    for nth in 0..60 {
        let object = r#"{"records":0,"properties":[]}"#;
        let way = format!(r#"{{"faults":[{{"nth":{nth}}}],"events":[{{"At":[0,"End"]}}]}}"#);
        let plan = format!(r#"{{"workers":2,"objects":[{object},{object}],"steps":[{{"Backup":{way}}}]}}"#);
        let plan: WorldPlan = serde_json::from_str(&plan).expect("a plan");
        match outcome(&plan) {
            Ok(coverage) => cancelled += coverage.of("a cancellation in a backup"),
            Err(message) => failing.push(format!("call {nth}: {message}")),
        }
    }
    drop(panic::take_hook());
    assert!(failing.is_empty(), "{}", failing.join("\n"));
    assert!(cancelled >= 50, "{cancelled} of 60 backups were cancelled");
}

/// A run writes a value that the CRM keeps in a form of its own, and ends because of another batch. Meanwhile the CRM
/// has refused the property too often, so the next run gives the value up. An undo goes back to what was there before
/// (world 11588).
#[test]
fn a_written_value_of_a_property_that_was_dropped_since_goes_back() {
    let plan = r#"{
        "objects": [{ "records": 202, "properties": ["Lower"] }],
        "steps": [
            { "Backup": {} },
            { "People": [{ "every": 1 }] },
            { "Restore": {
                "properties": [0],
                "refusals": [{ "why": "ReadOnly", "from": 2 }],
                "writing": { "faults": [{ "nth": 0 }, { "call": "Crm::update_batch", "nth": 2 }] }
            } },
            { "Undo": {} }
        ]
    }"#;
    let coverage = walked(plan);
    assert!(coverage.of("fate failed: PROPERTY_DROPPED") > 0 && coverage.of("undo Completed") > 0, "{coverage}");
}

/// A run reports that a value is taken and stays empty, but cannot commit that. Then a user stops the restore, and the
/// value is free again: giving it back now would make the report untrue. Which call has to fail and when the stop has to
/// come depends on the pace of calls, so some of each are tried.
#[test]
fn a_value_whose_outcome_is_known_is_not_written_after_a_stop() {
    let is_met = |failed_call: u32, second: u32| {
        let plan = format!(
            r#"{{
                "objects": [{{ "records": 202, "properties": ["Unique"] }}],
                "steps": [
                    {{ "Backup": {{}} }},
                    {{ "People": [{{ "every": 1, "change": {{ "Rotate": 0 }} }}] }},
                    {{ "Restore": {{
                        "properties": [0],
                        "writing": {{ "faults": [{{ "nth": 2, "fault": "WorkerDiesAfterwards" }}] }}
                    }} }},
                    {{ "Undo": {{ "writing": {{
                        "troubles": [{{ "what": "Late", "from": 0, "calls": 1 }}, {{ "from": {failed_call}, "calls": 1 }}],
                        "events": [{{ "At": [{second}, "End"] }}]
                    }} }} }}
                ]
            }}"#
        );
        let coverage = walked(&plan);
        coverage.of("fate failed: UNIQUE_VALUE_TAKEN") > 0 && coverage.of("undo Stopped") > 0
    };
    let stops = |failed_call| (60..100).step_by(5).filter(move |second| is_met(failed_call, *second)).count();
    let met = (2..=4).map(stops).sum::<usize>();
    assert!((1..24).contains(&met), "{met} of 24 stops come after a value was taken");
}

/// Walks a world that must not fail.
fn walked(plan: &str) -> Coverage {
    listen();
    let outcome = outcome(&serde_json::from_str(plan).expect("a plan"));
    drop(panic::take_hook());
    outcome.unwrap_or_else(|message| panic!("{message}"))
}
