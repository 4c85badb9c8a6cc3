//! A worker is frozen at a call of a port, long enough for its lease to run out; another one takes over and finishes;
//! then the first goes on as if nothing had been: at every call in turn.

use std::pin::Pin;

use domain::restore::RestoreState;
use faults::World;
use in_memory::faults::{Fault, Sweep};

use crate::scenario::{Scenario, Setup};

/// What a frozen worker will do when it is released.
pub(crate) type Frozen<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

/// Runs the world until a worker is frozen, and returns what is left of it to do; None when nothing is left to do.
pub(crate) async fn until_frozen(world: &World) -> Option<Frozen<'_>> {
    loop {
        let mut step: Frozen<'_> = Box::pin(world.step());
        tokio::select! {
            biased;
            more = &mut step => if !more { return None },
            () = world.settings.faults.until_struck() => return Some(step),
        }
    }
}

/// Freezes a worker at a call of a restore that is under way, finishes without it, and lets it go on.
async fn nothing_changes(scenario: &Scenario) {
    let world = &scenario.world;
    let restore = scenario.world.ask_restore(&scenario.backup, crate::scenario::OBJECT, &crate::scenario::PROPERTIES);
    let restore = restore.await.expect("accepted");
    let mut frozen = until_frozen(world).await;
    scenario.rest_until(&restore, RestoreState::Planned).await;
    world.confirm(&restore).await.expect("planned");
    if frozen.is_none() {
        frozen = until_frozen(world).await;
    }
    scenario.rest_until(&restore, RestoreState::Completed).await;
    scenario.assert_values(&scenario.good);
    let ended = world.restore(&restore).await;
    let import = world.import(&restore).await;

    let Some(frozen) = frozen else { return };
    world.settings.faults.release();
    frozen.await;

    scenario.rest_until(&restore, RestoreState::Completed).await;
    scenario.assert_values(&scenario.good);
    assert_eq!((world.restore(&restore).await, world.import(&restore).await), (ended, import));
    scenario.assert_tidy(&restore, 1).await;
    let undo = scenario.undo_planned(&restore, false).await;
    scenario.carried_out(&undo).await;
    scenario.assert_values(&scenario.damaged);
}

async fn a_late_worker_changes_nothing(setup: Setup, stride: u64, expected: u64) {
    let before = Scenario::calls_before(&setup).await;
    let sweep = Sweep::expecting(expected).every(stride).after(before);
    sweep
        .of(Fault::CallHeld, async |faults| {
            nothing_changes(&Scenario::in_memory(Setup { faults, ..setup.clone() }).await).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_small_restore() {
    a_late_worker_changes_nothing(Setup::default(), 1, 95).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_changes_no_restore_with_short_runs() {
    a_late_worker_changes_nothing(Setup { records: 900, run_seconds: 1, ..Setup::default() }, 3, 40).await;
}
