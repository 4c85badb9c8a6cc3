//! Measures speed, size and memory on this machine against their targets: `cargo dev bench [FIGURES]`.
//!
//! Prints a table of every figure with its target and how it was measured, and writes the same to
//! `target/bench/results.json`. Build it as for AWS; `cargo dev bench` does.

mod assembly;
mod codec;
mod cold_start;
mod compression;
mod cost;
mod export;
mod figure;
mod function_use;
mod million;
mod opaque;
mod peers;
mod restore;
mod sample;
mod saturation;
mod small;
mod two_accounts;
mod wide;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use dev_stack::benchmarks::Benchmark;
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::processes::end_all_on_interrupt;

use crate::figure::Figure;

#[derive(Parser)]
#[command(name = "cargo dev bench", bin_name = "cargo dev bench")]
struct CommandLine {
    /// Names of figures; without names, all
    figures: Vec<Benchmark>,
}

fn take(benchmark: Benchmark, places: &Places) -> Result<Vec<Figure>> {
    match benchmark {
        Benchmark::Codec => codec::run(),
        Benchmark::ColdStart => cold_start::run(places),
        Benchmark::Saturation => saturation::run(places),
        Benchmark::Opaque => opaque::run(places),
        Benchmark::Compression => compression::run(),
        Benchmark::Assembly => assembly::run(places),
        Benchmark::Million => million::run(places),
        Benchmark::TwoAccounts => two_accounts::run(places),
        Benchmark::Small => small::run(places),
        Benchmark::Wide => wide::run(places),
        Benchmark::Peers => peers::run(places),
        Benchmark::Processor => peers::processor_time(places),
        Benchmark::Restore => restore::run(places),
        Benchmark::Cost => cost::run(places),
    }
}

fn main() -> ExitCode {
    match run(&CommandLine::parse().figures) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo dev bench: {}", failure.with_advice());
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[Benchmark]) -> Result<()> {
    end_all_on_interrupt()?;
    let places = Places::find()?;
    let wanted = if wanted.is_empty() { Benchmark::value_variants() } else { wanted };
    let (mut figures, mut failures) = (Vec::new(), Vec::new());
    for benchmark in wanted {
        match take(*benchmark, &places) {
            Ok(taken) => figures.extend(taken),
            Err(failure) => failures.push(failure),
        }
    }
    figure::print(&figures);
    println!("{}", figure::write(&places, &figures)?.display());
    let missed = figures.iter().filter(|figure| figure.is_missed()).count();
    match failures.into_iter().next() {
        Some(failure) => Err(failure),
        None if missed > 0 => Err(Failure::new(format!("{missed} of {} figures miss their targets", figures.len()))),
        None => Ok(()),
    }
}
