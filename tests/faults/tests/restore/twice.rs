//! Every message is delivered twice.

use faults::Copies;

use crate::scenario::{Scenario, Setup};

#[tokio::test(start_paused = true)]
async fn one_after_the_other() {
    let setup = Setup { copies: Copies::TwoInARow, ..Setup::default() };
    Scenario::in_memory(setup).await.there_and_back().await;
}

#[tokio::test(start_paused = true)]
async fn at_the_same_moment() {
    let setup = Setup { copies: Copies::TwoAtOnce, workers: 4, records: 2_000, run_seconds: 3, ..Setup::default() };
    Scenario::in_memory(setup).await.there_and_back().await;
}
