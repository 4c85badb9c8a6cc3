use domain::backup::BackupState;
use in_memory::faults::{Fault, Faults};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue};

use domain::audit::Act;

use super::*;
use crate::ending::{self, End};
use crate::samples;

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn with_connected_account() -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let world =
            Self { ledger: Arc::new(MemoryLedger::new()), queue: Arc::new(MemoryQueue::new(clock.clone())), clock };
        let account = samples::connected_account("42");
        world.ledger.commit(&[Change::create(&account)]).await.expect("empty ledger");
        world
    }

    fn create(&self) -> CreateBackup {
        CreateBackup { ledger: self.ledger.clone(), queue: self.queue.clone(), clock: self.clock.clone() }
    }

    async fn backups(&self) -> Vec<Backup> {
        let found = ledger::list::<Backup>(&*self.ledger, "ACCOUNT#42", Backup::PREFIX).await.expect("readable");
        found.into_iter().map(|loaded| loaded.record).collect()
    }

    async fn end(&self, backup: &Backup) {
        let (ledger, queue, clock) = (&*self.ledger, &*self.queue, &*self.clock);
        let act = samples::act("cancel-backup");
        ending::end(ledger, queue, clock, &backup.reference(), End::Cancelled(&act)).await.expect("running");
    }
}

fn request(random: u8, key: Option<&str>) -> Request {
    Request {
        act: samples::act("create-backup"),
        idempotency_key: key.map(|key| IdempotencyKey::parse(key).expect("visible")),
        random: [random; 10],
    }
}

#[tokio::test]
async fn an_accepted_backup_is_queued_for_discovery() {
    let world = World::with_connected_account().await;

    let backup = world.create().create(&request(1, None)).await.expect("nothing is running");

    assert_eq!((backup.state, backup.portal_id), (BackupState::Queued, samples::PORTAL));
    assert_eq!(world.queue.receive(), Some(Work::Discover { backup: backup.reference() }));
    assert_eq!(world.backups().await, [backup]);
}

#[tokio::test]
async fn of_two_requests_at_the_same_moment_one_wins_and_the_other_is_told() {
    let world = World::with_connected_account().await;
    // The slow one has read account and allowance when the fast one begins, and commits after it.
    let faults = Faults::at(3, Fault::CallHeld);
    let slow = CreateBackup { ledger: faults.worker().wrap(world.ledger.clone()), ..world.create() };
    let slow_request = request(1, None);
    let fast = async {
        faults.until_struck().await;
        let won = world.create().create(&request(2, None)).await;
        faults.release();
        won
    };

    let (lost, won) = tokio::join!(slow.create(&slow_request), fast);

    let won = won.expect("it was first");
    assert!(matches!(lost, Err(CreateError::Running { running, .. }) if running == won.backup_id));
    assert_eq!(world.backups().await, [won]);
}

#[tokio::test]
async fn a_key_makes_one_backup_whatever_became_of_it_and_is_forgotten_after_a_day() {
    let world = World::with_connected_account().await;
    let create = world.create();
    let first = create.create(&request(1, Some("k"))).await.expect("nothing is running");
    assert_eq!(create.create(&request(2, Some("k"))).await.expect("made before"), first);
    world.end(&first).await;
    world.clock.advance(SignedDuration::from_hours(23));
    let again = create.create(&request(3, Some("k"))).await.expect("made before");
    assert_eq!((&again.backup_id, again.state), (&first.backup_id, BackupState::Cancelled));

    // The ledger still has the note a day later; it counts no more.
    world.clock.advance(SignedDuration::from_hours(1));
    let new = create.create(&request(4, Some("k"))).await.expect("nothing is running");

    assert_ne!(new.backup_id, first.backup_id);
    assert_eq!(create.create(&request(5, Some("k"))).await.expect("made before"), new);
    let discoveries = world.queue.queued().iter().filter(|m| matches!(m.work, Work::Discover { .. })).count();
    assert_eq!((world.backups().await.len(), discoveries), (2, 2));
}

#[tokio::test]
async fn accounts_that_are_unknown_or_not_connected_have_no_backups() {
    let world = World::with_connected_account().await;
    let unknown = Request {
        act: Act { account_id: samples::account_id("43"), ..samples::act("create-backup") },
        ..request(1, None)
    };
    assert!(matches!(world.create().create(&unknown).await, Err(CreateError::AccountUnknown)));
    let account = Account { crm_connection: None, ..samples::connected_account("43") };
    world.ledger.commit(&[Change::create(&account)]).await.expect("new account");
    assert!(matches!(world.create().create(&unknown).await, Err(CreateError::NotConnected)));
    assert!(world.queue.queued().is_empty());
}

#[tokio::test]
async fn whatever_fails_on_the_way_repeating_the_request_makes_one_backup() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        for nth in 1.. {
            let world = World::with_connected_account().await;
            let faults = Faults::at(nth, fault);
            let mut answer = None;
            for random in 0..5 {
                let worker = faults.worker();
                let create = CreateBackup {
                    ledger: worker.wrap(world.ledger.clone()),
                    queue: worker.wrap(world.queue.clone()),
                    clock: world.clock.clone(),
                };
                answer = worker.run(create.create(&request(random, Some("k")))).await.and_then(Result::ok);
                if answer.is_some() {
                    break;
                }
            }
            assert_eq!(world.backups().await, [answer.expect("at last")], "{fault:?} at {:?}", faults.struck());
            if faults.struck().is_empty() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_commit_is_no_failure() {
    let world = World::with_connected_account().await;
    // Account, allowance, commit.
    let faults = Faults::at(3, Fault::AnswerLost);
    let ledger = faults.worker().wrap(world.ledger.clone());
    let create = CreateBackup { ledger, ..world.create() };

    let backup = create.create(&request(1, None)).await.expect("it was made");

    assert_eq!(faults.struck()[0].call, "Ledger::commit");
    assert_eq!(world.backups().await, [backup]);
    assert_eq!(world.queue.queued().len(), 1);
}

#[test]
fn keys_are_visible_ascii_of_limited_length() {
    assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
    for bad in ["", "a b", "ä", "a\n", &"k".repeat(256)] {
        assert_eq!(IdempotencyKey::parse(bad), Err(MalformedKey));
    }
}
