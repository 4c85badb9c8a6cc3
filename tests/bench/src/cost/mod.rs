//! What a backup, a restore and an idle deployment cost on AWS, from what the deployed functions asked for in this very
//! run, at list prices.
//!
//! A proxy between the functions and the emulator counts requests; the emulator's logs have the time of every
//! invocation. The emulator is slower than AWS and shares the processor with everything else, so the time of runs that
//! wait for the CRM is that on AWS, and the time of short runs is rather too long.

mod bill;
mod counts;
mod ledger;
mod prices;
mod proxy;

use std::thread;
use std::time::Duration;

use dev_stack::binaries::Profile;
use dev_stack::emulator::usable_port;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::stack::{Running, Wishes};
use jiff::Timestamp;

use self::bill::Bill;
pub(crate) use self::bill::settle;
use self::proxy::Proxy;
use crate::export::{self, Completed};
use crate::figure::Figure;
use crate::restore::{self, Account};

/// An account as the demo has it: eleven kinds of objects.
const SMALL: Scenario = Scenario {
    name: "30,500 records",
    account: &[
        "--records",
        "contacts=12000,companies=5000,deals=4500,tickets=3000,products=600,calls=2200,tasks=1500,conversations=500",
        "--custom-objects",
        "machine=800,rental_contract=400,site_inspection=0",
        "--plan",
        "professional",
        "--latency-ms",
        "300",
    ],
    records: 30_000,
    patience: Duration::from_mins(5),
};
const MILLION: Scenario = Scenario {
    name: "a million records",
    account: &restore::only_contacts("contacts=1000000"),
    records: 1_000_000,
    patience: Duration::from_mins(25),
};

/// The most dollars that a backup or restore may cost.
const MOST_SMALL: f64 = 0.002;
const MOST_MILLION: f64 = 0.015;
const MOST_RESTORE: f64 = 0.010;

/// How long a deployment without work is watched. Its rules fire every minute.
const IDLE: Duration = Duration::from_mins(2);
/// A month of 30 days.
const MONTH: Duration = Duration::from_hours(30 * 24);
/// Weekly backups in such a month.
const WEEKS: f64 = 30.0 / 7.0;

struct Scenario {
    name: &'static str,
    account: &'static [&'static str],
    /// At least so many.
    records: u64,
    patience: Duration,
}

/// Takes the figures.
///
/// # Errors
/// When a backup or the restore does not complete, or a function asked for something that has no price here.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    let mut figures = small(places)?;
    figures.extend(million(places)?);
    Ok(figures)
}

fn small(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("cost: two minutes without work, then a backup of {}, 190 calls per 10 s, 300 ms …", SMALL.name);
    let mut stack = Watched::bring_up(places, &SMALL)?;
    let began = stack.begin();
    thread::sleep(IDLE);
    let idle = stack.bill_since(began)?;
    let (backup, bytes) = stack.back_up(places, &SMALL)?;
    let mut figures = idle.figures("cost, two minutes without work");
    figures.push(idle.of_a_month(IDLE, MONTH));
    figures.extend(backup.figures(&format!("cost, {}", SMALL.name)));
    figures.push(backup.sum(&format!("cost, {}", SMALL.name)).at_most(MOST_SMALL));
    let month = WEEKS * (backup.dollars() + bill::storage(bytes));
    let how = "30/7 times the backup of this run, its archive kept for 14 days each";
    figures.push(Figure::new("cost, weekly backups of it for a month", month * 100.0, "cents", how));
    Ok(figures)
}

fn million(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("cost: a backup of {}, then a restore of it with 1 % changed …", MILLION.name);
    let mut stack = Watched::bring_up(places, &MILLION)?;
    let began = stack.begin();
    let completed = export::back_up("cost", &mut stack.running, MILLION.patience, || Ok(()))?;
    let backup = stack.bill_since(began)?;
    check(&completed, &MILLION)?;
    let Watched { proxy, running } = stack;
    let mut account = Account::of(running, completed.backup.backup_id, MILLION.patience)?;
    let changed = account.damage_every(100)?;
    let began = begin(&proxy);
    account.restore(changed)?;
    let restore = bill_since(&proxy, account.running(), began)?;
    let name = format!("cost, {}", MILLION.name);
    let mut figures = backup.figures(&name);
    figures.push(backup.sum(&name).at_most(MOST_MILLION));
    figures.extend(restore.figures("cost, restore"));
    figures.push(restore.sum("cost, restore of it with 1 % changed").at_most(MOST_RESTORE));
    Ok(figures)
}

fn check(completed: &Completed, scenario: &Scenario) -> Result<()> {
    let records: u64 = completed.backup.objects.iter().map(|object| object.records).sum();
    if records >= scenario.records {
        return Ok(());
    }
    Err(Failure::new(format!("the backup holds {records} records instead of {}", scenario.records)))
}

/// A deployed stack whose functions reach AWS through a proxy that counts.
struct Watched {
    proxy: Proxy,
    running: Running,
}

impl Watched {
    fn bring_up(places: &Places, scenario: &Scenario) -> Result<Self> {
        let (proxy, port) = (Proxy::start()?, usable_port(0)?);
        proxy.forward_to(&format!("http://127.0.0.1:{port}"));
        let wishes = Wishes {
            name: "bench",
            port,
            sandbox: scenario.account,
            profile: Profile::Release,
            functions_endpoint: Some(proxy.url()),
            ..Wishes::default()
        };
        let running = Running::bring_up(places, wishes)?;
        Ok(Self { proxy, running })
    }

    fn begin(&self) -> Timestamp {
        begin(&self.proxy)
    }

    fn bill_since(&self, began: Timestamp) -> Result<Bill> {
        bill_since(&self.proxy, &self.running, began)
    }

    /// The bill of one backup, and the bytes of its archive.
    fn back_up(&mut self, places: &Places, scenario: &Scenario) -> Result<(Bill, u64)> {
        let began = self.begin();
        let completed = export::back_up("cost", &mut self.running, scenario.patience, || Ok(()))?;
        let bill = self.bill_since(began)?;
        check(&completed, scenario)?;
        let archive = places.target().join("bench/cost.zip");
        let bytes = completed.backups.download(&completed.backup.backup_id, &archive)? as u64;
        Ok((bill, bytes))
    }
}

/// Forgets what was counted so far.
fn begin(proxy: &Proxy) -> Timestamp {
    drop(proxy.take());
    Timestamp::now()
}

fn bill_since(proxy: &Proxy, running: &Running, began: Timestamp) -> Result<Bill> {
    settle();
    let invocations = running.stack().invocations(began.as_millisecond())?.functions;
    let counts = proxy.take();
    if counts.unknown.is_empty() {
        return Ok(Bill { counts, invocations });
    }
    let unknown: Vec<_> = counts.unknown.into_iter().collect();
    Err(Failure::new(format!("these requests have no price here: {}", unknown.join(", "))))
}
