//! Functions die in the middle of their work, again and again. It has its own program, so that no other journey
//! runs at the same time: all work in the stack is killed.

use std::time::{Duration, Instant};

use dev_stack::failure::Result;
use dev_stack::functions::kill_processes;
use end_to_end::download::Download;
use end_to_end::journey::Journey;
use end_to_end::patience::eventually;
use serde_json::json;

const RECORDS: u64 = 10_000;

/// How long the rest of a backup may take.
const PATIENCE: Duration = Duration::from_mins(6);

/// D3: killed work is taken over by then.
const TAKEN_OVER: Duration = Duration::from_secs(90);

#[test]
fn a_backup_whose_functions_are_killed_completes_by_itself_and_holds_everything() -> Result<()> {
    let portal = json!({
        "seed": 6, "propertySet": "tiny", "records": { "contacts": RECORDS, "conversations": 400 }, "latencyMs": 400,
    });
    let Some(journey) = Journey::begin(&portal)? else { return Ok(()) };
    let (stack, backups) = (&journey.stack, journey.backups());
    let backup_id = backups.create()?;
    let began = Instant::now();
    let read = || -> Result<u64> { Ok(backups.get(&backup_id)?.objects.iter().map(|object| object.records).sum()) };

    // The run dies with all its lanes, and later the run that has taken over.
    let calls = || -> Result<u64> { Ok(journey.portal.called("list", "contacts")?.calls) };
    let mut killed = 0;
    for percent in [10, 40] {
        eventually("progress", PATIENCE, || Ok((read()? >= RECORDS * percent / 100).then_some(())))?;
        let dead = kill_processes(&stack.processes_of("export-chunk")?);
        assert!(dead > 0 && !backups.get(&backup_id)?.has_ended(), "no run was killed at {percent} %");
        killed += dead;
        let before = calls()?;
        eventually("call by another run", TAKEN_OVER, || Ok((calls()? > before).then_some(())))?;
    }

    let backup = backups.watch(&backup_id, PATIENCE, |_| Ok(()))?;
    println!("{killed} processes killed; {} after {} s", backup.state, began.elapsed().as_secs());
    assert_eq!(backup.state, "completed", "{:?}", backup.failure);
    Download::of(&journey, &backup_id)?.must_hold_all_of(&journey.portal)
}
