//! Backups that start by themselves.

use dev_stack::api::Answer;
use dev_stack::failure::Result;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};

fn put(journey: &Journey, wish: &Value) -> Result<Answer> {
    journey.api().put(&journey.path("/backup-schedule"), wish)
}

fn shown(journey: &Journey) -> Result<Value> {
    Ok(expect(200, journey.api().get(&journey.path("/backup-schedule"))?)?.json())
}

fn backups(journey: &Journey) -> Result<Vec<Value>> {
    let listed = expect(200, journey.api().get(&journey.path("/backups"))?)?.json();
    Ok(listed["backups"].as_array().cloned().unwrap_or_default())
}

/// Lets the schedule be due and waits until the rule has seen to it.
fn run(journey: &Journey) -> Result<Value> {
    let before = shown(journey)?["latestRun"].clone();
    journey.aws().let_schedule_be_due(&journey.account_id)?;
    eventually("run of the schedule", PATIENCE, || {
        Ok(Some(shown(journey)?).filter(|shown| shown["latestRun"] != before))
    })
}

#[test]
fn what_is_due_starts_by_itself_once_and_the_next_run_is_shown() -> Result<()> {
    let portal = json!({ "seed": 64, "propertySet": "tiny", "records": { "contacts": 30 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.set_plan("enterprise")?;
    assert_eq!(shown(&journey)?, json!({ "enabled": false, "every": "week" }));
    let on = expect(200, put(&journey, &json!({ "enabled": true, "every": "two-weeks" }))?)?.json();
    let zone = expect(200, journey.api().get(&journey.path(""))?)?.json()["crmConnection"]["timeZone"].clone();
    assert_eq!((&on["timeZone"], &on["every"]), (&zone, &json!("two-weeks")));
    assert!(backups(&journey)?.is_empty(), "the first one is two weeks later");

    let ran = run(&journey)?;

    assert_eq!(ran["latestRun"]["outcome"], "started", "{ran}");
    assert_eq!(ran["nextRunAt"], on["nextRunAt"], "the cadence stays");
    let started = ran["latestRun"]["backupId"].as_str().unwrap_or_default();
    journey.await_completion(started)?;
    let made = backups(&journey)?;
    assert_eq!(made.len(), 1, "once");
    assert_eq!(made[0]["createdBy"]["email"], json!(journey.admin.email), "for whoever has switched it on");
    let log = expect(200, journey.api().get(&journey.path("/audit-log?action=start-scheduled-backup"))?)?.json();
    assert_eq!(log["entries"][0]["target"], started, "{log}");

    // The plan allows the next one in a day: what is due before waits for that.
    journey.aws().let_schedule_be_due(&journey.account_id)?;
    let waits = eventually("wait for the allowance", PATIENCE, || {
        Ok(Some(shown(&journey)?).filter(|shown| shown["waitsUntil"].is_string()))
    })?;
    assert!(waits["waitsUntil"].as_str() > made[0]["createdAt"].as_str(), "{waits}");
    let off = expect(200, put(&journey, &json!({ "enabled": false }))?)?.json();
    assert_eq!((&off["enabled"], &off["nextRunAt"]), (&json!(false), &Value::Null));
    assert_eq!(backups(&journey)?.len(), 1);
    Ok(())
}

#[test]
fn a_broken_connection_skips_a_run_and_says_so() -> Result<()> {
    let portal = json!({ "seed": 65, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    expect(200, put(&journey, &json!({ "enabled": true }))?)?;
    journey.portal.change(&json!({ "tokenRevoked": true }))?;
    let failed = journey.backups().create()?;
    assert_eq!(journey.await_end(&failed)?.state, "failed");

    let ran = run(&journey)?;

    assert_eq!(ran["latestRun"]["reason"]["kind"], "crm-token-refused", "{ran}");
    assert_eq!((&ran["enabled"], backups(&journey)?.len()), (&json!(true), 1), "no backup was begun in vain");
    let inbox = expect(200, journey.api().get(&journey.path("/notifications"))?)?.json();
    assert_eq!(inbox["notifications"][0]["event"], "schedule-skipped", "{inbox}");
    assert_eq!(inbox["notifications"][0]["nextRunAt"], ran["nextRunAt"]);

    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    journey.connect("2026-09")?;
    let started = run(&journey)?["latestRun"]["backupId"].as_str().unwrap_or_default().to_owned();
    journey.await_completion(&started).map(drop)
}

#[test]
fn losing_the_plan_stops_the_schedule_and_says_so() -> Result<()> {
    let portal = json!({ "seed": 66, "propertySet": "tiny", "records": { "contacts": 10 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.set_plan("professional")?;
    assert_problem(&put(&journey, &json!({ "enabled": true }))?, 403, "schedule-not-in-plan");
    journey.set_plan("enterprise")?;
    expect(200, put(&journey, &json!({ "enabled": true }))?)?;

    journey.set_plan("starter")?;

    let stopped = shown(&journey)?;
    assert_eq!((&stopped["enabled"], &stopped["stopped"]["kind"]), (&json!(false), &json!("schedule-not-in-plan")));
    let inbox = expect(200, journey.api().get(&journey.path("/notifications"))?)?.json();
    assert_eq!(inbox["notifications"][0]["event"], "schedule-skipped", "{inbox}");
    Ok(())
}
