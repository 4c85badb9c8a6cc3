//! A deployment that never ends: functions of another checkout and of this one take turns during a backup or a restore.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::emulator::Emulator;
use crate::failure::Result;
use crate::python::Environment;

/// The time between two exchanges. At an exchange the emulator ends the runs of a function. Their work goes on within
/// 90 s.
const EVERY: Duration = Duration::from_secs(100);

/// A function, and the SHA-256 of its code in each checkout.
#[derive(Debug)]
struct Exchanged {
    name: String,
    present: String,
    other: String,
}

/// Functions that take turns.
#[derive(Debug)]
pub struct Exchange {
    python: Environment,
    endpoint: String,
    functions: Vec<Exchanged>,
    /// How often they have been exchanged.
    turns: usize,
    /// None before the first exchange, which happens at once.
    last: Option<Instant>,
}

impl Exchange {
    /// The functions of `deployment` that the other checkout has too.
    pub fn of(deployment: &Deployment, emulator: &Emulator, python: Environment) -> Self {
        let functions = deployment.functions.iter().filter_map(|(binary, name)| {
            let (present, other) = (deployment.code.get(binary)?, deployment.others.get(binary)?);
            Some(Exchanged { name: name.clone(), present: present.clone(), other: other.clone() })
        });
        let functions = functions.collect();
        Self { python, endpoint: emulator.url().to_owned(), functions, turns: 0, last: None }
    }

    /// Exchanges the code of the functions when it is time. One half of the functions runs this checkout's code, and
    /// the other half runs the other checkout's code. The halves change with every exchange.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub fn take_turns(&mut self) -> Result<()> {
        if self.functions.is_empty() || self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return Ok(());
        }
        self.turns += 1;
        let code: BTreeMap<&str, &str> =
            self.functions.iter().enumerate().map(|(place, function)| code_of(place, function, self.turns)).collect();
        let _: Value = self.python.ask("exchange.py", &json!({ "endpoint": self.endpoint, "code": code }))?;
        self.last = Some(Instant::now());
        Ok(())
    }

    /// How often the functions were exchanged.
    pub fn turns(&self) -> usize {
        self.turns
    }
}

/// Every second turn divides the functions in another way, so that every two functions run together with any code.
fn code_of(place: usize, function: &Exchanged, turn: usize) -> (&str, &str) {
    let is_other = ((place >> (turn / 2 % 3)) + turn) % 2 == 1;
    (&function.name, if is_other { &function.other } else { &function.present })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_two_functions_run_together_with_any_codes() {
        let function = |name: usize| Exchanged {
            name: name.to_string(),
            present: "present".to_owned(),
            other: "other".to_owned(),
        };
        let functions: Vec<_> = (0..8).map(function).collect();
        let runs_other = |place: usize, turn: usize| code_of(place, &functions[place], turn).1 == "other";
        for (one, other) in (0..8).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let met = |pair: (bool, bool)| (0..6).any(|turn| (runs_other(one, turn), runs_other(other, turn)) == pair);
            assert!(met((true, false)) && met((false, true)), "{one} and {other}");
        }
    }
}
