//! A fault at every call of a run, one after the other.

use std::sync::Arc;

use super::{Fault, Faults};

/// Repeats a run with a fault at one call after the other. It fails when too few faults strike: a test whose ports are
/// not wrapped, or whose run ends before the calls in question, does not pass.
#[derive(Debug, Clone)]
#[must_use = "a sweep runs when it is awaited"]
pub struct Sweep {
    expected: u64,
    stride: u64,
    first: u64,
    last: Option<u64>,
    varies: bool,
}

impl Sweep {
    /// A sweep in which at least `faults` faults strike.
    ///
    /// # Panics
    /// With 0, which proves nothing.
    pub fn expecting(faults: u64) -> Self {
        assert!(faults > 0, "a sweep expects faults");
        Self { expected: faults, stride: 1, first: 1, last: None, varies: false }
    }

    /// Tries one call in `stride`.
    pub fn every(self, stride: u64) -> Self {
        Self { stride, ..self }
    }

    /// Leaves the first `calls` calls out, such as those that prepare a run.
    pub fn after(self, calls: u64) -> Self {
        Self { first: calls + 1, ..self }
    }

    /// Ends with this call. The test has counted the calls of a calm run itself.
    pub fn up_to(self, call: u64) -> Self {
        Self { last: Some(call), ..self }
    }

    /// Only the expected faults have to strike, as runs like this one do not always make the same number of calls.
    /// Without this, a fault at each call of the calm run has to strike.
    pub fn where_calls_vary(self) -> Self {
        Self { varies: true, ..self }
    }

    /// Tries `fault`: see [`of_scripts`](Self::of_scripts).
    ///
    /// # Panics
    /// When too few faults strike.
    pub async fn of(self, fault: Fault, run: impl AsyncFnMut(Arc<Faults>)) {
        self.of_scripts(|nth| Faults::at(nth, fault), run).await;
    }

    /// Runs once without faults to count the calls, unless [`up_to`](Self::up_to) gives their number. Then runs with
    /// `script(nth)` for each call. After the last call of the calm run it goes on for as long as faults strike. A
    /// script has struck when all of its faults have.
    ///
    /// # Panics
    /// When too few faults strike.
    pub async fn of_scripts(self, script: impl Fn(u64) -> Arc<Faults>, mut run: impl AsyncFnMut(Arc<Faults>)) {
        let calm = Faults::none();
        if self.last.is_none() {
            run(calm.clone()).await;
        }
        self.go(calm.calls(), async |nth| {
            let faults = script(nth);
            run(faults.clone()).await;
            (faults.last_call(), faults.struck().len() == faults.script.len())
        })
        .await;
    }

    /// Does `run` for each call [up to](Self::up_to) the last one. It makes a fault strike at that call by its own
    /// means, and returns whether the fault did.
    ///
    /// # Panics
    /// When too few faults strike.
    pub async fn at_calls(self, mut run: impl AsyncFnMut(u64) -> bool) {
        assert!(self.last.is_some(), "the last call is known");
        self.go(0, async |nth| (nth, run(nth).await)).await;
    }

    /// `calm` is how many calls a calm run makes. `attempt` returns the last call at which a fault was to strike, and
    /// whether all did.
    async fn go(&self, calm: u64, mut attempt: impl AsyncFnMut(u64) -> (u64, bool)) {
        let (mut due, mut struck) = (0, 0);
        let mut nth = self.first;
        while self.last.is_none_or(|last| nth <= last) {
            let (last_call, has_struck) = attempt(nth).await;
            let is_due = self.last.is_some() || last_call <= calm;
            due += u64::from(is_due);
            struck += u64::from(has_struck);
            if !is_due && !has_struck {
                break;
            }
            nth += self.stride;
        }
        assert!(self.varies || struck >= due, "{struck} faults struck of {due}");
        assert!(struck >= self.expected, "{struck} faults struck, {} are expected", self.expected);
    }
}
