//! Retries a step when another run or request changed the ledger first.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use domain::ports::ledger::LedgerError;

/// How often a step is tried against others that change the same records.
const TRIES: u32 = 40;

/// The result of one try to load, decide and commit.
#[derive(Debug)]
pub enum Attempt<T> {
    Settled(T),
    /// Another commit was first; load again.
    Lost,
}

/// Turns the answer to a commit into an attempt.
///
/// # Errors
/// Every error but a conflict.
pub fn settle<T>(answer: Result<(), LedgerError>, value: T) -> Result<Attempt<T>, LedgerError> {
    match answer {
        Ok(()) => Ok(Attempt::Settled(value)),
        Err(LedgerError::Conflict) => Ok(Attempt::Lost),
        Err(error) => Err(error),
    }
}

thread_local! {
    /// The seed of the pauses on this thread, for a simulation that must repeat exactly.
    static PAUSES: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Derives all pauses on this thread from `seed`, so that a simulation repeats exactly.
pub fn repeat_pauses(seed: u64) {
    PAUSES.set(Some(seed));
}

/// Milliseconds added to a pause: the clock's low digits, so that runs that collided do not collide again.
fn spread() -> u64 {
    if let Some(state) = PAUSES.get() {
        let next = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        PAUSES.set(Some(next));
        return (next >> 33) % 20;
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |time| u64::from(time.subsec_micros() % 20))
}

/// Repeats `step` until it is settled, with a slightly longer pause each time.
///
/// # Errors
/// The step's own, and [`LedgerError::Conflict`] if other commits were first every time.
pub async fn retry<T, E, F>(mut step: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<Attempt<T>, E>>,
    E: From<LedgerError>,
{
    for attempt in 0..TRIES {
        if let Attempt::Settled(value) = step().await? {
            return Ok(value);
        }
        tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(10)) * 5 + spread())).await;
    }
    Err(LedgerError::Conflict.into())
}
