//! A clock for simulations: time passes when the simulation lets it.

use std::sync::Mutex;
use std::time::Duration;

use domain::ports::clock::Clock;
use in_memory::lock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// With tokio's paused clock: whoever waits for the CRM or for a slot lets others go on meanwhile, and nothing
    /// takes real time. Only where no real input or output is waited for.
    Simulated,
    /// With the real clock, for ledgers that are reached over the network. Long waits are skipped.
    Real,
}

/// The clock of a simulation that began at a given moment.
#[derive(Debug)]
pub struct SimulatedClock {
    pace: Pace,
    began: Timestamp,
    began_at: Instant,
    skipped: Mutex<SignedDuration>,
}

impl SimulatedClock {
    /// A clock that stands at `now` and goes on from there at `pace`.
    pub fn at(now: Timestamp, pace: Pace) -> Self {
        Self { pace, began: now, began_at: Instant::now(), skipped: Mutex::default() }
    }

    /// How time passes on it.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Returns when `duration` has passed on this clock.
    pub async fn pass(&self, duration: SignedDuration) {
        match self.pace {
            Pace::Simulated => tokio::time::sleep(Duration::try_from(duration).unwrap_or_default()).await,
            Pace::Real => *lock(&self.skipped) += duration.max(SignedDuration::ZERO),
        }
    }

    /// Moves the clock forward, or back. Waits take as long as before.
    pub fn jump(&self, by: SignedDuration) {
        *lock(&self.skipped) += by;
    }

    /// Returns at `moment`, at once if that is over.
    pub async fn pass_until(&self, moment: Timestamp) {
        self.pass(moment.duration_since(self.now())).await;
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began_at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.began + elapsed + *lock(&self.skipped)
    }
}
