//! `cargo dev bench`: builds the benchmarks as for AWS, and becomes them.

use std::os::unix::process::CommandExt;
use std::process::Command;

use dev_stack::benchmarks::Benchmark;
use dev_stack::binaries::{self, BENCH, Profile};
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;

/// Runs the benchmarks in place of this process, so that a Ctrl-C reaches them and they end what they have started.
///
/// # Errors
/// When they cannot be built or started; otherwise this does not return.
pub(crate) fn run(places: &Places, figures: &[Benchmark]) -> Result<()> {
    eprintln!("building the functions and the benchmarks …");
    let executables = binaries::build(places, Profile::Release)?;
    let program = executables.get(BENCH).ok_or_else(|| Failure::new("the benchmarks were not built"))?;
    let error = Command::new(program).args(figures.iter().map(|figure| figure.name())).exec();
    Err(Failure::new(format!("cannot start the benchmarks: {error}")))
}
