//! What a restore costs in calls, and how much of the CRM's call limit it uses while it writes.

use std::time::{Duration, Instant};

use dev_stack::api::Api;
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use dev_stack::restores::{Restore, Restores};
use dev_stack::stack::Running;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::Method;

use crate::export;
use crate::figure::Figure;
use crate::function_use::FunctionUse;
use crate::sample::{number, percent};
use crate::saturation::{ALLOWED, Report, rate_between};

const ACCOUNT: [&str; 10] = only_contacts("contacts=100000");
const OBJECT: &str = "contacts";
/// A hundred thousand records are backed up, and later compared, in about a minute each.
const PATIENCE: Duration = Duration::from_mins(5);
/// Records that are changed in one request to the sandbox.
const CHANGES: usize = 5_000;
/// How long the first run may take to start.
const WARM_UP_MS: i64 = 5_000;
/// The time before the last write that is not measured, because there may be too little work.
const RUN_OUT_MS: i64 = 3_000;

/// The sandbox's arguments for an account with no other records than `contacts`.
pub(crate) const fn only_contacts(contacts: &str) -> [&str; 10] {
    [
        "--records",
        contacts,
        "--custom-objects",
        "",
        "--properties",
        "columns:20/12",
        "--plan",
        "professional",
        "--latency-ms",
        "300",
    ]
}

/// The restores of the benchmark's account.
pub(crate) struct Account {
    running: Running,
    backup_id: String,
    ids: Vec<u64>,
    properties: Vec<String>,
    users: u32,
    pub(crate) used: FunctionUse,
    /// How long a plan or a restore may take.
    patience: Duration,
}

/// Takes the figures.
///
/// # Errors
/// When a backup or a restore does not complete.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("restore: 100,000 contacts, 190 calls per 10 s, 300 ms; first 1% of them changed, then 60% …");
    let mut running = export::bring_up(places, &ACCOUNT)?;
    let completed = export::back_up("restore", &mut running, PATIENCE, || Ok(()))?;
    let mut account = Account::of(running, completed.backup.backup_id, PATIENCE)?;
    let mut figures = account.few_changes()?;
    figures.extend(account.many_changes()?);
    figures.extend(account.used.memory("restore"));
    Ok(figures)
}

impl Account {
    /// Restores of a text property of contacts from a backup.
    pub(crate) fn of(running: Running, backup_id: String, patience: Duration) -> Result<Self> {
        let property = text_property(&running)?;
        Self::of_properties(running, backup_id, vec![property], patience)
    }

    /// Restores of these text properties.
    pub(crate) fn of_properties(
        running: Running,
        backup_id: String,
        properties: Vec<String>,
        patience: Duration,
    ) -> Result<Self> {
        let ids = ids(&running)?;
        Ok(Self { running, backup_id, ids, properties, users: 0, used: FunctionUse::default(), patience })
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Overwrites the properties in every `nth` record. Returns the number of these records.
    pub(crate) fn damage_every(&self, nth: usize) -> Result<u64> {
        let changed: Vec<u64> = self.ids.iter().copied().step_by(nth).collect();
        self.damage(&changed)?;
        Ok(changed.len() as u64)
    }

    /// Plans a restore that changes `changed` records, and carries it out.
    pub(crate) fn restore(&mut self, changed: u64) -> Result<()> {
        let restores = self.restores()?;
        let (restore_id, _) = self.planned(&restores, changed)?;
        // The plan may have taken longer than a sign-in is valid for.
        let restores = self.restores()?;
        self.carry_out(&restores, &restore_id)
    }

    fn few_changes(&mut self) -> Result<Vec<Figure>> {
        let changed = self.damage_every(100)?;
        self.reset_calls()?;
        let restores = self.restores()?;
        let (restore_id, planned) = self.planned(&restores, changed)?;
        let reads = self.report()?.total;
        self.carry_out(&restores, &restore_id)?;
        let total = self.report()?.total;
        let how = "deployed stack; the sandbox's count of all calls, definitions and account included";
        Ok(vec![
            Figure::new("restore: calls to plan 100,000 records", number(reads), "calls", how).at_most(1_010.0),
            Figure::new("restore: calls to restore 1% of 100,000 records", number(total), "calls", how)
                .at_most(1_055.0),
            Figure::new("restore: calls that the plan announced", number(planned), "calls", "of applying it"),
        ])
    }

    fn many_changes(&mut self) -> Result<Vec<Figure>> {
        let changed: Vec<u64> = self.ids.iter().copied().take(60_000).collect();
        self.damage(&changed)?;
        let restores = self.restores()?;
        let (restore_id, _) = self.planned(&restores, changed.len() as u64)?;
        self.reset_calls()?;
        let restores = self.restores()?;
        let began = Instant::now();
        self.carry_out(&restores, &restore_id)?;
        let took = began.elapsed();
        let report = self.report()?;
        if report.total > report.recent.len() as u64 {
            return Err(Failure::new("the sandbox does not remember all calls"));
        }
        let writes = || report.recent.iter().filter(|call| call.endpoint == "batchUpdate").map(|call| call.at_ms);
        let span = writes().min().zip(writes().max());
        let rate = span.and_then(|(first, last)| rate_between(&report.recent, first + WARM_UP_MS, last - RUN_OUT_MS));
        let rate = rate.ok_or_else(|| Failure::new("the restore was too short to measure"))?;
        let how = "deployed stack, release builds; from the sandbox's call report";
        Ok(vec![
            Figure::new(
                "restore: calls admitted of those allowed",
                percent(rate, ALLOWED),
                "%",
                format!("{how}, from 5 s after the first write to 3 s before the last"),
            )
            .at_least(95.0),
            Figure::new("restore: calls refused", percent(number(report.refused), number(report.total)), "%", how)
                .at_most(1.0),
            Figure::new("restore: calls to write 60,000 records", number(report.total), "calls", how).at_most(1_210.0),
            Figure::new("restore: writing 60,000 records", took.as_secs_f64(), "s", "confirmation to import"),
        ])
    }

    /// A client of a super admin who has signed in a moment ago.
    fn restores(&mut self) -> Result<Restores> {
        self.users += 1;
        let stack = self.running.stack();
        let group = format!("{}:super-admin", stack.account_id);
        let user = stack.users.new_user(&format!("restorer-{}", self.users), &[&group])?;
        Ok(Restores::of(stack.api().with_token(&user.id_token), &stack.account_id))
    }

    /// The id of a restore and the calls that its plan announces, once it is planned and as expected.
    fn planned(&mut self, restores: &Restores, changed: u64) -> Result<(String, u64)> {
        let properties: Vec<&str> = self.properties.iter().map(String::as_str).collect();
        let id = restores.plan(&self.backup_id, OBJECT, &properties)?;
        let planned = self.watch(restores, &id)?;
        let plan = planned.plan.ok_or_else(|| Failure::new(format!("the restore is {}", planned.state)))?;
        if plan.records.changed != changed {
            let found = plan.records.changed;
            return Err(Failure::new(format!("the plan changes {found} records instead of {changed}")));
        }
        Ok((id, plan.calls))
    }

    fn carry_out(&mut self, restores: &Restores, id: &str) -> Result<()> {
        restores.confirm(id)?;
        let ended = self.watch(restores, id)?;
        let failed = ended.outcome.as_ref().map_or(1, |outcome| outcome.values_failed);
        if ended.state == "completed" && failed == 0 {
            return Ok(());
        }
        Err(Failure::new(format!("the restore is {} and {failed} values were not written", ended.state)))
    }

    fn watch(&mut self, restores: &Restores, id: &str) -> Result<Restore> {
        let stack = self.running.stack().clone();
        restores.watch(id, self.patience, |_| {
            self.used.look(&stack)?;
            self.running.check_running()
        })
    }

    fn damage(&self, ids: &[u64]) -> Result<()> {
        let path = format!("/_sandbox/portals/default/objects/{OBJECT}/records");
        for ids in ids.chunks(CHANGES) {
            let wrong = |id: &u64| -> Map<String, Value> {
                self.properties.iter().map(|name| (name.clone(), format!("wrong {id}").into())).collect()
            };
            let update: Map<String, Value> = ids.iter().map(|id| (id.to_string(), wrong(id).into())).collect();
            self.sandbox().post(&path, &json!({ "update": update }))?.expect(200, "changing records")?;
        }
        Ok(())
    }

    fn reset_calls(&self) -> Result<()> {
        let path = "/_sandbox/portals/default/calls";
        self.sandbox().send(&Method::DELETE, path, &[], Vec::new())?.expect(204, "forgetting calls").map(drop)
    }

    fn report(&self) -> Result<Report> {
        serde_json::from_value(export::call_report(&self.running)?)
            .or_failure(|| "the sandbox's call report".to_owned())
    }

    fn sandbox(&self) -> Api {
        Api::new(&self.running.stack().sandbox_url)
    }
}

/// The ids of all live records.
fn ids(running: &Running) -> Result<Vec<u64>> {
    #[derive(Deserialize)]
    struct Record {
        id: u64,
        state: String,
    }
    let path = format!("/_sandbox/portals/default/objects/{OBJECT}/records");
    let answer = Api::new(&running.stack().sandbox_url).get(&path)?.expect(200, "reading the records")?;
    let lines = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let records: std::result::Result<Vec<Record>, _> = lines.map(serde_json::from_slice).collect();
    let records = records.or_failure(|| "a record of the sandbox".to_owned())?;
    Ok(records.into_iter().filter(|record| record.state == "live").map(|record| record.id).collect())
}

/// A property that takes any text.
fn text_property(running: &Running) -> Result<String> {
    let api = Api::new(&running.stack().sandbox_url).with_token(export::SANDBOX_TOKEN);
    let listed = api.get(&format!("/crm/v3/properties/{OBJECT}"))?.expect(200, "reading the properties")?.json();
    let is_text = |property: &&Value| {
        let read_only = property["modificationMetadata"]["readOnlyValue"] == true;
        property["type"] == "string" && property["fieldType"] == "text" && !read_only && property["name"] != "email"
    };
    let found = listed["results"].as_array().into_iter().flatten().find(is_text);
    let name = found.and_then(|property| property["name"].as_str()).map(str::to_owned);
    name.ok_or_else(|| Failure::new("the sandbox has no text property"))
}
