//! How long a function takes from its start to its first response, and how large the functions are.
//!
//! The Lambda Runtime API is a few lines here, so that nothing is measured but the function.

mod runtime_api;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dev_stack::binaries::{self, Executables, Profile};
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::{Places, make_folder};
use dev_stack::processes::Group;

use self::runtime_api::RuntimeApi;
use crate::figure::Figure;
use crate::sample::{median, number};

/// Starts of each function.
const STARTS: usize = 21;
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes the figures.
///
/// # Errors
/// When a function does not build, start or answer.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("cold start: building the functions …");
    let mut functions = binaries::build(places, Profile::Release)?;
    let names = binaries::functions(places)?;
    functions.retain(|name, _| names.contains(name));
    let sizes = sizes(&functions)?;
    let folder = places.target().join("bench");
    make_folder(&folder)?;
    let mut figures = Vec::new();
    let ends = [("smallest", sizes.first()), ("largest", sizes.last())];
    for (which, function) in ends {
        let (name, _) = function.ok_or_else(|| Failure::new("there are no functions"))?;
        eprintln!("cold start: {STARTS} starts of {name} …");
        let executable = functions.get(name).ok_or_else(|| Failure::new(format!("{name} was not built")))?;
        let (mut initialised, mut answered) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let start = start(executable, &folder.join("cold-start.log"))?;
            initialised.push(start.0.as_secs_f64() * 1e3);
            answered.push(start.1.as_secs_f64() * 1e3);
        }
        let how = format!("median of {STARTS} starts against a Runtime API in the benchmark");
        figures.push(Figure::new(format!("cold start: {name} ({which})"), median(answered), "ms", how.clone()));
        figures.push(Figure::new(format!("cold start: of which init of {name}"), median(initialised), "ms", how));
    }
    figures.extend(sizes.iter().map(|(name, bytes)| {
        let mebibytes = number(*bytes) / f64::from(1 << 20);
        Figure::new(format!("size: {name}"), mebibytes, "MiB", "release executable, stripped")
    }));
    Ok(figures)
}

/// Names and sizes, smallest first.
fn sizes(functions: &Executables) -> Result<Vec<(String, u64)>> {
    let size = |(name, path): (&String, &std::path::PathBuf)| {
        let metadata = fs::metadata(path).or_failure(|| format!("cannot read {}", path.display()))?;
        Ok((name.clone(), metadata.len()))
    };
    let mut sizes = functions.iter().map(size).collect::<Result<Vec<_>>>()?;
    sizes.sort_by_key(|(_, bytes)| *bytes);
    Ok(sizes)
}

/// Times until the function asks for its first event, and until it has answered it.
fn start(executable: &Path, log: &Path) -> Result<(Duration, Duration)> {
    let api = RuntimeApi::start()?;
    let mut command = Command::new(executable);
    command.env_clear();
    command.envs(runtime_api::environment(&api));
    let function = Group::start("the function", &mut command, log)?;
    let times = api.first_response(PATIENCE);
    drop(function);
    times
}
