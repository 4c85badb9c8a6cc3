//! Memory for the values of batches under way. Each value is held several times over: wanted or planned, read, sent, answered. So
//! a run has room for so many bytes of them, and a batch that finds none waits until others are done.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Values of so many bytes may be under way, about.
const ROOM: usize = 24 * 1024 * 1024;
/// What room is counted in.
const UNIT: usize = 1024;

/// The room of one run.
pub(super) struct Room(Arc<Semaphore>);

/// Room that a batch has, until it is dropped.
pub(super) struct Taken {
    /// None only where the semaphore is closed, which nobody does.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// All of it free.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM / UNIT)))
    }

    /// Waits until there is room for values of so many bytes; those that are too large for it go alone.
    pub(super) async fn take(&self, bytes: usize) -> Taken {
        let units = u32::try_from((bytes / UNIT).min(ROOM / UNIT)).unwrap_or(u32::MAX);
        Taken { _permit: self.0.clone().acquire_many_owned(units).await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn batches_wait_for_room_and_none_is_too_large_to_go_alone() {
        let room = Room::new();
        let first = room.take(ROOM / 2).await;
        let second = room.take(ROOM / 2).await;
        let mut third = Box::pin(room.take(10 * ROOM));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "it needs all of it");
        drop(second);
        assert!((&mut third).now_or_never().is_some());
    }
}
