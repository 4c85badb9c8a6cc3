//! The machine's clock, which AWS keeps correct in its functions. To the millisecond, because people and other systems
//! read its times.

use domain::ports::clock::Clock;
use jiff::Timestamp;

/// The machine's time, to the millisecond.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
