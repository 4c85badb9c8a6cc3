//! `cargo dev demo`: brings everything up, makes a backup, downloads it, checks it by its manifest, prints what is in
//! it. With `--restore` it goes on: damages the CRM's data, restores it, undoes that, and checks every value on the
//! way.

mod accident;
mod calls;
mod contacts;
mod restoring;
mod review;

use std::path::Path;
use std::time::{Duration, Instant};

use dev_stack::backups::{Backup, Backups};
use dev_stack::failure::{Failure, Result};
use dev_stack::places::Places;
use dev_stack::python::Environment;
use dev_stack::stack::{Running, Wishes};
use serde::Deserialize;
use serde_json::json;

use self::calls::Calls;
use crate::progress::Progress;

/// How long the backup may take; it should take less than a minute.
const PATIENCE: Duration = Duration::from_mins(5);

/// A medium account with all kinds of objects, one of them empty, whose CRM answers slowly.
const ACCOUNT: [&str; 6] = [
    "--records",
    "contacts=12000,companies=5000,deals=4500,tickets=3000,products=600,calls=2200,tasks=1500,conversations=500",
    "--custom-objects",
    "machine=800,rental_contract=400,site_inspection=0",
    "--latency-ms",
    "100",
];

/// A file of the archive that agrees with the manifest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckedFile {
    name: String,
    object_type: String,
    rows: u64,
    columns: u64,
    bytes: u64,
    verdict: String,
}

/// Runs the demo, up to the download or with a restore; with the functions of another checkout taking turns, if there
/// is one.
///
/// # Errors
/// When a step fails, or a value is not what it should be.
pub(crate) fn run(places: &Places, with_restore: bool, mixed_with: Option<&Path>) -> Result<()> {
    let mut running =
        Running::bring_up(places, Wishes { name: "demo", sandbox: &ACCOUNT, other: mixed_with, ..Wishes::default() })?;
    let stack = running.stack();
    let backups = Backups::of(stack.api().with_token(&stack.super_admin.id_token), &stack.account_id);
    let before = Calls::so_far(stack)?;
    let began = Instant::now();
    let backup_id = backups.create()?;
    let mut progress = Progress::new();
    let backup = backups.watch(&backup_id, PATIENCE, |backup| {
        progress.show(backup);
        running.check_running()
    })?;
    if backup.state != "completed" {
        let why =
            backup.failure.as_ref().and_then(|failure| failure["sentence"].as_str()).unwrap_or("it gives no reason");
        return Err(Failure::new(format!("the backup is {}: {why}", backup.state)));
    }
    let took = began.elapsed();
    let (stack, after) = (running.stack(), Calls::so_far(running.stack())?);
    let calls = calls::account_for(stack, &before, &after, took)?;
    let archive = places.target().join("demo").join(format!("{backup_id}.zip"));
    let size = backups.download(&backup_id, &archive)?;
    let python = Environment::prepare(places, places.dev().join("venv"), "requirements.txt")?;
    let files: Vec<CheckedFile> = python.ask("check_archive.py", &json!({ "archive": archive }))?;
    print_table(&backup, &files);
    let records: u64 = files.iter().map(|file| file.rows).sum();
    println!();
    println!("{records} records in {:.1} s, {size} bytes packed, every digest as in the manifest:", took.as_secs_f64());
    println!("{}", archive.display());
    println!("{calls}");
    if with_restore {
        restoring::run(&mut running, &python, &backup_id, &archive)?;
    }
    if mixed_with.is_some() {
        println!();
        println!("functions were exchanged {} times", running.turns());
    }
    Ok(())
}

fn print_table(backup: &Backup, files: &[CheckedFile]) {
    println!();
    println!("{:<28} {:>9} {:>8} {:>12}  {:<8} file", "object", "records", "columns", "bytes", "verdict");
    for object in &backup.objects {
        match files.iter().find(|file| file.object_type == object.object_type) {
            Some(CheckedFile { name, rows, columns, bytes, verdict, .. }) => {
                println!("{:<28} {rows:>9} {columns:>8} {bytes:>12}  {verdict:<8} {name}", object.object_type);
            }
            None => println!("{:<28} {:>9} {:>8} {:>12}  {:<8} none, it is empty", object.object_type, 0, "-", 0, "-"),
        }
    }
}
