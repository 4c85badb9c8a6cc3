//! The account is connected again, to another address of its CRM and with another token, before and while it is backed
//! up.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::backup::BackupState;
use domain::budget::CallBudget;
use domain::lease::WaitReason;
use domain::ports::clock::Clock;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::ledger::{self, Change};
use domain::work::BackupRef;
use faults::crm::{Period, Trouble};
use faults::{CRM, OTHER_CRM, Settings, SimulatedCrm, TOKEN, World, samples};
use in_memory::MemoryLedger;
use in_memory::faults::{Fault, Faults, Sweep, Worker};
use jiff::{SignedDuration, Timestamp};
use workflows::backup::read;
use workflows::change_account::{ChangeError, Changed};

use crate::cases::SMALL;
use crate::limits::{midnight, with_calls_a_day};
use crate::worlds::{assert_complete, assert_tidy};

const OTHER_TOKEN: &str = "other token";

async fn change(world: &World, worker: &Arc<Worker>) -> Result<Changed, ChangeError> {
    world.connect(worker, OTHER_CRM, Some(OTHER_TOKEN)).await
}

/// How many calls of ports a change makes up to its commit to the ledger, the last one. Another call follows, which
/// tidies secrets of earlier versions up.
async fn calls_of_a_change() -> u64 {
    let faults = Faults::none();
    change(&SMALL.calm().await, &faults.worker()).await.expect("connected");
    faults.calls() - 1
}

/// The account is changed by then, and the next change tidies up.
#[tokio::test(start_paused = true)]
async fn a_change_whose_tidying_fails_is_made() {
    let world = SMALL.calm().await;
    let faults = Faults::at(calls_of_a_change().await + 1, Fault::CallFails);
    change(&world, &faults.worker()).await.expect("connected");
    assert_eq!(faults.struck()[0].call, "WebhookSecrets::tidy");
    completes(&world).await;
    assert_each_token_at_its_own_address(&world);
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
        let sweep = Sweep::expecting(9).up_to(calls_of_a_change().await);
        sweep
            .of(fault, async |faults| {
                let world = SMALL.calm().await;
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
            })
            .await;
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
    assert!(matches!(without_token, Err(ChangeError::TokenMissing)), "{without_token:?}");
    assert_eq!(world.crm.all_calls(), sent, "nothing is sent");

    world.connect(&faults.worker(), OTHER_CRM, None).await.expect("the stored token is one of this address");
    completes(&world).await;
    assert_each_token_at_its_own_address(&world);
}

/// Whether a backup waits because the day's calls are used up.
async fn waits_for_tomorrow(world: &World, backup: &BackupRef) -> bool {
    let progress = read::read(&*world.ledger, backup, world.clock.now()).await;
    let waiting = progress.expect("the ledger answers").waiting;
    waiting.is_some_and(|wait| wait.reason == WaitReason::DailyLimit)
}

#[tokio::test(start_paused = true)]
async fn a_token_can_be_replaced_when_the_day_is_used_up() {
    let world = with_calls_a_day(8, 1_000).await;
    let backup = world.request().await;
    while !waits_for_tomorrow(&world, &backup).await {
        assert!(world.step().await, "the day is used up before the backup is done");
    }
    let sent = world.crm.all_calls();

    change(&world, &Faults::none().worker()).await.expect("connected");

    assert!(world.clock.now() < midnight());
    assert_eq!(world.crm.all_calls(), sent + 1);
    assert_complete(&world, &world.to_the_end(&backup).await).await;
}

/// How long no run may call the account's CRM.
async fn pause(world: &World, length: SignedDuration) -> Timestamp {
    let key = CallBudget::key_of(&world.account);
    let loaded = ledger::load::<CallBudget>(&*world.ledger, &key).await.expect("the ledger answers");
    let loaded = loaded.expect("a budget");
    let until = world.clock.now() + length;
    world.ledger.commit(&[Change::replace(&loaded, &loaded.record.paused(until))]).await.expect("committed");
    until
}

fn limited_until(outcome: Result<Changed, ChangeError>) -> Timestamp {
    match outcome {
        Err(ChangeError::Crm(CrmError { kind: CrmErrorKind::NoBudget { until, reason }, .. })) => {
            assert_eq!(reason, WaitReason::RateLimit);
            until
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_again_keeps_to_the_rate_but_does_not_wait_for_long() {
    let world = SMALL.calm().await;
    completes(&world).await;
    let until = pause(&world, SignedDuration::from_secs(2)).await;
    change(&world, &Faults::none().worker()).await.expect("connected");
    assert!(world.clock.now() >= until, "it waited");

    let (sent, began) = (world.crm.all_calls(), world.clock.now());
    let until = pause(&world, SignedDuration::from_mins(1)).await;
    assert_eq!(limited_until(change(&world, &Faults::none().worker()).await), until);
    assert_eq!(world.crm.all_calls(), sent, "nothing is sent");
    assert!(world.clock.now() < began + SignedDuration::from_secs(2), "the connection fails at once");
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_refuses_the_rate_is_asked_again_after_the_pause() {
    let clock = Arc::new(samples::clock(faults::Pace::Simulated));
    let crm = SimulatedCrm::new(clock.clone(), samples::one_of_everything());
    let pause = SignedDuration::from_secs(2);
    crm.trouble(Period::Calls(1..2), Trouble::RateLimit(pause));
    let world = World::with_crm(Arc::new(MemoryLedger::new()), clock, crm, Settings::default()).await;
    assert!(world.clock.now() >= samples::beginning() + pause, "a first connection has no budget to wait for it");
    completes(&world).await;

    let sent = world.crm.all_calls();
    world.crm.trouble(Period::Calls(sent + 1..u64::MAX), Trouble::RateLimit(pause));
    limited_until(change(&world, &Faults::none().worker()).await);
    assert_eq!(world.crm.all_calls(), sent + 7, "as often as fits into the wait");
}
