use domain::account::Account;
use domain::allowance::Allowance;
use domain::ports::ledger;
use domain::{Failure, FailureKind};
use in_memory::faults::{Fault, Faults, Sweep, Worker};
use in_memory::{ManualClock, MemoryLedger, MemoryQueue, MemoryStorage};
use jiff::SignedDuration;

use super::*;
use crate::samples;

/// An account that the CRM refused the last time, with a backup that is about to complete.
struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
    backup: Backup,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW + SignedDuration::from_hours(1)));
        let (ledger, queue) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryQueue::new(clock.clone())));
        let (mut account, backup) = (samples::connected_account("42"), samples::assembling(1));
        let fault = Failure::new(FailureKind::CrmTokenRefused, "The CRM refuses the token.");
        account.crm_connection.as_mut().expect("connected").fault = Some(fault);
        let free = Allowance::free(backup.account_id.clone());
        let taken = free.take(&backup.backup_id, SignedDuration::ZERO, backup.created_at).expect("free");
        let changes = [Change::create(&account), Change::create(&taken), Change::create(&backup)];
        ledger.commit(&changes).await.expect("empty ledger");
        Self { ledger, queue, clock, backup }
    }

    fn assemble(&self, worker: &Arc<Worker>) -> Assemble {
        let objects = Arc::new(MemoryStorage::new());
        Assemble {
            ledger: worker.wrap(self.ledger.clone()),
            queue: worker.wrap(self.queue.clone()),
            clock: self.clock.clone(),
            reader: objects.clone(),
            writer: objects.clone(),
            uploads: objects.clone(),
            sweeper: objects,
        }
    }

    async fn load<T: ledger::Record>(&self, key: &ledger::Key) -> T {
        ledger::load::<T>(&*self.ledger, key).await.expect("readable").expect("present").record
    }
}

#[tokio::test]
async fn completing_a_backup_uses_its_allowance_and_clears_the_connection_fault() {
    let world = World::new().await;
    let backup = world.backup.reference();
    let archive = samples::archive(1, world.clock.now() + ARCHIVE_LIFETIME);

    world
        .assemble(&Faults::none().worker())
        .complete(&backup, 2, archive.clone(), (&Shortfalls::default(), false))
        .await
        .expect("no faults");

    let completed: Backup = world.load(&Backup::key_of(&backup)).await;
    assert_eq!((completed.state, completed.archive), (BackupState::Completed, Some(archive)));
    let allowance: Allowance = world.load(&Allowance::key_of(&backup.account_id)).await;
    assert_eq!((allowance.running, allowance.used_at), (None, Some(completed.created_at)));
    let account: Account = world.load(&Account::key_of(&backup.account_id)).await;
    assert_eq!(account.crm_connection.expect("connected").fault, None);
    let notifications: Vec<Notification> = samples::records(&*world.ledger, Notification::PREFIX).await;
    assert_eq!((notifications.len(), notifications[0].requester.as_ref()), (1, Some(&completed.created_by)));
    assert!(
        matches!(&notifications[0].event, Event::BackupCompleted { backup_id, .. } if *backup_id == backup.backup_id)
    );
    assert_eq!(world.queue.receive(), Some(notifications[0].work()));
    assert_eq!(world.queue.receive(), Some(Work::Sweep { backup }));
}

#[tokio::test]
async fn a_backup_completes_as_a_whole_or_not_at_all() {
    for fault in [Fault::CallFails, Fault::AnswerLost, Fault::WorkerDies] {
        let sweep = Sweep::expecting(6);
        sweep
            .of(fault, async |faults| {
                let world = World::new().await;
                let backup = world.backup.reference();
                let archive = samples::archive(1, world.clock.now() + ARCHIVE_LIFETIME);
                let worker = faults.worker();
                drop(
                    worker
                        .run(world.assemble(&worker).complete(&backup, 2, archive, (&Shortfalls::default(), false)))
                        .await,
                );

                let completed: Backup = world.load(&Backup::key_of(&backup)).await;
                let is_completed = completed.state == BackupState::Completed;
                let allowance: Allowance = world.load(&Allowance::key_of(&backup.account_id)).await;
                assert_eq!(allowance.running.is_none(), is_completed, "{:?}", faults.struck());
                let account: Account = world.load(&Account::key_of(&backup.account_id)).await;
                assert_eq!(account.crm_connection.expect("connected").fault.is_none(), is_completed);
                let notifications: Vec<Notification> = samples::records(&*world.ledger, Notification::PREFIX).await;
                assert_eq!(notifications.len(), usize::from(is_completed), "{:?}", faults.struck());
                assert!(is_completed || !faults.struck().is_empty());
            })
            .await;
    }
}
