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
const AT_ONCE: i32 = 10;

/// The most requests to a queue in one look, which then contains up to 50 of its messages. An empty queue takes one.
const REQUESTS: usize = 5;

/// How long a message is hidden, in seconds, so that the next request returns others. It is short because the alarm
/// counts visible messages only, and a redrive moves only those.
const HIDDEN_FOR: i32 = 3;

/// Reads a sample of each queue. The messages stay, and nothing is deleted.
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
        let mut bodies = Vec::new();
        for _ in 0..REQUESTS {
            let request = self.client.receive_message().queue_url(url).max_number_of_messages(AT_ONCE);
            let received = request.visibility_timeout(HIDDEN_FOR).wait_time_seconds(0).send().await;
            let received = received.map_err(|e| QueueError(failure::describe("ReceiveMessage", &e)))?;
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            bodies.extend(messages.into_iter().filter_map(|message| message.body));
        }
        Ok(bodies)
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
