//! The work queue on SQS, with one queue per function.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::format;
use domain::ports::queue::{LONGEST_DELAY, QueueError, WorkQueue};
use domain::work::Work;

use crate::failure;

/// The most messages of one request.
const BATCH: usize = 10;

/// The queue of each function. None if this function sends no work to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueUrls {
    pub discover: Option<String>,
    /// For export-chunk: [`Work::Export`] and [`Work::CloseObject`].
    pub export: Option<String>,
    /// For assemble-archive: [`Work::Assemble`] and [`Work::Sweep`].
    pub assemble: Option<String>,
    /// For restore-chunk: [`Work::Restore`] and [`Work::RestoreSlice`].
    pub restore: Option<String>,
    /// For deliver-notifications: [`Work::Announce`] and [`Work::Deliver`].
    pub notify: Option<String>,
}

impl QueueUrls {
    fn of(&self, work: &Work) -> Result<&str, QueueError> {
        let url = match work {
            Work::Discover { .. } => &self.discover,
            Work::Export { .. } | Work::CloseObject { .. } => &self.export,
            Work::Assemble { .. } | Work::Sweep { .. } => &self.assemble,
            Work::Restore { .. } | Work::RestoreSlice { .. } => &self.restore,
            Work::Announce { .. } | Work::Deliver { .. } => &self.notify,
        };
        url.as_deref().ok_or_else(|| QueueError("this function has no queue for this work".to_owned()))
    }
}

/// Queues work on SQS. A message's body is the work as JSON.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Client,
    urls: QueueUrls,
}

impl SqsQueues {
    /// The queues at `urls`.
    pub fn new(client: Client, urls: QueueUrls) -> Self {
        Self { client, urls }
    }

    async fn send_batch(&self, url: &str, batch: &[&Work], delay: i32) -> Result<(), QueueError> {
        let mut entries = Vec::with_capacity(batch.len());
        for (place, work) in batch.iter().enumerate() {
            let body = format::write(*work).map_err(|e| QueueError(e.to_string()))?;
            let body = String::from_utf8(body).map_err(|e| QueueError(e.to_string()))?;
            let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body);
            entries.push(entry.delay_seconds(delay).build().map_err(|e| QueueError(e.to_string()))?);
        }
        let sent = self.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
        let sent = sent.map_err(|e| QueueError(failure::describe("SendMessageBatch", &e)))?;
        match sent.failed() {
            [] => Ok(()),
            [first, ..] => {
                let (lost, all) = (sent.failed().len(), batch.len());
                Err(QueueError(format!("SendMessageBatch: {lost} of {all} were not accepted ({})", first.code())))
            }
        }
    }
}

#[async_trait]
impl WorkQueue for SqsQueues {
    async fn send(&self, work: &[Work], delay: Duration) -> Result<(), QueueError> {
        let delay = delay_seconds(delay);
        let mut by_url: BTreeMap<&str, Vec<&Work>> = BTreeMap::new();
        for one in work {
            by_url.entry(self.urls.of(one)?).or_default().push(one);
        }
        for (url, there) in by_url {
            for batch in there.chunks(BATCH) {
                self.send_batch(url, batch, delay).await?;
            }
        }
        Ok(())
    }
}

/// `delay` in whole seconds, rounded up, and cut to the maximum of SQS.
fn delay_seconds(delay: Duration) -> i32 {
    let cut = delay.min(LONGEST_DELAY);
    let seconds = cut.as_secs() + u64::from(cut.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_rounded_up_and_cut() {
        assert_eq!(delay_seconds(Duration::ZERO), 0);
        assert_eq!(delay_seconds(Duration::from_millis(1)), 1);
        assert_eq!(delay_seconds(Duration::from_secs(2)), 2);
        assert_eq!(delay_seconds(Duration::MAX), 900);
    }
}
