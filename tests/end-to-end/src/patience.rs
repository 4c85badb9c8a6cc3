//! Waiting for what comes by itself, with an end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use dev_stack::failure::{Failure, Result};

/// How often is looked.
const POLL: Duration = Duration::from_millis(250);

/// Looks again and again until `look` finds something.
///
/// # Errors
/// When `look` fails, or found nothing for as long as `patience`; `what` then says what did not come.
pub fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("after {} s there was still no {what}", patience.as_secs())));
        }
        sleep(POLL);
    }
}
