//! The present time as a port, so that tests need not wait.

use jiff::Timestamp;

/// A source of the present time.
pub trait Clock: Send + Sync {
    /// The present time in UTC.
    fn now(&self) -> Timestamp;
}
