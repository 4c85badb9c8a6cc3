//! Every message is delivered twice.

use faults::Copies;

use crate::scenario::{Scenario, Setup};

#[tokio::test(start_paused = true)]
async fn a_restore_is_right_when_every_message_comes_twice_in_a_row() {
    let setup = Setup { copies: Copies::TwoInARow, ..Setup::default() };
    Scenario::in_memory(setup).await.there_and_back().await;
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_right_when_every_message_comes_twice_at_once() {
    let setup = Setup { copies: Copies::TwoAtOnce, workers: 4, records: 2_000, run_seconds: 3, ..Setup::default() };
    Scenario::in_memory(setup).await.there_and_back().await;
}
