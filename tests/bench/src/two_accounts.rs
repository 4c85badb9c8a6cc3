//! Two accounts that are backed up at the same time, with the API in use meanwhile. The functions of the queues may have
//! two executions each, so both backups and the API fit into the ten executions of a new AWS account.

use std::thread;
use std::time::{Duration, Instant};

use dev_stack::api::Api;
use dev_stack::backups::Backups;
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::stack::Stack;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cost::settle;
use crate::export;
use crate::figure::Figure;
use crate::sample::{number, percent};
use crate::saturation::{ALLOWED, Report, steady_rate};

const RECORDS: u64 = 50_000;
const PATIENCE: Duration = Duration::from_mins(5);
/// Concurrent executions of a new AWS account.
const QUOTA: u64 = 10;

/// An account with a portal of its own.
struct Account {
    portal_id: u64,
    backups: Backups,
}

/// Takes the figures.
///
/// # Errors
/// When a backup does not complete, or the API does not answer.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("two accounts: 50,000 contacts of 200 properties each, 190 calls per 10 s, 300 ms, at the same time …");
    let running = export::bring_up(places, &["--records", "contacts=1", "--custom-objects", ""])?;
    let stack = running.stack();
    let accounts = [account(stack, "81")?, account(stack, "82")?];
    let (mut slowest, mut requests, since) = (Duration::ZERO, 0, Timestamp::now());
    thread::scope(|scope| {
        let all: Vec<_> = accounts.iter().map(|account| scope.spawn(|| back_up(&account.backups))).collect();
        while all.iter().any(|one| !one.is_finished()) {
            let began = Instant::now();
            stack
                .api()
                .with_token(&stack.super_admin.id_token)
                .get(&format!("/accounts/{}", stack.account_id))?
                .expect(200, "reading an account")?;
            slowest = slowest.max(began.elapsed());
            requests += 1;
            thread::sleep(Duration::from_millis(200));
        }
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| Err(Failure::new("a thread panicked"))))
    })?;
    let how = "from 10 s after its first page to 5 s before its last";
    let mut figures = Vec::new();
    for (number, account) in accounts.iter().enumerate() {
        let rate = used(stack, account)?;
        let name = format!("two accounts: calls admitted of those allowed, account {}", number + 1);
        figures.push(Figure::new(name, percent(rate, ALLOWED), "%", how).at_least(95.0));
    }
    settle();
    let most_at_once = stack.invocations(since.as_millisecond())?.most_at_once;
    let of = "invocations of all functions at one time, by the emulator's logs";
    figures.push(Figure::new("two accounts: executions", number(most_at_once), "", of).at_most(number(QUOTA)));
    let how = format!("{requests} requests while both were backed up");
    figures.push(Figure::new("two accounts: slowest answer of the API", slowest.as_secs_f64(), "s", how));
    Ok(figures)
}

fn account(stack: &Stack, id: &str) -> Result<Account> {
    let portal = json!({
        "token": format!("token-{id}"), "records": { "contacts": RECORDS }, "customObjects": [],
        "propertySet": "columns:200/60", "plan": "professional", "latencyMs": 300,
    });
    let made = Api::new(&stack.sandbox_url).post("/_sandbox/portals", &portal)?;
    let portal_id = made.expect(201, "making a portal")?.json()["portalId"].as_u64().unwrap_or_default();
    stack.create_account(id)?;
    let admin = stack.users.new_super_admin(id)?;
    stack.connect_account(id, &admin, &stack.sandbox_url, &format!("token-{id}"))?;
    Ok(Account { portal_id, backups: Backups::of(stack.api().with_token(&admin.id_token), id) })
}

fn back_up(backups: &Backups) -> Result<()> {
    let ended = backups.watch(&backups.create()?, PATIENCE, |_| Ok(()))?;
    let records: u64 = ended.objects.iter().map(|object| object.records).sum();
    if ended.state == "completed" && records == RECORDS {
        return Ok(());
    }
    Err(Failure::new(format!("a backup is {} with {records} records", ended.state)))
}

/// The calls a second of an account, once it is under way.
fn used(stack: &Stack, account: &Account) -> Result<f64> {
    let path = format!("/_sandbox/portals/{}/calls?recent=2000", account.portal_id);
    let report: Value = Api::new(&stack.sandbox_url).get(&path)?.json();
    let report: Report = serde_json::from_value(report).or_failure(|| "the sandbox's call report".to_owned())?;
    steady_rate(&report.recent).ok_or_else(|| Failure::new("the backup was too short to measure"))
}
