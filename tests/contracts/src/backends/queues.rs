//! Queues.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws::{QueueUrls, SqsDeadLetters, SqsQueues};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use domain::work::Work;

use super::{Backend, connect, finally, random_name};

/// The receiving ends of the queues of one case.
#[derive(Debug)]
pub struct TestQueues {
    client: Client,
    /// The URL of discover-objects' queue.
    pub discover: String,
    /// The URL of export-chunk's queue.
    pub export: String,
    /// The URL of assemble-archive's queue.
    pub assemble: String,
    /// The URL of restore-chunk's queue.
    pub restore: String,
    /// The URL of deliver-notifications' queue.
    pub notify: String,
}

/// Creates a queue and returns its URL.
async fn create(client: &Client, kind: &str) -> String {
    let made = client.create_queue().queue_name(random_name(kind)).send().await.expect("queue made");
    made.queue_url.expect("a new queue has a URL")
}

impl TestQueues {
    async fn create(client: Client) -> Self {
        let (discover, export) = (create(&client, "discover").await, create(&client, "export").await);
        let (assemble, restore) = (create(&client, "assemble").await, create(&client, "restore").await);
        let notify = create(&client, "notify").await;
        Self { client, discover, export, assemble, restore, notify }
    }

    async fn remove(&self) {
        for url in [&self.discover, &self.export, &self.assemble, &self.restore, &self.notify] {
            self.client.delete_queue().queue_url(url).send().await.expect("queue removed");
        }
    }

    fn urls(&self) -> QueueUrls {
        QueueUrls {
            discover: Some(self.discover.clone()),
            export: Some(self.export.clone()),
            assemble: Some(self.assemble.clone()),
            restore: Some(self.restore.clone()),
            notify: Some(self.notify.clone()),
        }
    }

    /// The work that can be received now from the queue at `url`, in any order.
    ///
    /// # Panics
    /// If the queue does not answer, or a message is not work.
    pub async fn receive(&self, url: &str) -> Vec<Work> {
        let mut received = Vec::new();
        loop {
            let request = self.client.receive_message().queue_url(url).max_number_of_messages(10);
            let messages = request.send().await.expect("received").messages.unwrap_or_default();
            if messages.is_empty() {
                return received;
            }
            for message in messages {
                let body = message.body.expect("a message has a body");
                received.push(serde_json::from_str(&body).expect("a message is work as JSON"));
            }
        }
    }

    /// How many delayed messages the queue at `url` has.
    ///
    /// # Panics
    /// If the queue does not answer.
    pub async fn delayed(&self, url: &str) -> u32 {
        let name = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        let request = self.client.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let attributes = request.send().await.expect("attributes").attributes.unwrap_or_default();
        attributes.get(&name).and_then(|count| count.parse().ok()).expect("a count of delayed messages")
    }
}

/// Runs `case` with a queue for every function on `backend`. The queues are removed afterwards.
///
/// # Panics
/// If the case panics, or the queues cannot be created or removed.
pub async fn with_queues(backend: Backend, case: impl AsyncFnOnce(SqsQueues, &TestQueues)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let queues = TestQueues::create(Client::new(aws.sdk_config())).await;
    finally(Box::pin(case(aws.queues(queues.urls()), &queues)), Box::pin(queues.remove())).await;
}

/// The two dead-letter queues of one case.
#[derive(Debug)]
pub struct TestDeadLetters {
    client: Client,
    urls: [String; 2],
    sent: AtomicUsize,
}

impl TestDeadLetters {
    /// Puts a message with `body` into one of the queues, and the next one into the other.
    ///
    /// # Panics
    /// If the queue does not accept it.
    pub async fn set_aside(&self, body: &str) {
        let url = &self.urls[self.sent.fetch_add(1, Ordering::Relaxed) % self.urls.len()];
        self.client.send_message().queue_url(url).message_body(body).send().await.expect("sent");
    }

    async fn remove(&self) {
        for url in &self.urls {
            self.client.delete_queue().queue_url(url).send().await.expect("queue removed");
        }
    }
}

/// Runs `case` with two dead-letter queues on `backend`. The queues are removed afterwards.
///
/// # Panics
/// If the case panics, or the queues cannot be created or removed.
pub async fn with_dead_letters(backend: Backend, case: impl AsyncFnOnce(SqsDeadLetters, &TestDeadLetters)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let client = Client::new(aws.sdk_config());
    let urls = [create(&client, "dead-letters").await, create(&client, "dead-letters").await];
    let queues = TestDeadLetters { client, urls, sent: AtomicUsize::new(0) };
    let dead_letters = aws.dead_letters(queues.urls.to_vec());
    finally(Box::pin(case(dead_letters, &queues)), Box::pin(queues.remove())).await;
}
