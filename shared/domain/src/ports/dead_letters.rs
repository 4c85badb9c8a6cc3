//! Messages that failed too often and were set aside.

use async_trait::async_trait;

use super::queue::QueueError;
use crate::work::Work;

/// Looks at messages that were set aside, and leaves them where they are.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Some of the work that lies in the dead-letter queues: a sample of each, the same message perhaps every time.
    /// What is no work is left out.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn peek(&self) -> Result<Vec<Work>, QueueError>;
}
