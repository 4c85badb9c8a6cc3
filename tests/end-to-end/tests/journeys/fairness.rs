//! One large account does not hold up the small ones.

use std::thread;
use std::time::{Duration, Instant};

use dev_stack::backups::Backups;
use dev_stack::failure::Result;
use dev_stack::stack::Stack;
use end_to_end::journey::{Journey, expect, new_account_id};
use end_to_end::patience::eventually;
use end_to_end::portal::Portal;
use serde_json::{Value, json};

const SMALL_ACCOUNTS: usize = 20;

/// How long all small backups may take on a slow machine, with everything else on its way.
const PATIENCE: Duration = Duration::from_mins(5);

/// An account with a portal of its own, outside of the places that journeys wait for.
fn account(stack: &Stack, portal: &Value) -> Result<Backups> {
    let account_id = new_account_id();
    stack.create_account(&account_id)?;
    let admin = stack.users.new_super_admin(&account_id)?;
    let portal = Portal::make(&stack.sandbox_url, &account_id, portal)?;
    stack.connect_account(&account_id, &admin, &stack.sandbox_url, &portal.token)?;
    Ok(Backups::of(stack.api().with_token(&admin.id_token), &account_id))
}

/// Backs all small accounts up at the same moment; returns how long that took.
fn back_up(accounts: &[Backups]) -> Result<Duration> {
    let began = Instant::now();
    let ended = thread::scope(|scope| {
        let runs: Vec<_> = accounts
            .iter()
            .map(|backups| scope.spawn(|| backups.watch(&backups.create()?, PATIENCE, |_| Ok(()))))
            .collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    assert!(ended.iter().all(|backup| backup.state == "completed"), "{ended:?}");
    Ok(began.elapsed())
}

#[test]
fn an_account_with_a_hundred_thousand_records_does_not_delay_twenty_small_ones() -> Result<()> {
    let large = json!({ "seed": 75, "propertySet": "tiny", "records": { "contacts": 100_000 } });
    let Some(journey) = Journey::begin(&large)? else { return Ok(()) };
    // Half of the rate, so that it is certain to be on its way all the time; its workers are as many all the same.
    let share = json!({ "callShare": { "burstPercent": 50 } });
    expect(200, journey.api().put(&journey.path(""), &share)?)?;
    let small = json!({ "seed": 76, "propertySet": "tiny", "records": { "contacts": 150 } });
    let accounts = (0..SMALL_ACCOUNTS).map(|_| account(&journey.stack, &small)).collect::<Result<Vec<_>>>()?;
    let alone = back_up(&accounts)?;
    let backup_id = journey.backups().create()?;
    eventually("record of the large account", PATIENCE, || {
        let read: u64 = journey.backups().get(&backup_id)?.objects.iter().map(|object| object.records).sum();
        Ok((read > 0).then_some(()))
    })?;

    let beside = back_up(&accounts)?;

    let [alone, beside] = [alone, beside].map(|took| took.as_secs_f64());
    println!("{SMALL_ACCOUNTS} small backups took {alone:.1} s alone and {beside:.1} s beside the large one");
    let large = journey.backups().get(&backup_id)?;
    assert!(!large.has_ended(), "the large one is still on its way: {}", large.state);
    let cancel = journey.path(&format!("/backups/{backup_id}/cancel"));
    expect(200, journey.api().post(&cancel, &json!({}))?).map(drop)
}
