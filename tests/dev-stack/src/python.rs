//! Python environments under `target/`, made when first needed and again when their requirements change.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, iter};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, OrFailure, Result};
use crate::places::{Places, check_space, make_folder};
use crate::processes;

/// What a usable Python prints its version with. Leaves out those without the modules that make environments.
const PROBE: &str = "import ensurepip, sys, venv; assert sys.version_info >= (3, 10); print(sys.version)";

/// Newest first after the machine's own choice.
const CANDIDATES: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// What pip prints about an index that it does not reach, before it calls the packages missing.
const UNREACHABLE: [&str; 2] = ["connection broken by", "(from versions: none)"];

/// A Python environment of its own.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
    scripts: PathBuf,
}

impl Environment {
    /// The environment in `folder`, with everything that the file `requirements` beside this crate's scripts names.
    /// Installs into it what is missing, which needs the Python package index.
    ///
    /// # Errors
    /// When there is no Python 3.10 or newer, or the requirements cannot be installed.
    pub fn prepare(places: &Places, folder: PathBuf, requirements: &str) -> Result<Self> {
        let environment = Self { folder, scripts: places.scripts() };
        let list = environment.scripts.join(requirements);
        let wanted = fs::read_to_string(&list).or_failure(|| format!("cannot read {}", list.display()))?;
        let stamp = environment.folder.join("installed.txt");
        // The programs of an environment contain the path of its folder, so a copy does not work. Its Python can be
        // gone as well.
        let wanted = format!("# {}\n{wanted}", environment.folder.display());
        let is_whole = fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted);
        if is_whole && environment.program("python").exists() {
            return Ok(environment);
        }
        eprintln!("preparing Python packages ({requirements}) …");
        let python = find_python()?;
        if let Some(parent) = environment.folder.parent() {
            make_folder(parent)?;
        }
        let made =
            succeed("python -m venv", Command::new(python).args(["-m", "venv", "--clear"]).arg(&environment.folder));
        check_space(&environment.folder).and(made)?;
        let mut pip = environment.command("python");
        // Python compiles what it imports when it does. Compiling everything takes the processor from Cargo.
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "--retries", "2"]);
        pip.arg("--requirement");
        let installed = install(pip.arg(&list), requirements);
        check_space(&environment.folder).and(installed)?;
        fs::write(&stamp, wanted).or_failure(|| format!("cannot write {}", stamp.display()))?;
        Ok(environment)
    }

    /// A program of the environment.
    pub fn command(&self, program: &str) -> Command {
        Command::new(self.program(program))
    }

    /// Where a program of the environment is.
    pub fn program(&self, program: &str) -> PathBuf {
        self.folder.join("bin").join(program)
    }

    /// The PATH of this process with this environment's programs in front.
    pub fn first_on_path(&self) -> String {
        self.in_front_of(&env::var_os("PATH").unwrap_or_default())
    }

    /// A PATH with this environment's programs in front.
    pub fn in_front_of(&self, path: &OsStr) -> String {
        let programs = iter::once(self.folder.join("bin")).chain(env::split_paths(path));
        // Joining fails only for a folder with a colon in its name, which cannot be on the PATH anyway.
        env::join_paths(programs).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
    }

    /// Runs one of this crate's scripts with `request` as JSON, and reads its answer as JSON.
    ///
    /// # Errors
    /// The sentence that the script failed with.
    pub fn ask<T: DeserializeOwned>(&self, script: &str, request: &impl Serialize) -> Result<T> {
        ask(&self.program("python"), &self.script(script), request)
    }

    /// Where one of this crate's scripts is.
    pub fn script(&self, name: &str) -> PathBuf {
        self.scripts.join(name)
    }

    /// Where all of this crate's scripts are.
    pub fn scripts(&self) -> &Path {
        &self.scripts
    }
}

/// Runs the script at `script` with `request` as JSON, and reads its answer as JSON.
///
/// # Errors
/// The sentence that the script failed with.
pub fn ask<T: DeserializeOwned>(python: &Path, script: &Path, request: &impl Serialize) -> Result<T> {
    let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let input = serde_json::to_string(request).or_failure(|| format!("cannot ask {name}"))?;
    let output = processes::run_for_output(&name, Command::new(python).arg(script), &input)?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed silently");
        return Err(Failure::new(last.trim()));
    }
    serde_json::from_slice(&output.stdout).or_failure(|| format!("{name} gave no usable answer"))
}

fn find_python() -> Result<&'static str> {
    let usable = |name: &&str| {
        let probe = Command::new(name).args(["-c", PROBE]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    CANDIDATES.into_iter().find(usable).ok_or_else(|| {
        Failure::new("there is no Python 3.10 or newer with its venv module on the PATH (on Debian: python3-venv)")
    })
}

/// Runs pip. If the package index does not answer, the failure names the index, and not a package that does not exist.
fn install(pip: &mut Command, requirements: &str) -> Result<()> {
    let output = processes::run_for_output("pip install", pip, "")?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    if UNREACHABLE.iter().any(|sign| errors.contains(sign)) {
        return Err(Failure::new(format!(
            "cannot install {requirements}: the Python package index does not answer or lacks it; connect this machine to the \
             index, or name one that it reaches as PIP_INDEX_URL"
        )));
    }
    let reason = errors.lines().rev().find(|line| line.contains("ERROR")).unwrap_or("pip gives no reason");
    Err(Failure::new(format!("cannot install {requirements}: {}", reason.trim())))
}

/// Runs a command whose output only matters when it fails.
fn succeed(name: &str, command: &mut Command) -> Result<()> {
    let output = processes::run_for_output(name, command, "")?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let reason = errors.lines().find(|line| line.contains("ERROR") || line.contains("Error"));
    let reason = reason.or_else(|| errors.lines().next()).unwrap_or("it failed silently");
    Err(Failure::new(format!("{name} failed: {}", reason.trim())))
}
