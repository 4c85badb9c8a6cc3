//! The notifications of recover-stalled: archives that are about to expire, dead letters, and lost announcements.

mod crowds;

use domain::backup::{BackupEvent, EXPIRY_NOTICE};
use domain::lease::LEASE_LENGTH;
use domain::lease::QUEUE_GRACE;
use domain::notification::channel::Channel;
use in_memory::faults::{Fault, Faults, Sweep, Worker};
use in_memory::{ManualClock, MemoryDeadLetters, MemoryLedger, MemoryQueue};

use super::*;
use crate::samples;

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const FAULTS: [Fault; 3] = [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies];

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
    dead_letters: Arc<MemoryDeadLetters>,
}

impl World {
    async fn with<T: Record>(records: &[T]) -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let queue = Arc::new(MemoryQueue::new(clock.clone()));
        let dead_letters = Arc::new(MemoryDeadLetters::new());
        let world = Self { ledger: Arc::new(MemoryLedger::new()), queue, clock, dead_letters };
        let changes: Vec<_> = records.iter().map(Change::create).collect();
        world.ledger.commit(&changes).await.expect("empty ledger");
        world
    }

    /// A completed backup whose archive is about to expire.
    async fn expiring() -> Self {
        let world = Self::with(&[swept()]).await;
        world.clock.set(expires_at() - EXPIRY_NOTICE);
        world
    }

    fn recover(&self, worker: &Arc<Worker>) -> Recover {
        Recover {
            ledger: worker.wrap(self.ledger.clone()),
            queue: worker.wrap(self.queue.clone()),
            clock: self.clock.clone(),
            dead_letters: worker.wrap(self.dead_letters.clone()),
        }
    }

    async fn round(&self) -> Recovered {
        let recovered = self.recover(&Faults::none().worker()).round().await.expect("readable");
        assert_eq!(recovered.failed, 0);
        recovered
    }

    /// Runs rounds with `faults` at the ports, a minute apart, until all lost work is found again.
    async fn run_out(&self, faults: &Arc<Faults>) {
        for _ in 0..5 {
            let worker = faults.worker();
            drop(worker.run(self.recover(&worker).round()).await);
            self.clock.advance(SignedDuration::from_mins(1));
        }
    }

    async fn inbox(&self) -> Vec<Notification> {
        samples::records(&*self.ledger, Notification::PREFIX).await
    }

    fn is_queued(&self, work: &Work) -> bool {
        self.queue.queued().iter().any(|message| message.work == *work)
    }

    /// The number of items that will ever be due.
    async fn ever_due(&self) -> usize {
        let lists = (0..DUE_SHARDS).map(|shard| self.ledger.due(DueList::Work, shard, Timestamp::MAX, 100));
        let lists = futures_util::future::join_all(lists).await;
        lists.into_iter().map(|list| list.expect("readable").len()).sum()
    }
}

fn expires_at() -> Timestamp {
    samples::NOW + SignedDuration::from_hours(14 * 24)
}

/// A completed backup whose temporary data is already removed.
fn swept() -> Backup {
    samples::completed(1, expires_at()).apply(BackupEvent::Swept, samples::NOW).expect("it has ended")
}

/// A notification of an event at [`samples::NOW`].
fn unannounced() -> Notification {
    let event = Event::DeadLetters { step: "export".to_owned(), run_id: "a run".to_owned() };
    Notification::new(samples::account_id("42"), samples::random(), event, None, samples::NOW)
}

#[tokio::test]
async fn an_archive_is_announced_once_two_days_before_it_expires() {
    let world = World::expiring().await;
    let notice_at = world.clock.now();
    world.clock.set(notice_at - SECOND);
    world.round().await;
    assert!(world.inbox().await.is_empty());

    world.clock.set(notice_at);
    let round = world.round().await;

    let inbox = world.inbox().await;
    let [notification] = inbox.as_slice() else { panic!("one notification: {inbox:?}") };
    let expected = Event::BackupExpiring { backup_id: swept().backup_id, expires_at: expires_at() };
    assert_eq!((&notification.event, notification.requester.as_ref()), (&expected, Some(&samples::requester())));
    assert_eq!(world.queue.receive(), Some(notification.work()));
    assert_eq!(round, Recovered::default(), "nobody was late");
    for later in [notice_at + SECOND, expires_at(), expires_at() + EXPIRY_NOTICE] {
        world.clock.set(later);
        world.round().await;
        assert_eq!(world.inbox().await.len(), 1, "{later}");
    }
}

#[tokio::test]
async fn an_archive_that_expired_during_an_outage_is_not_announced() {
    for (late, notices) in [(expires_at() - SECOND, 1), (expires_at(), 0)] {
        let world = World::expiring().await;
        world.clock.set(late);
        world.round().await;
        assert_eq!(world.inbox().await.len(), notices, "{late}");
        // A notification is due until it is announced. The backup is never due again.
        assert_eq!(world.ever_due().await, notices, "{late}");
    }
}

#[tokio::test]
async fn the_expiry_of_a_deleted_archive_is_not_announced() {
    let deleted = swept().apply(BackupEvent::ArchiveDeleted(samples::requester()), samples::NOW).expect("completed");
    let world = World::with(std::slice::from_ref(&deleted)).await;
    world.clock.set(samples::NOW + SignedDuration::from_mins(5));
    world.round().await;
    let sweep = Work::Sweep { backup: deleted.reference() };
    assert_eq!(world.queue.receive(), Some(sweep), "the message was lost");

    let swept = deleted.apply(BackupEvent::Swept, samples::NOW).expect("to sweep");
    let world = World::with(&[swept]).await;
    world.clock.set(expires_at() - EXPIRY_NOTICE);
    world.round().await;
    assert!(world.inbox().await.is_empty());
    assert_eq!(world.ever_due().await, 0);
}

#[tokio::test]
async fn the_expiry_of_an_archive_that_is_swept_late_is_announced() {
    let unswept = samples::completed(1, expires_at());
    let world = World::with(std::slice::from_ref(&unswept)).await;
    world.clock.set(expires_at() - EXPIRY_NOTICE);
    world.round().await;
    assert!(world.is_queued(&Work::Sweep { backup: unswept.reference() }) && world.inbox().await.is_empty());

    samples::edit::<Backup>(&*world.ledger, &unswept.key(), |backup| {
        *backup = backup.apply(BackupEvent::Swept, samples::NOW).expect("to sweep");
    })
    .await;
    world.round().await;
    assert_eq!(world.inbox().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_of_two_simultaneous_rounds_announces_an_expiry() {
    let counted = Faults::none();
    World::expiring().await.recover(&counted.worker()).round().await.expect("no faults");
    let sweep = Sweep::expecting(13).up_to(counted.calls());
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::expiring().await;
            let slow = world.recover(&faults.worker());
            let fast = async {
                faults.until_struck().await;
                world.round().await;
                faults.release();
            };
            let (late, ()) = tokio::join!(slow.round(), fast);
            assert_eq!(late.expect("no faults").failed, 0, "{:?}", faults.struck());
            assert_eq!(world.inbox().await.len(), 1, "{:?}", faults.struck());
        })
        .await;
}

#[tokio::test]
async fn an_expiry_is_announced_once_after_a_fault_at_any_call() {
    for fault in FAULTS {
        let sweep = Sweep::expecting(60);
        sweep
            .of(fault, async |faults| {
                let world = World::expiring().await;
                world.run_out(&faults).await;
                let inbox = world.inbox().await;
                assert_eq!(inbox.len(), 1, "{:?}", faults.struck());
                assert!(world.is_queued(&inbox[0].work()), "{:?}", faults.struck());
            })
            .await;
    }
}

#[tokio::test]
async fn work_that_was_set_aside_is_announced_once_for_each_backup() {
    let world = World::with::<Backup>(&[]).await;
    let (first, second) = (samples::queued(1).reference(), samples::queued(2).reference());
    world.dead_letters.set_aside(&Work::Discover { backup: first.clone() });
    world.round().await;
    let inbox = world.inbox().await;
    let step = Event::DeadLetters { step: "discover".to_owned(), run_id: first.backup_id.to_string() };
    assert_eq!(inbox.iter().map(|notification| &notification.event).collect::<Vec<_>>(), [&step]);
    assert_eq!(world.queue.receive(), Some(inbox[0].work()));

    world.dead_letters.set_aside(&Work::Assemble { backup: first.clone() });
    world.dead_letters.set_aside(&Work::Discover { backup: second.clone() });
    world.clock.advance(SignedDuration::from_hours(1));
    for _ in 0..3 {
        world.round().await;
        world.clock.advance(SignedDuration::from_mins(1));
    }

    let about = |notification: &Notification| match &notification.event {
        Event::DeadLetters { run_id, .. } => run_id.clone(),
        other => panic!("{other:?}"),
    };
    let about: Vec<_> = world.inbox().await.iter().map(about).collect();
    assert_eq!(about, [first.backup_id.to_string(), second.backup_id.to_string()]);
}

#[tokio::test]
async fn a_dead_letter_about_a_notification_creates_no_other() {
    let world = World::with::<Backup>(&[]).await;
    let notification = unannounced().reference();
    world.dead_letters.set_aside(&Work::Deliver { notification: notification.clone(), channel: Channel::Webhook });
    world.dead_letters.set_aside(&Work::Announce { notification });
    world.dead_letters.set_aside_text("no work at all");
    world.round().await;
    assert!(world.inbox().await.is_empty() && world.queue.queued().is_empty());
}

#[tokio::test]
async fn work_that_was_set_aside_is_announced_once_after_a_fault_at_any_call() {
    let backup = samples::queued(2).reference();
    for fault in FAULTS {
        let sweep = Sweep::expecting(75);
        sweep
            .of(fault, async |faults| {
                let world = World::expiring().await;
                world.dead_letters.set_aside(&Work::Discover { backup: backup.clone() });
                world.run_out(&faults).await;
                let inbox = world.inbox().await;
                assert_eq!(inbox.len(), 2, "{:?}", faults.struck());
                assert!(
                    inbox.iter().all(|notification| world.is_queued(&notification.work())),
                    "{:?}",
                    faults.struck()
                );
            })
            .await;
    }
}

#[tokio::test]
async fn a_lost_announcement_is_queued_again_after_a_while() {
    let notification = unannounced();
    let world = World::with(std::slice::from_ref(&notification)).await;
    let due = notification.due_at().expect("not announced");
    world.clock.set(due - SECOND);
    assert_eq!((world.round().await.due, world.queue.receive()), (0, None), "its message may be under way");
    world.clock.set(due);
    assert_eq!((world.round().await.due, world.queue.receive()), (1, Some(notification.work())));
    assert_eq!((world.round().await.due, world.queue.receive()), (0, None), "now this one is under way");
}

#[tokio::test]
async fn a_delivery_whose_message_was_lost_is_queued_again_until_it_has_ended() {
    let (notification, now) = (unannounced(), samples::NOW);
    let delivery = Delivery::new(&notification.reference(), Channel::Webhook, now);
    let world = World::with(std::slice::from_ref(&delivery)).await;
    world.clock.set(delivery.due_at().expect("pending"));
    for _ in 0..2 {
        world.round().await;
        assert_eq!(world.queue.receive(), Some(delivery.work()));
        world.round().await;
        assert_eq!(world.queue.receive(), None, "its message may be under way");
        world.clock.advance(QUEUE_GRACE);
    }
    samples::edit::<Delivery>(&*world.ledger, &delivery.key(), |delivery| {
        *delivery = delivery.delivered(now).expect("pending");
    })
    .await;
    world.round().await;
    assert_eq!(world.queue.receive(), None);
}

#[tokio::test]
async fn a_chunk_whose_message_was_lost_gets_another_one() {
    let backup = samples::exporting(1);
    let (object, waiting) = samples::discovered(&backup, "contacts", Some(1_000));
    let chunk = waiting.activate(samples::NOW).expect("waiting");
    let world = World::with(std::slice::from_ref(&backup)).await;
    world.ledger.commit(&[Change::create(&object), Change::create(&chunk)]).await.expect("new");
    world.clock.set(chunk.due_at().expect("ready"));
    for _ in 0..2 {
        world.round().await;
        assert_eq!(world.queue.receive(), Some(chunk.work()));
        world.round().await;
        assert_eq!(world.queue.receive(), None, "its message may be under way");
        world.clock.advance(QUEUE_GRACE);
    }
}

#[tokio::test]
async fn an_unreadable_list_of_due_work_does_not_delay_the_others() {
    let counted = Faults::none();
    World::expiring().await.recover(&counted.worker()).round().await.expect("no faults");

    let (mut lists, mut held_up) = (0, 0);
    let sweep = Sweep::expecting(13).up_to(counted.calls());
    sweep
        .of(Fault::CallFails, async |faults| {
            let world = World::expiring().await;
            let round = world.recover(&faults.worker()).round().await;
            if faults.struck()[0].call != "Ledger::due" {
                return;
            }
            lists += 1;
            assert!(round.is_err(), "what cannot be read is no quiet success");
            if world.inbox().await.is_empty() {
                held_up += 1;
                world.round().await;
                assert_eq!(world.inbox().await.len(), 1, "in the next minute");
            }
        })
        .await;
    assert_eq!((lists, held_up), (DUE_SHARDS, 1), "only the list that it is on holds it up");
}

#[tokio::test]
async fn unreadable_dead_letter_queues_delay_no_other_work() {
    let counted = Faults::none();
    World::expiring().await.recover(&counted.worker()).round().await.expect("no faults");
    let mut looks = 0;
    let sweep = Sweep::expecting(13).up_to(counted.calls());
    sweep
        .of(Fault::CallFails, async |faults| {
            let world = World::expiring().await;
            let round = world.recover(&faults.worker()).round().await;
            if faults.struck()[0].call == "DeadLetters::peek" {
                assert_eq!((round.expect("the rest is done").failed, world.inbox().await.len()), (0, 1));
                looks += 1;
            }
        })
        .await;
    assert_eq!(looks, 1, "each round looks once at what was set aside");
}

/// D3: the work of a killed run does not wait for a round, and a run that lives is not stalled.
#[tokio::test]
async fn a_lease_that_runs_out_before_the_next_round_gets_its_message_ahead() {
    let assembling = samples::exporting(1).apply(BackupEvent::ObjectExported, samples::NOW).expect("exporting");
    let leased = assembling.lease("run", samples::NOW, LEASE_LENGTH).expect("free");
    let world = World::with(std::slice::from_ref(&leased)).await;

    let recovered = world.round().await;

    assert_eq!((recovered.due, recovered.oldest), (0, SignedDuration::ZERO));
    assert!(world.is_queued(&Work::Assemble { backup: leased.reference() }));
    assert_eq!(world.queue.next_available_at(), Some(samples::NOW + LEASE_LENGTH));
    let present = ledger::load::<Backup>(&*world.ledger, &leased.key()).await.expect("readable").expect("present");
    assert_eq!(present.record, leased, "the run that lives is not disturbed");
}
