//! The machine's clock, which AWS keeps right in its functions. To the millisecond, since people and other systems read
//! what is made of it.

use domain::ports::clock::Clock;
use jiff::Timestamp;

/// Tells the machine's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
