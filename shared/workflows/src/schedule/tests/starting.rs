//! Due runs: the backups that they start, each once.

use in_memory::faults::{Fault, Faults, Sweep};

use super::*;

#[tokio::test]
async fn a_due_run_starts_a_backup_for_the_user_who_switched_it_on() {
    let world = World::scheduled().await;
    world.clock.set(first_run() - SignedDuration::from_secs(1));
    assert_eq!(world.round().await, Started::default());
    assert!(world.backups().await.is_empty(), "it is not due yet");

    world.clock.set(first_run());
    assert_eq!(world.round().await, Started { started: 1, ..Started::default() });

    let backups = world.backups().await;
    let [backup] = backups.as_slice() else { panic!("one backup: {backups:?}") };
    assert_eq!((&backup.created_by, backup.created_at), (&samples::requester(), first_run()));
    assert_eq!(world.discoveries(), [backup.reference()]);
    let allowance = ledger::load::<Allowance>(&*world.ledger, &Allowance::key_of(&backup.account_id)).await;
    assert_eq!(allowance.expect("readable").expect("taken").record.running.as_ref(), Some(&backup.backup_id));
    let schedule = world.schedule().await;
    assert_eq!(schedule.on.expect("on").next_run_at, first_run() + WEEK);
    let latest = LatestRun::Started { at: first_run(), backup_id: backup.backup_id.clone() };
    assert_eq!(schedule.latest, Some(latest));
}

#[tokio::test]
async fn the_audit_log_names_the_person_for_whom_a_backup_started() {
    let world = World::due().await;
    world.round().await;

    let entries = world.starts_in_the_audit_log().await;
    let [entry] = entries.as_slice() else { panic!("one entry: {entries:?}") };
    let backup = world.backups().await.remove(0).backup_id;
    assert_eq!((entry.at, entry.target.as_deref()), (first_run(), Some(backup.as_str())));
    assert_eq!((entry.subject.as_deref(), entry.source_address.as_deref()), (Some("user-1"), None));
}

#[tokio::test]
async fn a_rule_that_fires_again_starts_nothing_more() {
    let world = World::due().await;
    assert_eq!(world.round().await.started, 1);
    for _ in 0..3 {
        assert_eq!(world.round().await, Started::default());
        world.clock.advance(MINUTE);
    }
    assert_eq!((world.backups().await.len(), world.discoveries().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_of_two_simultaneous_scheduling_rounds_starts_the_backup() {
    let counted = Faults::none();
    let world = World::due().await;
    world.starting_as(&counted.worker()).round(world.round_ends()).await.expect("no faults");
    assert!(counted.calls() > 8, "the lists of all shards, and what is done about what is due");

    // The slow round is held at each of its calls in turn while the other one makes all of its own.
    let sweep = Sweep::expecting(13).up_to(counted.calls());
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::due().await;
            let slow = world.starting_as(&faults.worker());
            let fast = async {
                faults.until_struck().await;
                let started = world.round().await;
                faults.release();
                started
            };

            let (late, first) = tokio::join!(slow.round(world.round_ends()), fast);

            let struck = faults.struck();
            assert_eq!(late.expect("no error").started + first.started, 1, "{struck:?}");
            assert_eq!((world.backups().await.len(), world.discoveries().len()), (1, 1), "{struck:?}");
            assert_eq!(world.starts_in_the_audit_log().await.len(), 1, "{struck:?}");
            assert_eq!(world.next_run_at().await, first_run() + WEEK, "{struck:?}");
        })
        .await;
}

#[tokio::test]
async fn after_an_outage_one_backup_catches_up_and_the_cadence_stays() {
    for (hours, weeks) in [(30, 1), (5 * 24, 1), (40 * 24, 6)] {
        let world = World::due().await;
        world.clock.advance(HOUR * hours);
        let late = world.clock.now();

        assert_eq!(world.round().await.started, 1, "{hours} h");
        world.complete(&world.backups().await[0]).await;
        for _ in 0..3 {
            world.clock.advance(MINUTE);
            assert_eq!(world.round().await, Started::default(), "{hours} h");
        }

        let next = first_run() + WEEK * weeks;
        assert_eq!(world.next_run_at().await, next, "{hours} h");
        assert!(next > late && next.duration_since(late) <= WEEK, "{hours} h");
        world.clock.set(next);
        assert_eq!(world.round().await.started, 1, "{hours} h: the next one in its time");
        assert_eq!(world.backups().await.len(), 2, "{hours} h");
    }
}

#[tokio::test]
async fn a_round_begins_nothing_after_its_end() {
    let world = World::due().await;
    let started = world.starting().round(world.clock.now()).await.expect("the list is readable");
    assert_eq!(started, Started::default());
    assert_eq!(world.round().await.started, 1, "the next round does it");
}
