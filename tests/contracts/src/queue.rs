//! The contract of every queue. See [`domain::ports::queue`]. It promises no order.

use std::time::Duration;

use domain::ids::ChunkKey;
use domain::ids::{AccountId, BackupId, NotificationId, ObjectType, RecordId, RestoreId};
use domain::notification::channel::Channel;
use domain::ports::queue::WorkQueue;
use domain::work::{BackupRef, NotificationRef, RestoreRef, Work};

/// The receiving end of a queue, for tests.
pub trait Receiving {
    /// All work that can be received now.
    fn receive_all(&self) -> impl Future<Output = Vec<Work>>;
}

fn backup() -> BackupRef {
    BackupRef {
        account_id: AccountId::parse("77").expect("valid"),
        backup_id: BackupId::parse("0198a000-0000-7000-8000-000000000000").expect("valid"),
    }
}

fn restore() -> RestoreRef {
    RestoreRef {
        account_id: AccountId::parse("77").expect("valid"),
        restore_id: RestoreId::parse("0198a000-0000-7000-8000-000000000001").expect("valid"),
    }
}

fn notification() -> NotificationRef {
    NotificationRef {
        account_id: AccountId::parse("77").expect("valid"),
        notification_id: NotificationId::parse("0198a000-0000-7000-8000-000000000002").expect("valid"),
    }
}

/// `chunks` chunks to export and one message of every other kind.
///
/// # Panics
/// Never: its ids are valid.
pub fn some_of_everything(chunks: u64) -> Vec<Work> {
    let object_type = ObjectType::parse("contacts").expect("valid");
    let export = |lower| {
        let chunk = ChunkKey { object_type: object_type.clone(), generation: 1, lower: RecordId(lower) };
        Work::Export { backup: backup(), chunk }
    };
    let mut work = vec![
        Work::Discover { backup: backup() },
        Work::CloseObject { backup: backup(), object_type: object_type.clone() },
        Work::Assemble { backup: backup() },
        Work::Sweep { backup: backup() },
        Work::Restore { restore: restore() },
        Work::RestoreSlice { restore: restore(), slice: u32::MAX },
        Work::Announce { notification: notification() },
        Work::Deliver { notification: notification(), channel: Channel::EventBus },
    ];
    work.extend((0..chunks).map(|n| export(u64::MAX - n)));
    work
}

fn sorted(mut work: Vec<Work>) -> Vec<Work> {
    work.sort_by_key(|work| format!("{work:?}"));
    work
}

/// All work that was sent arrives unchanged, in any amount.
///
/// # Panics
/// If the queue breaks its contract.
pub async fn all_work_arrives(queue: &dyn WorkQueue, other_end: &impl Receiving) {
    let work = some_of_everything(23);

    queue.send(&work, Duration::ZERO).await.expect("sent");

    let mut received = other_end.receive_all().await;
    received.dedup();
    assert_eq!(sorted(received), sorted(work));
}

/// Sending no work succeeds.
///
/// # Panics
/// If the queue breaks its contract.
pub async fn sending_no_work_succeeds(queue: &dyn WorkQueue, other_end: &impl Receiving) {
    queue.send(&[], Duration::ZERO).await.expect("sent");
    assert_eq!(other_end.receive_all().await, []);
}

/// Delayed work is not received early, and a longer delay than a queue supports is shortened, not refused.
///
/// # Panics
/// If the queue breaks its contract.
pub async fn delayed_work_waits(queue: &dyn WorkQueue, other_end: &impl Receiving) {
    queue.send(&some_of_everything(1), Duration::from_mins(5)).await.expect("sent");
    queue.send(&some_of_everything(1), Duration::MAX).await.expect("sent");
    assert_eq!(other_end.receive_all().await, []);
}
