//! Figures: the measured value, the target, and how the value was measured.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, thread};

use dev_stack::failure::{OrFailure, Result};
use dev_stack::places::{Places, make_folder};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

/// The target of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", amount(most, unit)),
            Self::AtLeast(least) => format!("≥ {}", amount(least, unit)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// The benchmark, a colon, and what was measured.
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    how: String,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, how: impl Into<String>) -> Self {
        Self { name: name.into(), value, unit, target: None, how: how.into() }
    }

    #[must_use]
    pub(crate) fn at_most(self, most: f64) -> Self {
        Self { target: Some(Target::AtMost(most)), ..self }
    }

    #[must_use]
    pub(crate) fn at_least(self, least: f64) -> Self {
        Self { target: Some(Target::AtLeast(least)), ..self }
    }

    pub(crate) fn is_missed(&self) -> bool {
        self.target.is_some_and(|target| !target.is_met_by(self.value))
    }
}

/// `value` with three or more digits.
fn amount(value: f64, unit: &str) -> String {
    let decimals = match value.abs() {
        large if large >= 100.0 || large.fract() == 0.0 => 0,
        middling if middling >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

pub(crate) fn print(figures: &[Figure]) {
    println!();
    println!("{:<48} {:>12} {:>18}       how it was taken", "figure", "target", "measured");
    for figure in figures {
        let Figure { name, value, unit, target, how } = figure;
        let target_text = target.map_or_else(|| "-".to_owned(), |target| target.text(unit));
        let verdict = match target {
            None => "",
            Some(_) if figure.is_missed() => "MISSED",
            Some(_) => "met",
        };
        println!("{name:<48} {target_text:>12} {:>18} {verdict:<6} {how}", amount(*value, unit));
    }
    println!();
}

/// Writes the figures to `target/bench/results.json`.
pub(crate) fn write(places: &Places, figures: &[Figure]) -> Result<PathBuf> {
    let folder = places.target().join("bench");
    make_folder(&folder)?;
    let file = folder.join("results.json");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let results = json!({ "takenAt": Timestamp::now(), "cores": cores, "figures": figures });
    let mut text = String::new();
    writeln!(text, "{results:#}").or_failure(|| "cannot write the results".to_owned())?;
    fs::write(&file, text).or_failure(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_past_its_target_is_missed() {
        let figure = |value| Figure::new("x", value, "%", "");
        assert!(!figure(2.0).is_missed());
        assert!(figure(2.1).at_most(2.0).is_missed());
        assert!(!figure(2.0).at_most(2.0).is_missed());
        assert!(figure(94.9).at_least(95.0).is_missed());
    }

    #[test]
    fn amounts_are_as_precise_as_people_need() {
        assert_eq!(amount(28_123.456, "records/s"), "28123 records/s");
        assert_eq!(amount(26.46, "%"), "26.5 %");
        assert_eq!(amount(1.3749, "×"), "1.37 ×");
        assert_eq!(amount(2.0, "%"), "2 %");
    }
}
