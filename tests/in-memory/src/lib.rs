//! The ports in memory, for tests. They pass the same contract suites as the ports on AWS (`tests/contracts`) and are
//! as strict: what S3 or `DynamoDB` refuses, they refuse.
//!
//! [`faults`] puts failures, lost answers and dying workers between a workflow and any of its ports.

mod clock;
pub mod faults;
mod ledger;
mod objects;
mod queue;
mod tokens;

pub use clock::ManualClock;
pub use ledger::MemoryLedger;
pub use objects::MemoryObjects;
pub use queue::{MemoryQueue, Queued};
pub use tokens::MemoryTokens;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. A test that panicked while it held the lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
