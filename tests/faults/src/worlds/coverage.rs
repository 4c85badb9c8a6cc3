//! What worlds have met, counted in worlds, so that a kind of trouble that strikes in none is noticed.

use std::collections::BTreeMap;
use std::fmt;

/// How often something has happened, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// Counts `what` this number of times.
    pub fn add(&mut self, what: impl Into<String>, times: u64) {
        if times > 0 {
            *self.0.entry(what.into()).or_default() += times;
        }
    }

    /// Adds a world: each thing that happened in it counts once.
    pub fn add_world(&mut self, world: &Self) {
        for what in world.0.keys() {
            self.add(what.clone(), 1);
        }
    }

    /// Adds the worlds of another part.
    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what.clone(), *times);
        }
    }

    /// In how many worlds something has happened whose name begins so.
    pub fn of(&self, beginning: &str) -> u64 {
        self.0.iter().filter(|(what, _)| what.starts_with(beginning)).map(|(_, times)| times).sum()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>7}  {what}"))
    }
}
