//! Memory for the values of batches in progress. Each value is in memory several times: wanted or planned, read, sent,
//! answered. So a run has room for a limited number of bytes, and a batch that finds no room waits until others are
//! done.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The approximate bytes of values that may be in progress.
const ROOM: usize = 24 * 1024 * 1024;
/// The unit of room, in bytes.
const UNIT: usize = 1024;

/// The room of one run.
pub(super) struct Room(Arc<Semaphore>);

/// The room of a batch. Dropping it frees the room.
pub(super) struct Taken {
    /// None only if the semaphore is closed, which never happens.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM / UNIT)))
    }

    /// Waits until there is room for values of this many bytes. A batch that is larger than all room goes alone.
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
    async fn batches_wait_for_room_and_a_too_large_one_goes_alone() {
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
