//! A clock that stands until a test moves it.

use std::sync::Mutex;

use domain::ports::clock::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::lock;

/// Shows the time that the test has set.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock to `now`, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.0) = now;
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = lock(&self.0);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *lock(&self.0)
    }
}
