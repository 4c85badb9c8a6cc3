//! The machine's clock, which AWS keeps right in its functions.

use domain::ports::clock::Clock;
use jiff::Timestamp;

/// Tells the machine's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
