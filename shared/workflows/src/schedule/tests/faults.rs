//! Ports that fail, lose answers or hang: due work is still done once.

use domain::ports::ledger::{DUE_SHARDS, DueList, Key};
use in_memory::MemoryDeadLetters;
use in_memory::faults::{Fault, Faults, Struck, Sweep};

use super::*;
use crate::recover::Recover;

const FAULTS: [Fault; 3] = [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies];

/// Lets the rule fire every minute until nothing is due, with `faults` at the ports, and then lets recover-stalled find
/// the lost work.
async fn run_out(world: &World, faults: &Arc<Faults>) -> Vec<Struck> {
    for _ in 0..5 {
        let worker = faults.worker();
        drop(worker.run(world.starting_as(&worker).round(world.round_ends())).await);
        world.clock.advance(MINUTE);
    }
    let recover = Recover {
        ledger: world.ledger.clone(),
        queue: world.queue.clone(),
        clock: world.clock.clone(),
        dead_letters: Arc::new(MemoryDeadLetters::new()),
    };
    recover.round().await.expect("readable");
    faults.struck()
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_run_starts_one_backup_after_a_fault_at_any_call() {
    for fault in FAULTS {
        let sweep = Sweep::expecting(40);
        sweep
            .of(fault, async |faults| {
                let world = World::due().await;
                let struck = run_out(&world, &faults).await;

                let backups = world.backups().await;
                let [backup] = backups.as_slice() else { panic!("one backup after {struck:?}: {backups:?}") };
                assert!(world.discoveries().contains(&backup.reference()), "after {struck:?}");
                assert_eq!(world.starts_in_the_audit_log().await.len(), 1, "after {struck:?}");
                let schedule = world.schedule().await;
                assert!(
                    matches!(&schedule.latest, Some(LatestRun::Started { backup_id, .. }) if *backup_id == backup.backup_id),
                    "after {struck:?}"
                );
                assert_eq!(schedule.on.map(|on| on.next_run_at), Some(first_run() + WEEK), "after {struck:?}");

            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_skipped_run_is_announced_once_after_a_fault_at_any_call() {
    for fault in FAULTS {
        let sweep = Sweep::expecting(40);
        sweep
            .of(fault, async |faults| {
                let world = World::due().await;
                world.edit_account(|account| account.crm_connection = None).await;
                let struck = run_out(&world, &faults).await;

                let inbox = world.inbox().await;
                let [notification] = inbox.as_slice() else { panic!("one notification after {struck:?}: {inbox:?}") };
                let announced = world.queue.queued().iter().any(|message| message.work == notification.work());
                assert!(announced && world.backups().await.is_empty(), "after {struck:?}");
                assert_eq!(world.next_run_at().await, first_run() + WEEK, "after {struck:?}");
            })
            .await;
    }
}

#[tokio::test]
async fn an_unreadable_list_of_due_schedules_does_not_delay_the_others() {
    let counted = Faults::none();
    let world = World::due().await;
    world.starting_as(&counted.worker()).round(world.round_ends()).await.expect("no faults");

    let (mut lists, mut held_up) = (0, 0);
    let sweep = Sweep::expecting(13).up_to(counted.calls());
    sweep
        .of(Fault::CallFails, async |faults| {
            let world = World::due().await;
            let round = world.starting_as(&faults.worker()).round(world.round_ends()).await;
            if faults.struck()[0].call != "Ledger::due" {
                return;
            }
            lists += 1;
            assert!(round.is_err(), "what cannot be read is no quiet success");
            if world.backups().await.is_empty() {
                held_up += 1;
                assert_eq!(world.round().await.started, 1, "in the next minute");
            }
        })
        .await;
    assert_eq!((lists, held_up), (DUE_SHARDS, 1), "only the list that it is on holds it up");
}

/// Each list of due schedules begins with more unreadable ones than are requested at once.
#[tokio::test]
async fn unreadable_schedules_do_not_keep_others_from_their_turn() {
    let world = World::due().await;
    for nth in 0..2_000 {
        let unreadable = Change {
            key: Key::new(format!("ACCOUNT#9{nth}"), "SCHEDULE"),
            expected: None,
            format: 1,
            body: Some(serde_json::json!({ "from": "another version" })),
            due_at: Some(samples::NOW),
            due_in: DueList::Schedules,
            forget_at: None,
        };
        world.ledger.commit(&[unreadable]).await.expect("new");
    }

    let round = world.round().await;

    assert_eq!((round.started, round.failed), (1, 2_000), "each is looked at once");
    assert_eq!(world.backups().await.len(), 1);
}

/// A world in which a run is due and the CRM has refused the token.
async fn refused_token() -> World {
    let world = World::due().await;
    let fault = Some(Failure::new(FailureKind::CrmTokenRefused, "Connect again."));
    world.edit_account(|account| account.crm_connection.as_mut().expect("connected").fault = fault).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_connection_repaired_before_its_run_is_skipped_gets_the_backup() {
    let counted = Faults::none();
    let world = refused_token().await;
    world.starting_as(&counted.worker()).round(world.round_ends()).await.expect("no faults");
    let sweep = Sweep::expecting(12).up_to(counted.calls());
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = refused_token().await;
            let slow = world.starting_as(&faults.worker());
            let mend = async {
                faults.until_struck().await;
                let left_out = world.inbox().await.len();
                world.edit_account(|account| account.crm_connection.as_mut().expect("connected").fault = None).await;
                faults.release();
                left_out
            };

            let (round, left_out) = tokio::join!(slow.round(world.round_ends()), mend);

            assert_eq!(round.map(|round| round.failed).ok(), Some(0), "{:?}", faults.struck());
            assert_eq!(
                (world.backups().await.len(), world.inbox().await.len()),
                (1 - left_out, left_out),
                "{:?}",
                faults.struck()
            );
        })
        .await;
}
