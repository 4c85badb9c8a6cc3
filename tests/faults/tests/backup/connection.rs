//! The account is connected again, to another address of its CRM and with another token, before and while it is backed
//! up.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::backup::BackupState;
use faults::{CRM, OTHER_CRM, TOKEN, World};
use in_memory::faults::{Fault, Faults, Worker};
use workflows::connect_account::{Changed, ConnectError};

use crate::cases::SMALL;
use crate::worlds::{assert_complete, assert_tidy};

const OTHER_TOKEN: &str = "other token";

async fn change(world: &World, worker: &Arc<Worker>) -> Result<Changed, ConnectError> {
    world.connect(worker, OTHER_CRM, Some(OTHER_TOKEN)).await
}

/// How many calls of ports a change makes; the last one is the commit to the ledger.
async fn calls_of_a_change() -> u64 {
    let faults = Faults::none();
    change(&SMALL.calm().await, &faults.worker()).await.expect("connected");
    faults.calls()
}

fn assert_each_token_at_its_own_address(world: &World) {
    let own = [(CRM, TOKEN), (OTHER_CRM, OTHER_TOKEN)];
    let own = BTreeSet::from(own.map(|(base_url, token)| (base_url.to_owned(), token.to_owned())));
    let reached = world.crm.reached();
    assert!(reached.is_subset(&own), "{reached:?}");
}

async fn completes(world: &World) {
    let backup = world.request().await;
    assert_complete(world, &world.to_the_end(&backup).await).await;
}

#[tokio::test(start_paused = true)]
async fn wherever_a_change_breaks_off_no_token_is_sent_to_the_other_address() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        for nth in 1..=calls_of_a_change().await {
            let world = SMALL.calm().await;
            let faults = Faults::at(nth, fault);
            let worker = faults.worker();
            let broken_off = worker.run(change(&world, &worker)).await;
            assert!(!matches!(broken_off, Some(Ok(_))), "{:?}", faults.struck());

            let backup = world.request().await;
            world.to_the_end(&backup).await;
            assert_each_token_at_its_own_address(&world);
            assert_tidy(&world, &backup).await;

            change(&world, &faults.worker()).await.expect("connected");
            completes(&world).await;
            assert_each_token_at_its_own_address(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_change_is_half_done_nothing_is_sent_and_backups_wait() {
    let commit = calls_of_a_change().await;
    for delivered in [0, 2] {
        let world = SMALL.calm().await;
        let backup = world.request().await;
        for _ in 0..delivered {
            world.deliver_one().await;
        }
        let faults = Faults::at(commit, Fault::CallHeld);
        let worker = faults.worker();
        let mut changing = Box::pin(change(&world, &worker));
        tokio::select! {
            biased;
            _ = &mut changing => panic!("the change is held"),
            () = faults.until_struck() => assert_eq!(faults.struck()[0].call, "Ledger::commit"),
        }

        let sent = world.crm.all_calls();
        for _ in 0..3 {
            world.deliver_one().await;
        }
        assert_eq!(world.crm.all_calls(), sent, "nothing is sent");

        faults.release();
        changing.await.expect("connected");
        assert_complete(&world, &world.to_the_end(&backup).await).await;
        assert_tidy(&world, &backup).await;
        assert_each_token_at_its_own_address(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_broke_off_fails_backups_until_it_is_made_again() {
    let world = SMALL.calm().await;
    let faults = Faults::at(calls_of_a_change().await, Fault::CallFails);
    change(&world, &faults.worker()).await.expect_err("the ledger fails");
    let sent = world.crm.all_calls();

    let backup = world.request().await;
    assert_eq!(world.to_the_end(&backup).await.state, BackupState::Failed);
    assert_tidy(&world, &backup).await;
    let without_token = world.connect(&faults.worker(), CRM, None).await;
    assert!(matches!(without_token, Err(ConnectError::TokenMissing)), "{without_token:?}");
    assert_eq!(world.crm.all_calls(), sent, "nothing is sent");

    world.connect(&faults.worker(), OTHER_CRM, None).await.expect("the stored token is one of this address");
    completes(&world).await;
    assert_each_token_at_its_own_address(&world);
}
