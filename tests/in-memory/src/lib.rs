//! The ports in memory, for tests. They pass the same contract suites as the ports on AWS (`tests/contracts`) and are
//! as strict: what S3 or `DynamoDB` refuses, they refuse.
//!
//! [`faults`] puts failures, lost answers and dying workers between a workflow and any of its ports.

mod clock;
mod counting;
mod dead_letters;
mod event_bus;
pub mod faults;
mod ledger;
mod mailer;
mod queue;
mod storage;
mod tokens;
mod webhook_secrets;
mod webhooks;

pub use clock::ManualClock;
pub use counting::{CountingLedger, LedgerCalls};
pub use dead_letters::MemoryDeadLetters;
pub use event_bus::MemoryEventBus;
pub use ledger::MemoryLedger;
pub use mailer::MemoryMailer;
pub use queue::{MemoryQueue, Queued};
pub use storage::{Damage, MemoryStorage};
pub use tokens::MemoryTokens;
pub use webhook_secrets::MemoryWebhookSecrets;
pub use webhooks::{MemoryWebhooks, WebhookAttempt};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also after a panic: a test that panicked with the lock has failed already.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
