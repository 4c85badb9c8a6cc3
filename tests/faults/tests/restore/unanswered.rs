//! Writes whose answers do not come. They may land all the same, and nobody else writes until they cannot any more.
//! Every write is held against the restore lock by the CRM of these worlds.

use async_trait::async_trait;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Stored};
use domain::restore::RestoreState;
use domain::restore::slice::RestoreSlice;
use domain::work::RestoreRef;
use faults::Pace;
use faults::crm::{LATEST_LANDING, Period, Trouble};
use in_memory::MemoryLedger;
use in_memory::faults::{Fault, Sweep};
use jiff::SignedDuration;

use crate::meddled::{Meddled, Meddling};
use crate::scenario::{OBJECT, Scenario, Setup, all_fans, damage_every_email, record, stages};

const UPDATES: &str = "update_batch";

fn one_batch() -> Setup {
    Setup { records: 100, damage: damage_every_email, ..Setup::default() }
}

fn staged() -> Setup {
    Setup { records: 130, prepare: stages, damage: all_fans, ..Setup::default() }
}

async fn undone(scenario: &Scenario, restore: &RestoreRef) {
    let undo = scenario.undo_planned(restore, false).await;
    if scenario.world.restore(&undo).await.plan.expect("planned").counts.changed > 0 {
        scenario.carried_out(&undo).await;
    }
    scenario.assert_values(&scenario.damaged);
}

/// R4: the first sending got no answer and the second was refused for something else. The lock was freed, somebody
/// mended a record by hand, and the first sending landed over it.
#[tokio::test(start_paused = true)]
async fn the_lock_stays_until_a_write_without_an_answer_cannot_land_any_more() {
    for refusal in [Trouble::DailyLimit, Trouble::TokenRefused, Trouble::ScopeMissing, Trouble::Forbidden] {
        let scenario = Scenario::in_memory(one_batch()).await;
        let world = &scenario.world;
        let restore = scenario.planned().await;
        world.crm.trouble(Period::CallsOf(UPDATES, 1..2), Trouble::Late(LATEST_LANDING));
        world.crm.trouble(Period::CallsOf(UPDATES, 2..3), refusal);
        world.confirm(&restore).await.expect("planned");
        while world.crm.calls(UPDATES) < 2 {
            world.deliver_one().await;
        }
        assert!(world.crm.next_landing().is_some(), "it is under way");
        world.stop(&restore).await.expect("it runs");
        while !world.lock_is_free().await {
            assert!(world.step().await, "{refusal:?}: the lock is freed in the end");
        }

        assert_eq!(world.crm.next_landing(), None, "{refusal:?}: nothing is under way any more");
        world.crm.edit(OBJECT, record(0), "email", "by-hand@example.com");
        world.clock.pass(SignedDuration::from_mins(1)).await;
        let email = scenario.values()[&(record(0).0, "email".to_owned())].clone();
        assert_eq!(email, "by-hand@example.com", "{refusal:?}");
        let original = scenario.damaged[&(record(0).0, "email".to_owned())].clone();
        world.crm.edit(OBJECT, record(0), "email", &original);
        undone(&scenario, &restore).await;
    }
}

/// A sending that landed after the next one was answered could undo what was written since: a stage stayed cleared.
#[tokio::test(start_paused = true)]
async fn values_are_right_whichever_write_lands_late_or_loses_its_answer() {
    let late = [21, 24].map(|seconds| Trouble::Late(SignedDuration::from_secs(seconds)));
    for setup in [staged(), Setup::default()] {
        let calm = Scenario::in_memory(setup.clone()).await;
        calm.there_and_back().await;
        let updates = calm.world.crm.calls(UPDATES);
        for trouble in late.into_iter().chain([Trouble::AnswerLost]) {
            let sweep = Sweep::expecting(4).up_to(updates);
            sweep
                .at_calls(async |nth| {
                    let scenario = Scenario::in_memory(setup.clone()).await;
                    scenario.world.crm.trouble(Period::CallsOf(UPDATES, nth..nth + 1), trouble);
                    scenario.there_and_back().await;
                    scenario.world.crm.struck() == 1
                })
                .await;
        }
    }
}

/// The run that has sent a late write dies too, at every call in turn.
#[tokio::test(start_paused = true)]
async fn values_are_right_when_a_run_dies_while_its_write_is_under_way() {
    let before = Scenario::calls_before(&staged()).await;
    let mut landed = 0;
    let sweep = Sweep::expecting(200).after(before);
    sweep
        .of(Fault::WorkerDies, async |faults| {
            let scenario = Scenario::in_memory(Setup { faults, ..staged() }).await;
            scenario.world.crm.trouble(Period::CallsOf(UPDATES, 1..4), Trouble::Late(LATEST_LANDING));
            scenario.there_and_back().await;
            landed += scenario.world.crm.struck();
        })
        .await;
    assert!(landed > 100, "{landed}");
}

/// Every answer to a write comes too late, until the restore is stopped: it ends when nothing can land any more, and
/// what has landed is undone.
#[tokio::test(start_paused = true)]
async fn a_restore_without_any_answer_is_stopped_and_undone() {
    for setup in [staged(), one_batch()] {
        let scenario = Scenario::in_memory(setup).await;
        let world = &scenario.world;
        let restore = scenario.planned().await;
        world.crm.trouble(Period::CallsOf(UPDATES, 1..12), Trouble::Late(LATEST_LANDING));
        world.confirm(&restore).await.expect("planned");
        while world.crm.calls(UPDATES) < 5 {
            world.deliver_one().await;
        }
        world.stop(&restore).await.expect("it runs");
        scenario.rest_until(&restore, RestoreState::Stopped).await;
        assert_eq!(world.crm.next_landing(), None);
        undone(&scenario, &restore).await;
    }
}

/// A ledger that takes no renewals of leases on slices.
struct NoRenewals;

#[async_trait]
impl Meddling for NoRenewals {
    async fn before(&self, ledger: &MemoryLedger, changes: &[Change]) -> Result<(), LedgerError> {
        let [Change { key, body: Some(body), .. }] = changes else { return Ok(()) };
        if !key.sort.starts_with(RestoreSlice::PREFIX) {
            return Ok(());
        }
        let Some(stored) = ledger.get(key).await? else { return Ok(()) };
        let next = ledger::read::<RestoreSlice>(Stored { body: body.clone(), ..stored.clone() })?.record;
        let present = ledger::read::<RestoreSlice>(stored)?.record;
        let is_renewal = next.leasing.lease.is_some()
            && RestoreSlice { leasing: present.leasing.clone(), ..next.clone() } == present
            && next.leasing.last_number == present.leasing.last_number;
        if is_renewal { Err(LedgerError::Unavailable("no renewals".to_owned())) } else { Ok(()) }
    }
}

/// M18: narrowing down a hundred bad values takes longer than a lease lasts. No call is made in its last 25 seconds, so
/// that even an answer that comes late, and a write that lands late, come before anybody else may write.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_in_the_last_seconds_of_a_lease() {
    let scenario = Scenario::on(Meddled::new(NoRenewals), Pace::Simulated, one_batch()).await;
    let world = &scenario.world;
    world.crm.change(OBJECT, |object| {
        object.names_faults = false;
        object.refuse("email", None, "CONFLICT");
    });
    let restore = scenario.planned().await;
    world.confirm(&restore).await.expect("planned");
    let mut sent = Vec::new();
    while world.slices(&restore).await[0].leasing.last_number < 4 {
        let calls = world.crm.calls(UPDATES);
        world.deliver_one().await;
        sent.push(world.crm.calls(UPDATES) - calls);
    }
    // A call takes 300 ms, and 35 seconds of each lease's minute are for calls.
    let most = sent.into_iter().max().unwrap_or_default();
    assert!((40..=35 * 10 / 3).contains(&most), "{most} calls under one lease");
    world.crm.change(OBJECT, faults::SimulatedObject::accept_all);
    scenario.rest_until(&restore, RestoreState::Completed).await;
}
