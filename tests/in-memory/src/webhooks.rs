//! The receiver of webhooks in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use domain::ports::webhook::{WebhookError, WebhookMessage, WebhookRefused, Webhooks};
use jiff::Timestamp;

use crate::lock;

/// One attempt to deliver a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// Where it was sent.
    pub url: String,
    /// The message's id, the same in all attempts.
    pub id: String,
    /// When the attempt was made.
    pub at: Timestamp,
    /// The message as JSON.
    pub body: String,
    /// What the receiver answered.
    pub outcome: Result<(), WebhookError>,
}

/// Keeps messages instead of sending them. Answers with success, unless the test has set another answer.
#[derive(Debug, Default)]
pub struct MemoryWebhooks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    refused: HashMap<String, WebhookRefused>,
    answers: VecDeque<WebhookError>,
    attempts: Vec<WebhookAttempt>,
}

impl MemoryWebhooks {
    /// A receiver that takes everything at any URL.
    pub fn new() -> Self {
        Self::default()
    }

    /// A receiver that answers the first attempts with `errors`, one each, and takes everything afterwards.
    pub fn failing_first(errors: impl IntoIterator<Item = WebhookError>) -> Self {
        let answers = errors.into_iter().collect();
        Self(Mutex::new(State { answers, ..State::default() }))
    }

    /// Neither checks nor sends to `url` with success from now on. What is sent there reaches nobody: it uses none of
    /// the answers up.
    pub fn refuse(&self, url: &str, why: WebhookRefused) {
        lock(&self.0).refused.insert(url.to_owned(), why);
    }

    /// The attempts in order, without those that were refused before anything was sent.
    pub fn attempts(&self) -> Vec<WebhookAttempt> {
        lock(&self.0).attempts.clone()
    }
}

impl State {
    fn check(&self, url: &str) -> Result<(), WebhookRefused> {
        self.refused.get(url).map_or(Ok(()), |why| Err(*why))
    }
}

#[async_trait]
impl Webhooks for MemoryWebhooks {
    async fn check(&self, url: &str) -> Result<(), WebhookRefused> {
        lock(&self.0).check(url)
    }

    async fn send(&self, url: &str, message: WebhookMessage<'_>) -> Result<(), WebhookError> {
        let mut state = lock(&self.0);
        state.check(url)?;
        let outcome = state.answers.pop_front().map_or(Ok(()), Err);
        let (url, id, body) = (url.to_owned(), message.id.to_owned(), message.body.to_owned());
        state.attempts.push(WebhookAttempt { url, id, at: message.at, body, outcome: outcome.clone() });
        outcome
    }
}
