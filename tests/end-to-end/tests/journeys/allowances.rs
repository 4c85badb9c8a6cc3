//! How often an account may back up: the limit of its plan, the answers, and that one of many simultaneous requests wins.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use dev_stack::failure::Result;
use end_to_end::journey::{Journey, expect};
use end_to_end::problem::assert_problem;
use serde_json::json;

const SIMULTANEOUS: usize = 50;

#[test]
fn of_fifty_requests_at_the_same_moment_one_wins_and_the_others_are_told_when() -> Result<()> {
    let portal = json!({ "seed": 61, "propertySet": "tiny", "records": { "contacts": 50 }, "latencyMs": 300 });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    journey.set_plan("enterprise")?;
    let barrier = Barrier::new(SIMULTANEOUS);

    let answers = thread::scope(|scope| {
        let asked: Vec<_> = (0..SIMULTANEOUS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    journey.api().post(&journey.path("/backups"), &json!({}))
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;

    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    let [won] = &won[..] else { panic!("{} were accepted", won.len()) };
    let won = won.json();
    for answer in &lost {
        let problem = match answer.status.as_u16() {
            409 => assert_problem(answer, 409, "backup-running"),
            _ => assert_problem(answer, 429, "backup-too-early"),
        };
        // RFC 3339 in UTC sorts as text: a day after the request.
        let next = problem["nextAllowedAt"].as_str().unwrap_or_default();
        assert!(next > won["createdAt"].as_str().unwrap_or_default(), "{problem}");
        assert!(problem["runningBackupId"].is_null() || problem["runningBackupId"] == won["backupId"], "{problem}");
    }
    journey.await_completion(won["backupId"].as_str().unwrap_or_default())?;
    let listed = expect(200, journey.api().get(&journey.path("/backups"))?)?.json();
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(1), "one backup was made");
    Ok(())
}

#[test]
fn a_plan_says_how_often_and_only_a_backup_that_completes_counts() -> Result<()> {
    let portal = json!({ "seed": 62, "propertySet": "tiny", "records": { "contacts": 20 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let create = || journey.api().post(&journey.path("/backups"), &json!({}));
    journey.set_plan("enterprise")?;

    journey.portal.change(&json!({ "tokenRevoked": true }))?;
    let failed = journey.backups().create()?;
    assert_eq!(journey.await_end(&failed)?.state, "failed");
    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    assert_eq!(account["crmConnection"]["fault"]["kind"], "crm-token-refused", "{account}");
    journey.portal.change(&json!({ "tokenRevoked": false }))?;
    let completed = journey.complete_backup()?.backup_id;
    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    assert!(account["crmConnection"]["fault"].is_null(), "it works again: {account}");

    let early = create()?;
    let problem = assert_problem(&early, 429, "backup-too-early");
    let created = journey.shown(&completed)?["createdAt"].as_str().unwrap_or_default().to_owned();
    // The same time of day, and another day: RFC 3339 in UTC.
    let (day, time) = created.split_at_checked(10).unwrap_or_default();
    let next = problem["nextAllowedAt"].as_str().unwrap_or_default();
    assert!(next.ends_with(time) && !next.starts_with(day) && *next > *created, "{problem}");
    let wait: u64 = early.headers["retry-after"].to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    assert!((86_000..=86_401).contains(&wait), "a day: {wait}");

    journey.aws().age_allowance(&journey.account_id, Duration::from_hours(25))?;
    let second = journey.complete_backup()?.backup_id;
    assert_ne!(second, completed);
    journey.aws().age_allowance(&journey.account_id, Duration::from_hours(25))?;
    journey.set_plan("professional")?;
    assert_problem(&create()?, 429, "backup-too-early");
    journey.set_plan("unlimited")?;
    journey.complete_backup().map(drop)
}

#[test]
fn a_super_admin_cannot_set_the_plan() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 63 }))? else { return Ok(()) };
    assert_problem(&journey.api().put(&journey.path(""), &json!({ "plan": "enterprise" }))?, 403, "forbidden");
    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    assert_eq!(account["plan"]["name"], "unlimited", "as the operator has set it");
    Ok(())
}
