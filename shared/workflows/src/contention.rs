//! Trying again when somebody else changed the ledger first.

use std::future::Future;
use std::time::Duration;

use domain::ports::ledger::LedgerError;

/// How often a step is tried against others that change the same records.
const TRIES: u32 = 40;

/// What one try of load, decide and commit came to.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It is decided.
    Settled(T),
    /// Somebody else was first; load again.
    Lost,
}

/// Turns the answer to a commit into an attempt.
///
/// # Errors
/// What is not a conflict.
pub fn settle<T>(answer: Result<(), LedgerError>, value: T) -> Result<Attempt<T>, LedgerError> {
    match answer {
        Ok(()) => Ok(Attempt::Settled(value)),
        Err(LedgerError::Conflict) => Ok(Attempt::Lost),
        Err(error) => Err(error),
    }
}

/// Repeats `step` until it is settled, pausing a little longer each time.
///
/// # Errors
/// The step's own, and [`LedgerError::Conflict`] when others were first every time.
pub async fn retry<T, E, F>(mut step: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<Attempt<T>, E>>,
    E: From<LedgerError>,
{
    for attempt in 0..TRIES {
        if let Attempt::Settled(value) = step().await? {
            return Ok(value);
        }
        // Spread out by the clock's low digits, so that runs that collided do not collide again.
        let spread = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| u64::from(time.subsec_micros() % 20));
        tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(10)) * 5 + spread)).await;
    }
    Err(LedgerError::Conflict.into())
}
