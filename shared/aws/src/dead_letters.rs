//! The dead-letters port on SQS.

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use domain::format;
use domain::ports::dead_letters::DeadLetters;
use domain::ports::queue::QueueError;
use domain::work::Work;
use futures_util::future::try_join_all;

use crate::failure;

/// The most messages that one request returns.
const SAMPLE: i32 = 10;

/// Reads a sample of each queue. The messages stay visible to other readers, and nothing is deleted.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    client: Client,
    urls: Vec<String>,
}

impl SqsDeadLetters {
    /// The queues at `urls`.
    pub fn new(client: Client, urls: Vec<String>) -> Self {
        Self { client, urls }
    }

    /// The bodies of some messages of the queue at `url`.
    async fn bodies(&self, url: &str) -> Result<Vec<String>, QueueError> {
        let request = self.client.receive_message().queue_url(url).max_number_of_messages(SAMPLE);
        let received = request.visibility_timeout(0).wait_time_seconds(0).send().await;
        let received = received.map_err(|e| QueueError(failure::describe("ReceiveMessage", &e)))?;
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(|message| message.body).collect())
    }
}

#[async_trait]
impl DeadLetters for SqsDeadLetters {
    async fn peek(&self) -> Result<Vec<Work>, QueueError> {
        let bodies = try_join_all(self.urls.iter().map(|url| self.bodies(url))).await?;
        let mut seen = Vec::new();
        for body in bodies.iter().flatten() {
            if let Ok(work) = format::read(body.as_bytes())
                && !seen.contains(&work)
            {
                seen.push(work);
            }
        }
        Ok(seen)
    }
}
