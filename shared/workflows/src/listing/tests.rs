//! Lists with unreadable records: the rest of each list is returned, and due work is done.

use std::sync::Arc;

use domain::account::Account;
use domain::audit::{Act, AuditEntry, AuditFilter};
use domain::backup::Backup;
use domain::chunk::Chunk;
use domain::ids::ChunkKey;
use domain::ids::{AccountId, AuditEntryId, BackupId, RecordId};
use domain::notification::{Event, Notification};
use domain::ports::clock::Clock;
use domain::ports::ledger::{Change, MAX_CHANGES, due_shard};
use domain::schedule::Schedule;
use domain::work::{BackupRef, NotificationRef};
use domain::{Failure, FailureKind};
use in_memory::{ManualClock, MemoryDeadLetters, MemoryLedger, MemoryQueue, MemoryStorage};
use jiff::SignedDuration;

use super::*;
use crate::audit_log::{self, AuditError, ExportAuditLog};
use crate::backup::dispatch::RunCap;
use crate::backup::{dispatch, read};
use crate::notify::inbox;
use crate::recover::Recover;
use crate::schedule::{ScheduleWish, StartScheduled};
use crate::{samples, schedule};

/// More than one read of a shard's due keys returns.
const MANY: usize = 250;

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let queue = Arc::new(MemoryQueue::new(clock.clone()));
        Self { ledger: Arc::new(MemoryLedger::new()), queue, clock }
    }

    /// Stores changes, in a format of a later version if `later` is set.
    async fn commit(&self, changes: Vec<Change>, later: bool) {
        let changes: Vec<_> = changes
            .into_iter()
            .map(|change| Change { format: if later { 99 } else { change.format }, ..change })
            .collect();
        for some in changes.chunks(MAX_CHANGES) {
            self.ledger.commit(some).await.expect("new");
        }
    }

    async fn recover(&self) -> crate::recover::Recovered {
        let recover = Recover {
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            dead_letters: Arc::new(MemoryDeadLetters::new()),
        };
        recover.round().await.expect("the lists can be read")
    }
}

fn account(nth: usize) -> AccountId {
    samples::account_id(&(1_000 + nth).to_string())
}

/// A backup of its own account that has been due since [`samples::NOW`].
fn queued(nth: usize) -> Backup {
    let backup = BackupRef { account_id: account(nth), backup_id: BackupId::new(samples::NOW, samples::random()) };
    Backup { account_id: backup.account_id, backup_id: backup.backup_id, ..samples::queued(1) }
}

/// The shard of all due records in these tests.
const SHARD: u8 = 3;

#[tokio::test]
async fn unreadable_records_do_not_delay_due_records_behind_them() {
    let world = World::new();
    let mut backups = (0..).map(queued).filter(|backup| due_shard(&backup.key()) == SHARD);
    let unreadable: Vec<_> = backups.by_ref().take(MANY).collect();
    let good = backups.next().expect("there are any number");
    world.commit(unreadable.iter().map(Change::create).collect(), true).await;
    // Due a moment after all the others.
    let later = Change { due_at: good.due_at().map(|due| due + SignedDuration::from_secs(1)), ..Change::create(&good) };
    world.commit(vec![later], false).await;
    world.clock.advance(SignedDuration::from_hours(1));

    let recovered = world.recover().await;

    assert_eq!((recovered.failed, recovered.due), (MANY as u64, 1));
    let queued = world.queue.queued();
    assert_eq!(queued.iter().map(|message| Some(message.work.clone())).collect::<Vec<_>>(), [good.work()]);
}

#[tokio::test]
async fn an_unreadable_schedule_delays_no_other() {
    let world = World::new();
    let mut later = Vec::new();
    let accounts = (0..).map(account).filter(|account| due_shard(&Schedule::key_of(account)) == SHARD);
    for (nth, account_id) in accounts.take(MANY + 1).enumerate() {
        let plan = samples::tier("enterprise");
        let account = Account { account_id, tier: plan, ..samples::connected_account("42") };
        world.commit(vec![Change::create(&account)], false).await;
        let act = Act { account_id: account.account_id.clone(), ..samples::act("change-schedule") };
        let wish = ScheduleWish { enabled: true, every: None };
        schedule::set(&*world.ledger, &*world.clock, &act, wish).await.expect("the plan has schedules");
        later.push(Schedule::key_of(&account.account_id));
        // The last one is due after all the others.
        world.clock.advance(SignedDuration::from_mins(i64::from(nth + 1 == MANY)));
    }
    for key in &later[..MANY] {
        let stored = world.ledger.get(key).await.expect("readable").expect("there");
        let loaded = ledger::read::<Schedule>(stored).expect("readable");
        world.commit(vec![Change::replace(&loaded, &loaded.record)], true).await;
    }
    world.clock.advance(SignedDuration::from_hours(24 * 8));
    let starting = StartScheduled {
        ledger: world.ledger.clone(),
        queue: world.queue.clone(),
        clock: world.clock.clone(),
        random: samples::random,
        audit_kept_for: SignedDuration::from_hours(24 * 400),
    };

    let round = starting.round(world.clock.now() + SignedDuration::from_secs(50)).await.expect("the lists can be read");

    assert_eq!((round.started, round.failed), (1, MANY as u64));
}

/// Pages leave unreadable records out, count them, and continue behind them, even at the end of a page.
#[tokio::test]
async fn pages_leave_unreadable_records_out_and_count_them() {
    let world = World::new();
    world.commit(vec![Change::create(&samples::connected_account("42"))], false).await;
    let at = |nth: i64| samples::NOW + SignedDuration::from_mins(nth);
    let mut notifications = Vec::new();
    for nth in 0..5_u8 {
        let backup_id = BackupId::new(at(nth.into()), [nth; 10]);
        let backup = Backup { backup_id: backup_id.clone(), ..samples::queued(1) };
        let failure = Failure::new(FailureKind::ExportFailed, "y");
        let event = Event::BackupFailed { backup_id, failure, paused_until: None };
        let notification = Notification::new(samples::account_id("42"), [nth; 10], event, None, at(nth.into()));
        world.commit(vec![Change::create(&backup), Change::create(&notification)], nth == 3).await;
        notifications.push(notification);
    }
    world.clock.advance(SignedDuration::from_hours(1));
    let account = samples::account_id("42");

    let first = read::list(&*world.ledger, &account, None, 2).await.expect("readable");
    assert_eq!((first.backups.len(), first.left_out), (1, 1));
    let rest = read::list(&*world.ledger, &account, first.next.as_ref(), 9).await.expect("readable");
    assert_eq!((rest.backups.len(), rest.left_out, rest.next), (3, 0, None));

    let inbox = |after| inbox::list(&*world.ledger, &*world.clock, &account, "me", after, 2);
    let first = inbox(None).await.expect("readable");
    assert_eq!((first.notifications.len(), first.left_out, first.unread), (1, 1, 4));
    let second = inbox(first.next.as_ref()).await.expect("readable");
    assert_eq!((second.notifications.len(), second.left_out), (2, 0));

    let notification_id = notifications[3].notification_id.clone();
    let reference = NotificationRef { account_id: account.clone(), notification_id };
    let read = inbox::read(&*world.ledger, &*world.clock, &reference).await;
    assert!(matches!(read, Err(inbox::InboxError::Ledger(LedgerError::Unreadable(..)))), "{read:?}");
}

/// The list of the audit log continues. A file without an entry would look complete.
#[tokio::test]
async fn an_audit_log_with_unreadable_entries_is_listed_but_not_exported() {
    let world = World::new();
    let mut entries = Vec::new();
    for nth in 0..4_u8 {
        let act = Act { entry_id: AuditEntryId::new(samples::NOW, [nth; 10]), ..samples::act("x") };
        entries.push(act.succeeded(None));
        world.commit(entries.last().map(Change::create).into_iter().collect(), nth == 2).await;
    }
    let (account, filter) = (samples::account_id("42"), AuditFilter::default());
    let page = audit_log::list(&*world.ledger, &*world.clock, &account, &filter, None, 9).await.expect("readable");
    let expected: Vec<&AuditEntry> = [3, 1, 0].map(|place| &entries[place]).into();
    assert_eq!((page.entries.iter().collect::<Vec<_>>(), page.left_out, page.next), (expected, 1, None));

    let objects = Arc::new(MemoryStorage::new());
    let export = ExportAuditLog {
        ledger: world.ledger.clone(),
        clock: world.clock.clone(),
        reader: objects.clone(),
        writer: objects.clone(),
        uploads: objects.clone(),
        links: objects.clone(),
    };
    let ends = world.clock.now() + SignedDuration::from_secs(9);
    let exported = export.export(&filter, &samples::act("export"), std::time::Duration::from_secs(9), ends).await;
    assert!(matches!(exported, Err(AuditError::Ledger(LedgerError::Unreadable(..)))));
    assert!(objects.keys("").is_empty());
}

/// An unreadable chunk does not take another chunk's place.
#[tokio::test]
async fn chunks_are_dispatched_beside_an_unreadable_one() {
    let world = World::new();
    let backup = samples::exporting(1);
    let (object, chunk) = samples::discovered(&backup, "contacts", Some(1_000));
    let unreadable = Chunk { key: ChunkKey { lower: RecordId(5_000), ..chunk.key.clone() }, ..chunk.clone() };
    world.commit(vec![Change::create(&backup), Change::create(&object), Change::create(&chunk)], false).await;
    world.commit(vec![Change::create(&unreadable)], true).await;

    let dispatched =
        dispatch::dispatch(&*world.ledger, &*world.queue, &*world.clock, &backup.reference(), RunCap(1)).await;

    dispatched.expect("done");
    let queued: Vec<_> = world.queue.queued().into_iter().map(|message| message.work).collect();
    assert_eq!(queued, [chunk.work()]);
}
