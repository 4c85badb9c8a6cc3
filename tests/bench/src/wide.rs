//! The memory of functions that read and write values of 64 kB in records of 1,000 properties: answers are far larger
//! than usual, and one page of the second object is too large for any answer.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use dev_stack::failure::{Failure, OrFailure, Result};
use dev_stack::places::{Places, make_folder};
use fastrand::Rng;

use crate::export;
use crate::figure::Figure;
use crate::function_use::FunctionUse;
use crate::restore::Account;
use crate::sample::number;

const PROPERTIES: usize = 1_000;
/// The most characters that HubSpot keeps in a text.
const LONGEST_VALUE: usize = 65_536;
/// An object's file, its records, and how many values of each have [`LONGEST_VALUE`] characters. A page of 100 contacts
/// has 26 MB, and one of tickets 79 MB.
const OBJECTS: [(&str, u64, usize); 2] = [("contacts.csv", 2_000, 4), ("tickets.csv", 300, 12)];
/// Other values of a record, of twenty characters each.
const SHORT_VALUES: usize = 60;
const PATIENCE: Duration = Duration::from_mins(10);

/// Takes the figures.
///
/// # Errors
/// When the backup does not complete, or does not hold every record.
pub(crate) fn run(places: &Places) -> Result<Vec<Figure>> {
    eprintln!("wide: 2,300 records of 1,000 properties with values of 64 kB, 800 MB in all, 300 ms …");
    let folder = places.target().join("bench/wide");
    make_folder(&folder)?;
    for (file, records, long) in OBJECTS {
        write_object(&folder.join(file), records, long).or_failure(|| format!("cannot write {file}"))?;
    }
    let folder = folder.to_string_lossy();
    let mut running = export::bring_up(places, &["--load", &folder, "--plan", "professional", "--latency-ms", "300"])?;
    let (stack, mut used) = (running.stack().clone(), FunctionUse::default());
    let completed = export::back_up("wide", &mut running, PATIENCE, || used.look(&stack))?;
    used.look(&stack)?;
    let records: u64 = completed.backup.objects.iter().map(|object| object.records).sum();
    let expected: u64 = OBJECTS.iter().map(|(_, records, _)| records).sum();
    if records != expected {
        return Err(Failure::new(format!("the backup holds {records} records instead of {expected}")));
    }
    let calls = export::call_report(&running)?["total"].as_u64().unwrap_or_default();
    let long = (0..OBJECTS[0].2).map(name).collect();
    let mut account = Account::of_properties(running, completed.backup.backup_id, long, PATIENCE)?;
    let changed = account.damage_every(4)?;
    let began = Instant::now();
    account.restore(changed)?;
    let restored = began.elapsed().as_secs_f64();
    used.add(&account.used);
    let mut figures = vec![
        Figure::new("wide: whole backup", completed.took.as_secs_f64(), "s", "request to archive"),
        Figure::new("wide: calls", number(calls), "calls", "of the backup, the sandbox's call report"),
        Figure::new("wide: restoring 500 contacts", restored, "s", "request to import, with the confirmation"),
    ];
    figures.extend(used.memory("wide"));
    Ok(figures)
}

fn name(property: usize) -> String {
    format!("a_property_of_the_account_{property:04}")
}

/// Writes a file of records whose values do not repeat, so that they are as large when they are packed.
fn write_object(path: &Path, records: u64, long: usize) -> std::io::Result<()> {
    let (mut file, mut random) = (BufWriter::new(File::create(path)?), Rng::with_seed(records));
    let names: Vec<_> = (0..PROPERTIES).map(name).collect();
    writeln!(file, "id,{}", names.join(","))?;
    for id in 1..=records {
        write!(file, "{id}")?;
        for column in 0..PROPERTIES {
            let length = match column {
                _ if column < long => LONGEST_VALUE,
                _ if column < long + SHORT_VALUES => 20,
                _ => 0,
            };
            let value: String = std::iter::repeat_with(|| random.lowercase()).take(length).collect();
            write!(file, ",{value}")?;
        }
        writeln!(file)?;
    }
    file.flush()
}
