//! A dead-letter queue in memory.

use std::sync::Mutex;

use async_trait::async_trait;
use domain::ports::dead_letters::DeadLetters;
use domain::ports::queue::QueueError;
use domain::work::Work;

use crate::lock;

/// How many messages are looked at, as of a queue of SQS.
const SAMPLE: usize = 50;

/// Keeps the messages that a test sets aside.
#[derive(Debug, Default)]
pub struct MemoryDeadLetters(Mutex<Vec<String>>);

impl MemoryDeadLetters {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `work` aside.
    ///
    /// # Panics
    /// Never: work can be written as JSON.
    pub fn set_aside(&self, work: &Work) {
        self.set_aside_text(&serde_json::to_string(work).expect("work is JSON"));
    }

    /// Sets a message aside whose body is `body`, which may be no work.
    pub fn set_aside_text(&self, body: &str) {
        lock(&self.0).push(body.to_owned());
    }
}

#[async_trait]
impl DeadLetters for MemoryDeadLetters {
    async fn peek(&self) -> Result<Vec<Work>, QueueError> {
        let mut seen = Vec::new();
        for body in lock(&self.0).iter().take(SAMPLE) {
            if let Ok(work) = serde_json::from_str(body)
                && !seen.contains(&work)
            {
                seen.push(work);
            }
        }
        Ok(seen)
    }
}
