//! An account that asks for many plans at once gets three, and keeps nobody else waiting.

use std::thread;

use dev_stack::failure::Result;
use end_to_end::journey::{Journey, expect};
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};

/// Plans that are asked for at the same time.
const ASKED: usize = 20;

/// The most that are made.
const OPEN: usize = 3;

#[test]
fn of_twenty_plans_three_are_made_and_another_account_restores_meanwhile() -> Result<()> {
    let portal = json!({ "seed": 110, "propertySet": "tiny", "records": { "contacts": 3_000 } });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let small = json!({ "seed": 111, "propertySet": "tiny", "records": { "contacts": 5 } });
    let Some(other) = Journey::begin(&small)? else { return Ok(()) };
    let backup_id = journey.complete_backup()?.backup_id;
    let theirs = other.complete_backup()?.backup_id;
    let ids = other.portal.truth("contacts")?.live();
    other.portal.edit("contacts", &ids, &json!({ "firstname": "Overwritten" }))?;
    // Slow enough that the plans are still being made when the last one is asked for.
    let share = json!({ "callShare": { "burstPercent": 1 } });
    expect(200, journey.api().put(&journey.path(""), &share)?)?;
    let wish = json!({ "backupId": backup_id, "objectType": "contacts", "properties": ["firstname"] });

    let answers = thread::scope(|scope| {
        let asked: Vec<_> =
            (0..ASKED).map(|_| scope.spawn(|| journey.api().post(&journey.path("/restores"), &wish))).collect();
        asked.into_iter().map(|asked| asked.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let planned = other.plan(&theirs, "contacts", &["firstname"])?.restore_id;
    assert_eq!(other.carry_out(&planned)?.state, "completed", "of the other account");

    let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert_eq!((accepted.len(), refused.len()), (OPEN, ASKED - OPEN));
    let mut made: Vec<Value> = accepted.iter().map(|answer| answer.json()["restoreId"].clone()).collect();
    made.sort_by_key(Value::to_string);
    for answer in refused {
        let mut named = assert_problem(answer, 409, "too-many-plans")["restoreIds"].clone();
        named.as_array_mut().expect("the open ones").sort_by_key(Value::to_string);
        assert_eq!(named, json!(made));
    }

    // As the problem says: one that is cancelled makes room for another one.
    let cancel = |restore: &Value| {
        let path = journey.path(&format!("/restores/{}/cancel", restore.as_str().unwrap_or_default()));
        expect(200, journey.api().post(&path, &json!({}))?).map(drop)
    };
    cancel(&made[0])?;
    let another = expect(202, journey.api().post(&journey.path("/restores"), &wish)?)?.json();
    made[0] = another["restoreId"].clone();
    made.iter().try_for_each(cancel)
}
