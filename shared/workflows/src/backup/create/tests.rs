use domain::backup::BackupState;
use domain::notification::{Event, Notification};
use domain::{Failure, FailureKind};
use futures_util::future::join_all;
use in_memory::faults::{Fault, Faults, Sweep};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue};
use jiff::SignedDuration;

use domain::audit::Act;

use super::*;
use crate::backup::ending::{self, End};
use crate::samples;

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn with_connected_account() -> Self {
        Self::with(&samples::connected_account("42")).await
    }

    /// A world whose account may make one backup in the returned number of hours.
    async fn with_plan(name: &str) -> (Self, SignedDuration) {
        let account = Account { tier: samples::tier(name), ..samples::connected_account("42") };
        (Self::with(&account).await, account.tier.allows().backup_interval)
    }

    async fn with(account: &Account) -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let world =
            Self { ledger: Arc::new(MemoryLedger::new()), queue: Arc::new(MemoryQueue::new(clock.clone())), clock };
        world.ledger.commit(&[Change::create(account)]).await.expect("empty ledger");
        world
    }

    fn create(&self) -> CreateBackup {
        CreateBackup { ledger: self.ledger.clone(), queue: self.queue.clone(), clock: self.clock.clone() }
    }

    async fn backups(&self) -> Vec<Backup> {
        let found = ledger::list::<Backup>(&*self.ledger, "ACCOUNT#42", Backup::PREFIX).await.expect("readable");
        found.into_iter().map(|loaded| loaded.record).collect()
    }

    async fn cancel(&self, backup: &Backup) {
        self.end(backup, End::Cancelled(&samples::act("cancel-backup"))).await;
    }

    async fn end(&self, backup: &Backup, how: End<'_>) {
        let (ledger, queue, clock) = (&*self.ledger, &*self.queue, &*self.clock);
        ending::end(ledger, queue, clock, &backup.reference(), how).await.expect("running");
    }

    /// Completes `backup` in the account's allowance only.
    async fn complete(&self, backup: &Backup) {
        let key = Allowance::key_of(&backup.account_id);
        samples::edit::<Allowance>(&*self.ledger, &key, |allowance| {
            *allowance = allowance.use_up(&backup.backup_id, false).expect("it runs");
        })
        .await;
    }
}

fn request(random: u8, key: Option<&str>) -> BackupRequest {
    BackupRequest {
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
async fn one_of_two_simultaneous_backup_requests_wins() {
    let world = World::with_connected_account().await;
    // The slow request has read account and allowance when the fast one begins, and commits after it.
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

fn token_refused() -> Failure {
    Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token. Connect the account again.")
}

impl World {
    /// Requests backups that all fail, a minute apart, until one is refused. Returns how many were made.
    async fn fail_until_refused(&self) -> (usize, CreateError) {
        for made in 0.. {
            self.clock.advance(SignedDuration::from_mins(1));
            match self.create().create(&request(u8::try_from(made).expect("few"), None)).await {
                Ok(backup) => self.end(&backup, End::Failed(&token_refused())).await,
                Err(error) => return (made, error),
            }
        }
        unreachable!("the loop has no end")
    }

    async fn told(&self) -> Vec<Event> {
        let inbox = samples::records::<Notification>(&*self.ledger, Notification::PREFIX).await;
        inbox.into_iter().map(|notification| notification.event).collect()
    }
}

/// B5: each of these backups is an e-mail to up to eleven people.
#[tokio::test]
async fn a_program_that_repeats_a_failing_backup_makes_five_and_then_one_an_hour() {
    let world = World::with_connected_account().await;

    let (made, refused) = world.fail_until_refused().await;

    let last = world.clock.now() - SignedDuration::from_mins(1);
    let pause = SignedDuration::from_hours(1);
    assert!(
        matches!(&refused, CreateError::Paused { until, failure }
        if *until == last + pause && *failure == token_refused()),
        "{refused:?}"
    );
    assert_eq!(made, 5);
    let told = world.told().await;
    let pauses = |event: &Event| matches!(event, Event::BackupFailed { paused_until: Some(_), .. });
    assert_eq!((told.len(), told.iter().filter(|event| pauses(event)).count()), (5, 1));

    for hour in 1..=24 {
        world.clock.advance(pause);
        assert_eq!(world.fail_until_refused().await.0, 1, "hour {hour}");
    }
    assert_eq!(world.told().await.len(), 5 + 24);
}

#[tokio::test]
async fn backups_go_on_at_once_when_the_account_is_connected_again() {
    let world = World::with_connected_account().await;
    assert_eq!(world.fail_until_refused().await.0, 5);
    samples::edit::<Account>(&*world.ledger, &Account::key_of(&samples::account_id("42")), |account| {
        account.crm_connection.as_mut().expect("connected").connected_at = world.clock.now();
    })
    .await;
    assert_eq!(world.fail_until_refused().await.0, 5, "counted anew");
}

/// D2: at any call at which the slow request is held while the fast one finishes.
#[tokio::test(start_paused = true)]
async fn two_simultaneous_requests_with_one_key_get_one_backup() {
    // Account, allowance, key, commit.
    let sweep = Sweep::expecting(4).up_to(4);
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::with_connected_account().await;
            let slow = CreateBackup { ledger: faults.worker().wrap(world.ledger.clone()), ..world.create() };
            let slow_request = request(1, Some("k"));
            let fast = async {
                faults.until_struck().await;
                let made = world.create().create(&request(2, Some("k"))).await;
                faults.release();
                made
            };

            let (again, first) = tokio::join!(slow.create(&slow_request), fast);

            let first = first.expect("nothing is running");
            assert_eq!(again.expect("the first one's answer"), first, "held at {:?}", faults.struck());
            assert_eq!(world.backups().await, [first]);
            assert_eq!(world.queue.queued().len(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_of_fifty_simultaneous_backup_requests_wins() {
    let (world, interval) = World::with_plan("enterprise").await;
    // Each request has read account and allowance before any of them commits.
    let faults: Vec<_> = (0..50).map(|_| Faults::at(3, Fault::CallHeld)).collect();
    let all = join_all((0..50).zip(&faults).map(async |(random, faults)| {
        let create = CreateBackup { ledger: faults.worker().wrap(world.ledger.clone()), ..world.create() };
        create.create(&request(random, None)).await
    }));
    let release = async {
        join_all(faults.iter().map(|faults| faults.until_struck())).await;
        for faults in &faults {
            faults.release();
        }
    };

    let (answers, ()) = tokio::join!(all, release);

    assert!(faults.iter().all(|faults| faults.struck()[0].call == "Ledger::commit"));
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let won: Vec<_> = won.into_iter().filter_map(Result::ok).collect();
    assert_eq!(world.backups().await, won);
    let [won] = won.as_slice() else { panic!("one wins: {won:?}") };
    let is_refused = |answer: &Result<Backup, CreateError>| {
        matches!(answer, Err(CreateError::Running { running, next_at })
            if *running == won.backup_id && *next_at == samples::NOW + interval)
    };
    assert!(lost.len() == 49 && lost.iter().all(is_refused), "{lost:?}");
    assert_eq!(world.queue.queued().len(), 1);
}

#[tokio::test]
async fn a_completed_backup_is_the_only_one_until_the_plans_interval_is_over() {
    for plan in ["starter", "professional", "enterprise"] {
        let (world, interval) = World::with_plan(plan).await;
        let first = world.create().create(&request(1, None)).await.expect("nothing is running");
        world.clock.advance(SignedDuration::from_hours(2));
        world.complete(&first).await;
        let allowed = samples::NOW + interval;

        for early in [world.clock.now(), allowed - SignedDuration::from_millis(1)] {
            world.clock.set(early);
            let refused = world.create().create(&request(2, None)).await;
            assert!(matches!(refused, Err(CreateError::TooEarly(at)) if at == allowed), "{plan}: {refused:?}");
        }
        world.clock.set(allowed);
        world.create().create(&request(3, None)).await.expect("the interval is over");
        assert_eq!(world.backups().await.len(), 2, "{plan}");
    }
}

#[tokio::test]
async fn a_failed_or_cancelled_backup_does_not_use_up_the_allowance() {
    let (failure, act) =
        (Failure::new(FailureKind::CrmUnavailable, "It does not answer."), samples::act("cancel-backup"));
    for how in [End::Failed(&failure), End::Cancelled(&act)] {
        let (world, _) = World::with_plan("starter").await;
        let first = world.create().create(&request(1, None)).await.expect("nothing is running");
        world.end(&first, how).await;
        world.create().create(&request(2, None)).await.expect("at once");
        assert_eq!(world.backups().await.len(), 2, "{how:?}");
    }
}

#[tokio::test]
async fn a_key_makes_one_backup_with_any_outcome_and_expires_after_a_day() {
    let world = World::with_connected_account().await;
    let create = world.create();
    let first = create.create(&request(1, Some("k"))).await.expect("nothing is running");
    assert_eq!(create.create(&request(2, Some("k"))).await.expect("made before"), first);
    world.cancel(&first).await;
    world.clock.advance(SignedDuration::from_hours(23));
    let again = create.create(&request(3, Some("k"))).await.expect("made before");
    assert_eq!((&again.backup_id, again.state), (&first.backup_id, BackupState::Cancelled));

    // A day later the ledger still has the record of the key. It no longer counts.
    world.clock.advance(SignedDuration::from_hours(1));
    let new = create.create(&request(4, Some("k"))).await.expect("nothing is running");

    assert_ne!(new.backup_id, first.backup_id);
    assert_eq!(create.create(&request(5, Some("k"))).await.expect("made before"), new);
    let discoveries = world.queue.queued().iter().filter(|m| matches!(m.work, Work::Discover { .. })).count();
    assert_eq!((world.backups().await.len(), discoveries), (2, 2));
}

#[tokio::test]
async fn unknown_or_unconnected_accounts_have_no_backups() {
    let world = World::with_connected_account().await;
    let unknown = BackupRequest {
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
async fn a_request_repeated_after_any_fault_makes_one_backup() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(5);
        sweep
            .of(fault, async |faults| {
                let world = World::with_connected_account().await;
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
            })
            .await;
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
