//! Accounts whose CRM admits no more calls today: a backup waits, says for what and until when, and can be cancelled.

use dev_stack::failure::Result;
use end_to_end::journey::{Journey, PATIENCE, expect};
use end_to_end::patience::eventually;
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};

/// Makes a backup that must come to wait for the daily limit, and cancels it; returns what the API showed.
fn wait_and_cancel(journey: &Journey) -> Result<Value> {
    let backup_id = journey.backups().create()?;
    let shown = eventually("wait", PATIENCE, || {
        Ok(Some(journey.shown(&backup_id)?).filter(|shown| shown["waiting"].is_object()))
    })?;
    assert_eq!(shown["waiting"]["reason"], "daily-limit", "{shown}");
    // RFC 3339 in UTC sorts as text.
    let until = shown["waiting"]["until"].as_str().unwrap_or_default();
    assert!(until > shown["createdAt"].as_str().unwrap_or_default(), "{shown}");
    assert!(!["completed", "failed"].contains(&shown["state"].as_str().unwrap_or_default()), "{shown}");
    let path = journey.path(&format!("/backups/{backup_id}/cancel"));
    let cancelled = expect(200, journey.api().post(&path, &json!({}))?)?.json();
    assert_eq!(cancelled["state"], "cancelled");
    Ok(shown)
}

#[test]
fn no_more_than_the_accounts_share_of_the_day_is_used() -> Result<()> {
    let portal = json!({
        "seed": 34, "propertySet": "tiny", "records": { "contacts": 500 }, "limits": { "perDay": 1_000 },
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let share = json!({ "callShare": { "dailyPercent": 1 } });
    expect(200, journey.api().put(&journey.path(""), &share)?)?;
    let before = journey.portal.calls(0)?["total"].as_u64().unwrap_or(0);

    wait_and_cancel(&journey)?;

    let called = journey.portal.calls(0)?["total"].as_u64().unwrap_or(0) - before;
    assert!((1..=10).contains(&called), "{called} calls of a share of 10");
    Ok(())
}

#[test]
fn a_day_that_other_apps_have_used_up_is_waited_for() -> Result<()> {
    let portal = json!({ "seed": 35, "propertySet": "tiny", "records": { "contacts": 500 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.portal.change(&json!({ "limits": { "perDay": 625_000, "usedToday": 625_000 } }))?;

    let shown = wait_and_cancel(&journey)?;

    let sentence = shown["waiting"]["sentence"].as_str().unwrap_or_default();
    assert!(sentence.contains("calls for today"), "{shown}");
    Ok(())
}

/// D4: whoever connects learns which limit it is, until when, and when to come back.
#[test]
fn connecting_on_a_day_that_is_used_up_says_so_and_until_when() -> Result<()> {
    let portal = json!({ "seed": 36, "propertySet": "tiny", "records": { "contacts": 5 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.portal.change(&json!({ "limits": { "perDay": 625_000, "usedToday": 625_000 } }))?;

    let connection = json!({ "crmConnection": { "token": journey.portal.token } });
    let answer = journey.api().put(&journey.path(""), &connection)?;

    let problem = assert_problem(&answer, 503, "crm-limit-used-up");
    assert_eq!(problem["limit"], "day", "{problem}");
    let (until, detail) =
        (problem["until"].as_str().unwrap_or_default(), problem["detail"].as_str().unwrap_or_default());
    assert!(until.starts_with("20") && detail.contains(&until[..19]), "{problem}");
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap_or_default().parse().unwrap_or(0);
    assert!(seconds > 10, "the day is longer than {seconds} s");
    Ok(())
}
