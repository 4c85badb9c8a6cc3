//! What people open archives and CSV files with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use csv::StringRecord;
use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::Places;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::journey::is_all_required;
use crate::truth;

/// Names under which 7-Zip is installed.
const SEVEN_ZIP: [&str; 3] = ["7zz", "7z", "7za"];

/// Unpacks `archive` into `folder` with Info-ZIP, after it has tested it. If the machine lacks it, prints that and
/// returns false.
///
/// # Errors
/// When it finds fault with the archive, or is missing where everything is required.
pub fn info_zip(archive: &Path, folder: &Path) -> Result<bool> {
    if !is_there("unzip", "-v") {
        return lacking("Info-ZIP");
    }
    run(Command::new("unzip").arg("-tq").arg(archive))?;
    run(Command::new("unzip").arg("-q").arg(archive).arg("-d").arg(folder))?;
    Ok(true)
}

/// Unpacks `archive` into `folder` with 7-Zip, after it has tested it. If the machine lacks it, prints that and returns
/// false.
///
/// # Errors
/// When it finds fault with the archive or warns, or is missing where everything is required.
pub fn seven_zip(archive: &Path, folder: &Path) -> Result<bool> {
    let Some(program) = SEVEN_ZIP.into_iter().find(|name| is_there(name, "i")) else { return lacking("7-Zip") };
    run(Command::new(program).arg("t").arg(archive))?;
    run(Command::new(program).arg("x").arg(format!("-o{}", folder.display())).arg(archive))?;
    Ok(true)
}

/// Unpacks `archive` into `folder` with Python's zipfile, after it has tested it.
///
/// # Errors
/// When it finds fault with the archive.
pub fn python_zipfile(archive: &Path, folder: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "zipfile", "-t"]).arg(archive))?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).args([archive, folder])).map(drop)
}

/// Runs the checker that docs/admin.md gives to people, and returns what it prints.
///
/// # Errors
/// When it finds fault with the archive.
pub fn documented_checker(archive: &Path) -> Result<String> {
    let guide = Places::find()?.root().join("docs/admin.md");
    let text = fs::read_to_string(guide).or_failure(|| "cannot read docs/admin.md".to_owned())?;
    let mut blocks = text.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let checker = blocks.find(|block| block.contains("manifest.json"));
    let checker = checker.ok_or_else(|| Failure::new("docs/admin.md has no checker"))?;
    let output = run(Command::new("python3").args(["-c", checker]).arg(archive))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The digest of a CSV file's cells by each of Python's csv, pandas and `DuckDB`, with the lines of docs/admin.md, as
/// `{reader: {version, digest}}`. If the machine lacks one of them, prints that and returns None.
///
/// # Errors
/// When one of them cannot read the file, or is missing where everything is required.
pub fn digests_by_python(csv: &Path) -> Result<Option<Value>> {
    let probe = Command::new("python3").args(["-c", "import duckdb, pandas"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return lacking("pandas or DuckDB").map(|_| None);
    }
    let places = Places::find()?;
    let script = places.root().join("shared/archive/tests/archives/read_csv.py");
    let readers = ["csv", "pandas", "slow pandas", "duckdb"];
    let request = json!({ "file": csv, "document": places.root().join("docs/admin.md"), "readers": readers });
    let output = run(Command::new("python3").arg(script).arg(request.to_string()))?;
    serde_json::from_slice(&output.stdout).map(Some).or_failure(|| "read_csv.py gave no usable answer".to_owned())
}

/// The digest of a CSV file's cells by Rust's csv, computed as `read_csv.py` does.
///
/// # Errors
/// When it is malformed.
pub fn digest(csv: &[u8]) -> Result<String> {
    let (header, rows) = truth::read(csv)?;
    let mut hash = Sha256::new();
    let mut add = |row: &StringRecord| {
        for cell in row {
            hash.update((cell.len() as u64).to_le_bytes());
            hash.update(cell);
        }
    };
    add(&header);
    rows.iter().for_each(add);
    Ok(hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

fn is_there(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok()
}

fn lacking(what: &str) -> Result<bool> {
    if is_all_required() {
        return Err(Failure::new(format!("there is no {what}, and REQUIRE_ALL=1")));
    }
    println!("left out: there is no {what}");
    Ok(false)
}

fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().or_failure(|| format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{program} ended with {}: {printed}", output.status)))
}
