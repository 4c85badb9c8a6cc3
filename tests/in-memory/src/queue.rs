//! A queue in memory that hands its messages to the test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::clock::Clock;
use domain::ports::queue::{LONGEST_DELAY, QueueError, WorkQueue};
use domain::work::Work;
use jiff::Timestamp;

use crate::lock;

/// A message that no worker has received yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// What to look at.
    pub work: Work,
    /// When it may be received.
    pub available_at: Timestamp,
}

/// Keeps messages until the test receives them. Its time is that of the clock it was made with.
pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    copies: usize,
    messages: Mutex<Vec<Queued>>,
}

impl MemoryQueue {
    /// An empty queue that delivers every message once.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, copies: 1, messages: Mutex::default() }
    }

    /// An empty queue that delivers every message twice: the copies of one `send` come after all of its messages.
    pub fn delivering_twice(clock: Arc<dyn Clock>) -> Self {
        Self { copies: 2, ..Self::new(clock) }
    }

    /// Takes the message that became available first, if there is one whose time has come.
    pub fn receive(&self) -> Option<Work> {
        let now = self.clock.now();
        let mut messages = lock(&self.messages);
        let place = first(&messages).filter(|place| messages[*place].available_at <= now)?;
        Some(messages.remove(place).work)
    }

    /// When the next message may be received; None for an empty queue. A test moves its clock there.
    pub fn next_available_at(&self) -> Option<Timestamp> {
        let messages = lock(&self.messages);
        first(&messages).map(|place| messages[place].available_at)
    }

    /// The messages that no worker has received yet, in the order of sending.
    pub fn queued(&self) -> Vec<Queued> {
        lock(&self.messages).clone()
    }

    /// Loses every message, as a queue may.
    pub fn lose_all(&self) {
        lock(&self.messages).clear();
    }
}

/// The earliest message; of several, the one sent first.
fn first(messages: &[Queued]) -> Option<usize> {
    let earliest = messages.iter().enumerate().min_by_key(|(place, message)| (message.available_at, *place));
    earliest.map(|(place, _)| place)
}

#[async_trait]
impl WorkQueue for MemoryQueue {
    async fn send(&self, work: &[Work], delay: Duration) -> Result<(), QueueError> {
        let available_at = self.clock.now() + delay.min(LONGEST_DELAY);
        let mut messages = lock(&self.messages);
        for _ in 0..self.copies {
            messages.extend(work.iter().map(|work| Queued { work: work.clone(), available_at }));
        }
        Ok(())
    }
}
