//! Room for the bodies of answers that are read at the same time. A run has many calls under way, and their answers
//! must fit into the memory of a small function together. So a large body waits until there is room for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body up to this size waits for nothing. A page of a hundred usual records is smaller.
const SMALL: usize = 1 << 20;
/// Only [`LARGE_AT_ONCE`] bodies up to this size are read at the same time.
pub(crate) const LARGE: usize = 8 << 20;
const LARGE_AT_ONCE: usize = 2;
/// The most bytes of a body. Of the largest bodies one is read at a time.
pub(crate) const LARGEST: usize = 32 << 20;

/// The room of a process.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    large: Arc<Semaphore>,
    largest: Arc<Semaphore>,
}

impl Default for BodyRoom {
    fn default() -> Self {
        Self { large: Arc::new(Semaphore::new(LARGE_AT_ONCE)), largest: Arc::new(Semaphore::new(1)) }
    }
}

/// The place of one body, for as long as its bytes are needed.
#[derive(Debug)]
pub(crate) struct BodyPlace {
    most: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

/// There is never room for a body that large.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Default for BodyPlace {
    /// A place for a small body.
    fn default() -> Self {
        Self { most: SMALL, _permit: None }
    }
}

impl BodyPlace {
    /// The bytes that fit into it now.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Waits until it has room for `bytes`.
    ///
    /// # Errors
    /// [`NoRoom`] for more than [`LARGEST`] bytes.
    pub(crate) async fn grow(&mut self, bytes: usize, room: &BodyRoom) -> Result<(), NoRoom> {
        let (most, place) = match bytes {
            _ if bytes <= self.most => return Ok(()),
            _ if bytes <= LARGE => (LARGE, &room.large),
            _ if bytes <= LARGEST => (LARGEST, &room.largest),
            _ => return Err(NoRoom),
        };
        // Whoever has the largest place waits for nothing, so all others get theirs in the end. Nobody closes it.
        let permit = place.clone().acquire_owned().await.map_err(|_| NoRoom)?;
        *self = Self { most, _permit: Some(permit) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const BRIEFLY: Duration = Duration::from_millis(20);

    async fn place_for(bytes: usize, room: &BodyRoom) -> Option<BodyPlace> {
        let mut place = BodyPlace::default();
        timeout(BRIEFLY, place.grow(bytes, room)).await.ok()?.expect("there is room");
        Some(place)
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_never_wait_and_large_ones_wait_for_each_other() {
        let room = BodyRoom::default();
        let large: Vec<_> = [place_for(LARGE, &room).await, place_for(SMALL + 1, &room).await].into();
        assert!(large.iter().all(Option::is_some));
        assert!(place_for(SMALL + 1, &room).await.is_none(), "two are read already");
        assert!(place_for(SMALL, &room).await.is_some());
        let largest = place_for(LARGE + 1, &room).await;
        assert!(largest.is_some() && place_for(LARGEST, &room).await.is_none(), "one at a time");
        drop((large, largest));
        assert!(place_for(LARGE, &room).await.is_some() && place_for(LARGEST, &room).await.is_some());
        assert_eq!(BodyPlace::default().grow(LARGEST + 1, &room).await, Err(NoRoom));
    }

    /// Bodies that grow further wait with their first place for the largest one, and all come to it.
    #[tokio::test(start_paused = true)]
    async fn bodies_that_grow_do_not_block_each_other() {
        let room = BodyRoom::default();
        let grows = async |room: &BodyRoom| {
            let mut place = BodyPlace::default();
            for bytes in [SMALL, LARGE, LARGEST] {
                place.grow(bytes, room).await.expect("there is room");
                tokio::time::sleep(BRIEFLY).await;
            }
        };
        let all = async { tokio::join!(grows(&room), grows(&room), grows(&room), grows(&room), grows(&room)) };
        timeout(Duration::from_secs(5), all).await.expect("all of them get room");
    }
}
