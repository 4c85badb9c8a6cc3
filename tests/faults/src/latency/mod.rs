//! Ports that take their time, so that workers that run at once meet at different places every time.

mod ledger;
mod objects;

pub use objects::Storage;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use in_memory::lock;

use crate::Pace;

/// A call takes less than this number of milliseconds.
const MILLIS: u64 = 8;

/// A port behind a wire. With the real clock the wire has no length.
#[derive(Debug)]
pub struct Latent<T: ?Sized> {
    random: Mutex<fastrand::Rng>,
    millis: u64,
    port: Arc<T>,
}

impl<T: ?Sized> Latent<T> {
    /// `port` with delays that follow from `seed`.
    pub fn new(port: Arc<T>, pace: Pace, seed: u64) -> Self {
        let millis = if pace == Pace::Simulated { MILLIS } else { 0 };
        Self { random: Mutex::new(fastrand::Rng::with_seed(seed)), millis, port }
    }

    /// One call: on its way for a while, or its answer.
    async fn wire<R>(&self, call: impl Future<Output = R> + Send) -> R {
        if self.millis == 0 {
            return call.await;
        }
        let (millis, there) = {
            let mut random = lock(&self.random);
            (random.u64(..self.millis), random.bool())
        };
        let wire = tokio::time::sleep(Duration::from_millis(millis));
        if there {
            wire.await;
            call.await
        } else {
            let answer = call.await;
            wire.await;
            answer
        }
    }
}
