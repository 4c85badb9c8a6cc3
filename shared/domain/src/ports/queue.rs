//! Messages that say "look at this item". They may arrive twice, late, at once or never: the truth is in the ledger,
//! and what nobody looked at is queued again by recover-stalled.

use std::time::Duration;

use async_trait::async_trait;

use crate::work::Work;

/// The longest delay of a message, 15 minutes in SQS.
pub const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// Hands work to the functions.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Queues `work` for whichever functions do it, in any order, to be delivered after `delay` (at most
    /// [`LONGEST_DELAY`]; a longer one is cut).
    ///
    /// # Errors
    /// [`QueueError`] when not all of it was taken; some may have been.
    async fn send(&self, work: &[Work], delay: Duration) -> Result<(), QueueError>;
}

/// The queue did not take a message. Trying again can help.
#[derive(Debug, thiserror::Error)]
#[error("the work queue did not take a message: {0}")]
pub struct QueueError(pub String);
