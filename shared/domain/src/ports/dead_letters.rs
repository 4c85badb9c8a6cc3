//! Dead letters: messages that failed too often and were set aside.

use async_trait::async_trait;

use super::queue::QueueError;
use crate::work::Work;

/// Reads messages that were set aside, without removing them.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// A sample of the work in each dead-letter queue, perhaps the same messages each time. Messages that are not work are
    /// left out. Messages may be hidden from others, and from the next look, for some seconds.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn peek(&self) -> Result<Vec<Work>, QueueError>;
}
