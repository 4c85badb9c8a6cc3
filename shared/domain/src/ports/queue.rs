//! The work queue. A message only names an item to work on. It may arrive twice, late or never: the ledger holds the
//! truth, and recover-stalled queues overdue items again.

use std::time::Duration;

use async_trait::async_trait;

use crate::work::Work;

/// The longest delay of a message, 15 minutes in SQS.
pub const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// Sends work to the functions.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Queues `work` for the functions that do it, in any order. It is delivered after `delay`, which is cut to
    /// [`LONGEST_DELAY`].
    ///
    /// # Errors
    /// [`QueueError`] if not all of it was accepted. Some may have been.
    async fn send(&self, work: &[Work], delay: Duration) -> Result<(), QueueError>;
}

/// The queue did not accept a message. A retry can help.
#[derive(Debug, thiserror::Error)]
#[error("the work queue did not accept a message: {0}")]
pub struct QueueError(pub String);
