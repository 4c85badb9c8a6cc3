//! Every message is delivered twice.

use std::sync::Arc;

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use faults::crm::Cursors;
use faults::{Copies, Settings, SimulatedObject, World, samples};
use jiff::SignedDuration;

use crate::worlds::{assert_complete, assert_tidy, in_memory, on_ledger};

/// Runs are so short that objects take several.
fn settings(copies: Copies, workers: usize, run: i64) -> Settings {
    Settings { copies, workers, export_run: SignedDuration::from_secs(run), ..Settings::default() }
}

fn objects() -> Vec<SimulatedObject> {
    let mut objects = samples::one_of_everything();
    objects[0] = samples::many_contacts(3_400, Cursors::Ids);
    objects
}

async fn nothing_is_twice_and_nothing_is_missing(world: &World) {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_complete(world, &ended).await;
    assert_tidy(world, &backup).await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_complete_when_every_message_comes_twice_in_a_row() {
    for workers in [1, 4] {
        let world = in_memory(objects(), settings(Copies::TwoInARow, workers, 2)).await;
        nothing_is_twice_and_nothing_is_missing(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_complete_when_every_message_comes_twice_at_once() {
    for seed in 0..20 {
        for workers in [1, 4] {
            let world = in_memory(objects(), Settings { seed, ..settings(Copies::TwoAtOnce, workers, 2) }).await;
            nothing_is_twice_and_nothing_is_missing(&world).await;
        }
    }
}

#[tokio::test]
async fn a_backup_is_complete_when_every_message_comes_twice_on_dynamodb_local() {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let ledger = Arc::new(ledger);
        for copies in [Copies::TwoInARow, Copies::TwoAtOnce] {
            let world = on_ledger(ledger.clone(), objects(), settings(copies, 4, 10)).await;
            nothing_is_twice_and_nothing_is_missing(&world).await;
        }
    })
    .await;
}
