//! A driver that feeds a parser with changed copies of real inputs, and saves inputs that fail.
//!
//! It needs no nightly compiler and no instrumented build. A *target* is a check that takes bytes and panics when the
//! parser breaks a rule. The driver takes the inputs in `corpus/<target>`, checks each unchanged, and then changes them
//! at random: bytes, words of the format, and members of JSON documents. The check returns how the parser understood an
//! input. An input with a new result is changed further. So inputs reach the deeper parts of a parser like with a
//! fuzzer that sees which lines run, though more slowly.
//!
//! | variable | meaning |
//! |---|---|
//! | `FUZZ_SECONDS` | processor time of each target, independent of other load; without it, 3,000 inputs |
//! | `FUZZ_SEED` | the seed of the random changes; without it, 0, or any number if `FUZZ_SECONDS` is set |
//! | `FUZZ_INPUTS` | how many inputs are tried, in any time |
//!
//! The same seed makes the same inputs in the same order. A failure prints the line that repeats it, and the smallest
//! input that still fails. Add this input to the corpus under a name that says what it broke.

mod bytes;
mod corpus;
pub mod document;
mod json;
mod limits;
mod shrink;

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::io::Write as _;
use std::time::Duration;

use fastrand::Rng;
use nix::time::ClockId;

use crate::limits::Watch;

/// The longest input, in bytes.
const LONGEST_INPUT: usize = 64 * 1024;
/// Inputs of a run without `FUZZ_SECONDS`.
const FEW_INPUTS: u64 = 3_000;
/// Inputs that are kept for further changes.
const MOST_KEPT: usize = 4_000;

/// The form of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Bytes,
    Json,
    /// A JSON document in each line.
    JsonLines,
}

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'t str,
    pub form: Form,
    /// Texts that mean something to the parser.
    pub words: &'t [&'t str],
    /// Bytes that the parser may allocate at once, plus a hundred for each byte of its input.
    pub memory: u64,
}

/// How long to run.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Inputs(u64),
    Time(Duration),
}

impl<'t> Target<'t> {
    /// A target whose parser may allocate 4 MiB.
    pub const fn new(name: &'t str, form: Form, words: &'t [&'t str]) -> Self {
        Self { name, form, words, memory: 4 << 20 }
    }

    /// Checks the corpus, and changed copies of it. `check` returns how the parser understood an input: the more
    /// results it distinguishes, the further the changes get.
    ///
    /// # Panics
    /// If `check` panics, or if it uses more memory or time than allowed. The message has the line that repeats it.
    pub fn fuzz<S: Hash>(&self, check: impl Fn(&[u8]) -> S) {
        let (bound, seed) = from_environment();
        // Not with `eprintln`: its output is lost when a stack overflow kills the process.
        let _ = writeln!(std::io::stderr(), "fuzz {}: FUZZ_SEED={seed}", self.name);
        let corpus = corpus::of(self.name);
        assert!(!corpus.is_empty(), "there is no corpus/{}", self.name);
        let watch = Watch::begin(self.name, seed);
        let mut run = Run {
            target: *self,
            seed,
            check: &check,
            watch,
            seen: HashSet::new(),
            kept: Vec::new(),
            given: 0,
            tried: 0,
        };
        for (name, input) in corpus {
            run.try_input(&name, input);
        }
        let began = processor_time();
        let mut rng = Rng::with_seed(seed);
        while !run.is_over(bound, began) {
            let input = run.changed(&mut rng);
            run.try_input("", input);
        }
        run.tell(began);
    }
}

struct Run<'t, 'c, C> {
    target: Target<'t>,
    seed: u64,
    check: &'c C,
    watch: Watch,
    seen: HashSet<u64>,
    /// Inputs to change, those of the corpus first.
    kept: Vec<Vec<u8>>,
    /// How many of them are from the corpus.
    given: usize,
    tried: u64,
}

impl<S: Hash, C: Fn(&[u8]) -> S> Run<'_, '_, C> {
    fn is_over(&self, bound: Bound, began: Duration) -> bool {
        match bound {
            Bound::Inputs(most) => self.tried >= most,
            // Reading the clock takes longer than some parsers.
            Bound::Time(most) => self.tried.is_multiple_of(16) && processor_time().saturating_sub(began) >= most,
        }
    }

    /// A changed copy of a kept input: half of the time one of the corpus, which come first, otherwise any.
    fn changed(&self, rng: &mut Rng) -> Vec<u8> {
        let pick = |rng: &mut Rng| {
            let among = if rng.bool() { self.given } else { self.kept.len() };
            self.kept.get(rng.usize(..among.max(1))).map_or(&[][..], Vec::as_slice)
        };
        let (input, other) = (pick(rng), pick(rng));
        let whole = match self.target.form {
            Form::Json if rng.u8(..8) > 1 => json::changed(input, other, self.target.words, rng),
            Form::JsonLines if rng.u8(..8) > 1 => json::changed_line(input, other, self.target.words, rng),
            _ => None,
        };
        let mut changed = whole.unwrap_or_else(|| bytes::changed(input, other, self.target.words, rng));
        changed.truncate(LONGEST_INPUT);
        changed
    }

    fn try_input(&mut self, name: &str, input: Vec<u8>) {
        match self.watch.checked(&input, self.target.memory, self.check) {
            Ok(seen) => {
                self.tried += u64::from(name.is_empty());
                let seen = BuildHasherDefault::<DefaultHasher>::default().hash_one(seen);
                let is_new = self.seen.insert(seen) && self.kept.len() < MOST_KEPT;
                if is_new || !name.is_empty() {
                    self.given += usize::from(!name.is_empty());
                    self.kept.push(input);
                }
            }
            Err(why) => self.fail(name, &input, &why),
        }
    }

    fn fail(&self, name: &str, input: &[u8], why: &str) -> ! {
        let fails = |input: &[u8]| self.watch.checked(input, self.target.memory, self.check).is_err();
        let small = shrink::smallest(input, fails);
        let place = corpus::keep(self.target.name, &small);
        let target = self.target.name;
        // Every crate is in a folder with its own name.
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        let package = folder.rsplit('/').next().unwrap_or_default();
        let repeat = if name.is_empty() {
            format!("FUZZ_SEED={} FUZZ_INPUTS={} cargo test -p {package} fuzz_{target}", self.seed, self.tried + 1)
        } else {
            format!("cargo test -p {package} fuzz_{target}, at corpus/{target}/{name}")
        };
        panic!(
            "{target}: {why}\nrepeat: {repeat}\nsmallest input ({} bytes, also in {place}):\n{}",
            small.len(),
            small.escape_ascii().to_string().chars().take(4_000).collect::<String>(),
        );
    }

    fn tell(&self, began: Duration) {
        let seconds = processor_time().saturating_sub(began).as_secs_f64().max(0.001);
        let tried = u32::try_from(self.tried).unwrap_or(u32::MAX);
        let rate = f64::from(tried) / seconds;
        let _ = writeln!(
            std::io::stderr(),
            "fuzz {}: {tried} inputs in {seconds:.1} s, {rate:.0} a second, {} different results",
            self.target.name,
            self.seen.len(),
        );
    }
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().map(Duration::from).expect("a clock of the thread")
}

fn from_environment() -> (Bound, u64) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} must be a whole number")))
    };
    let seconds = number("FUZZ_SECONDS");
    let seed = number("FUZZ_SEED").unwrap_or_else(|| seconds.map_or(0, |_| fastrand::u64(..) >> 32));
    let bound = match (number("FUZZ_INPUTS"), seconds) {
        (Some(inputs), _) => Bound::Inputs(inputs),
        (None, Some(seconds)) => Bound::Time(Duration::from_secs(seconds)),
        (None, None) => Bound::Inputs(FEW_INPUTS),
    };
    (bound, seed)
}

#[cfg(test)]
mod tests;
