//! `cargo dev planted`: puts faults into a copy of the sources, one at a time, and checks that the tests notice each.
//!
//! The faults are the files in `tests/dev-stack/planted`; [`fault`] describes their form. A whole run takes an hour or
//! two, so it is made by hand; every run of the tests checks that each fault still fits the sources.

mod copy;
mod fault;
mod trial;

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;

use self::copy::Copy;
use self::fault::{Fault, Tests};
use self::trial::{Trials, Verdict};
use crate::checks::{self, Services};

/// The number of worlds that are tried without a fault: they end within two minutes, also on a busy machine. With a
/// fault, all worlds are tried.
const CALM_WORLDS: &str = "300";

/// Plants the faults of these names, or all of them, and prints which test has noticed each.
///
/// # Errors
/// When a fault is not noticed or no longer fits the sources, and when the tests fail without a fault.
pub(crate) fn run(places: &Places, names: &[String]) -> Result<()> {
    let faults = chosen(fault::read_all(places)?, names)?;
    let copy = Copy::of(places)?;
    let needs_services = faults.iter().flat_map(|fault| &fault.tests).any(Tests::need_services);
    let services = if needs_services { checks::services(places) } else { Services::default() };
    let trials = Trials { copy: &copy, variables: services.environment() };
    check_calm(&trials, &faults)?;
    let mut unnoticed = Vec::new();
    for fault in &faults {
        let began = Instant::now();
        let verdict = copy.with(fault, || trials.of(fault))?;
        println!("{:<6} {:>4} s  {verdict}", fault.name, began.elapsed().as_secs());
        if !matches!(verdict, Verdict::Noticed { .. }) {
            println!("       {}", fault.sentence);
            unnoticed.push(fault.name.as_str());
        }
    }
    println!("{} of {} faults noticed", faults.len() - unnoticed.len(), faults.len());
    if unnoticed.is_empty() { Ok(()) } else { Err(Failure::new(format!("not noticed: {}", unnoticed.join(", ")))) }
}

/// The faults with these names; all faults if there are no names.
fn chosen(faults: Vec<Fault>, names: &[String]) -> Result<Vec<Fault>> {
    if let Some(unknown) = names.iter().find(|name| faults.iter().all(|fault| fault.name != **name)) {
        return Err(Failure::new(format!("there is no planted fault '{unknown}'")));
    }
    Ok(faults.into_iter().filter(|fault| names.is_empty() || names.contains(&fault.name)).collect())
}

/// Checks that the tests pass without a fault. Tests that fail anyway prove nothing.
fn check_calm(trials: &Trials<'_>, faults: &[Fault]) -> Result<()> {
    let tests: BTreeSet<&Tests> = faults.iter().flat_map(|fault| &fault.tests).collect();
    let mut variables = trials.variables.to_vec();
    variables.push(("WORLDS", CALM_WORLDS.to_owned()));
    let trials = Trials { copy: trials.copy, variables: &variables };
    for tests in tests {
        match trials.of_tests(tests)? {
            Verdict::NotNoticed => {}
            other => return Err(Failure::new(format!("without a fault, {tests}: {other}"))),
        }
    }
    println!("without a fault, all tests pass that must notice one");
    Ok(())
}

/// Reads a file of the checkout.
fn text_of(places: &Places, file: &str) -> Result<String> {
    let path = places.root().join(file);
    fs::read_to_string(&path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_fault_fits_the_sources() {
        let places = Places::find().expect("a checkout");
        let faults = fault::read_all(&places).expect("readable");
        assert!(faults.len() > 50, "{}", faults.len());
        let mut misfits = Vec::new();
        for fault in &faults {
            for change in &fault.changes {
                let planted = text_of(&places, &change.file).and_then(|text| change.planted_in(&text));
                misfits.extend(planted.err().map(|misfit| format!("{}: {misfit}", fault.name)));
            }
        }
        assert_eq!(misfits, [""; 0]);
    }
}
