//! The limits of one input.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any input takes on a busy machine. A parser whose time grows with the square of its input's length takes
/// longer for the longest inputs.
const LONGEST_CHECK: Duration = Duration::from_secs(10);
/// A check that takes longer counts as endless.
const ENDLESS: Duration = Duration::from_mins(1);
/// Bytes of memory for each byte of an input.
const MEMORY_PER_BYTE: u64 = 100;

thread_local! {
    /// Whether panics of this thread are expected.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Watches one target's checks.
pub(crate) struct Watch {
    /// When the present check began, and its input.
    present: Arc<Mutex<(Instant, Vec<u8>)>>,
}

impl Watch {
    /// Begins to watch. An endless check cannot be stopped, so the process ends then.
    pub(crate) fn begin(target: &str, seed: u64) -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if !QUIET.get() {
                    usual(panic);
                }
            }));
        });
        let present = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let (watched, target) = (Arc::downgrade(&present), target.to_owned());
        thread::spawn(move || end_the_endless(&watched, &target, seed));
        Self { present }
    }

    /// The result of `check` for `input`.
    ///
    /// # Errors
    /// Why it failed: the message of its panic, or the exceeded limit.
    pub(crate) fn checked<S>(&self, input: &[u8], memory: u64, check: &impl Fn(&[u8]) -> S) -> Result<S, String> {
        self.note(input);
        let began = Instant::now();
        let mut result = None;
        QUIET.set(true);
        let used = allocation_counter::measure(|| result = Some(catch_unwind(AssertUnwindSafe(|| check(input)))));
        QUIET.set(false);
        let took = began.elapsed();
        let result = result.unwrap_or_else(|| Err(Box::new("the check did not run")));
        let seen = result.map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
        })?;
        let most = memory + MEMORY_PER_BYTE * input.len() as u64;
        if used.bytes_max > most {
            return Err(format!("it took {} bytes of memory at once, and {most} are allowed", used.bytes_max));
        }
        if took > LONGEST_CHECK {
            return Err(format!("it took {:.1} s", took.as_secs_f64()));
        }
        Ok(seen)
    }

    fn note(&self, input: &[u8]) {
        let mut present = self.present.lock().expect("not poisoned");
        present.0 = Instant::now();
        present.1.clear();
        present.1.extend_from_slice(input);
    }
}

fn end_the_endless(watched: &Weak<Mutex<(Instant, Vec<u8>)>>, target: &str, seed: u64) {
    while let Some(present) = watched.upgrade() {
        {
            let present = present.lock().expect("not poisoned");
            if present.0.elapsed() > ENDLESS {
                let place = crate::corpus::keep(target, &present.1);
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("fuzz {target}: an input takes for ever; it is in {place}; FUZZ_SEED={seed}\n").as_bytes(),
                );
                std::process::abort();
            }
        }
        drop(present);
        thread::sleep(Duration::from_millis(500));
    }
}
