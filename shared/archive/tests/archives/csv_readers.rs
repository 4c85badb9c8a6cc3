//! The programs with which people read CSV files return every value, with the very lines of `docs/admin.md`: in the
//! lowest versions that it names, and in newer ones.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::reader::read_file;
use futures_lite::future::block_on;
use futures_lite::io::Cursor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::sample::{NAUGHTY, Sample, Table};
use crate::tools::{Scratch, admin_guide, find, run, script};

/// Names the Pythons that have pandas and `DuckDB`, as on a PATH.
const READERS_PYTHONS: &str = "READERS_PYTHONS";

/// The version of pandas from which on the quick line of `docs/admin.md` is right.
const QUICK_PANDAS: (u32, u32) = (3, 1);

/// What readers of CSV stumble over, beside what archives do.
const HOSTILE: &[&str] = &[
    "\0",
    "a\0b",
    "\0\"",
    "\u{1a}",
    "'",
    "''",
    "it's",
    "'a,b'",
    "'\"'",
    "a;b",
    "a|b",
    "\"; drop",
    "\u{1c}",
    "\u{fffd}",
    "nan",
    "NA",
    "2026-01-01",
    "# hash",
    "\"\"\"\"",
];

fn plain_rows(count: u64) -> Vec<(u64, Vec<String>)> {
    (1..=count).map(|id| (id, vec![format!("plain {id}"), "y".to_owned(), String::new()])).collect()
}

/// A row for each of what is hard to read, from the id `first` on.
fn hard_rows(first: u64) -> impl Iterator<Item = (u64, Vec<String>)> {
    let values = NAUGHTY.iter().chain(HOSTILE).map(|value| (*value).to_owned());
    let long = ["\"".repeat(100_000), "a, \"b\"\r\n".repeat(60_000), "x".repeat(3_000_000)];
    values.chain(long).zip(first..).map(|(value, id)| (id, vec![value.clone(), String::new(), value]))
}

fn table(rows: Vec<(u64, Vec<String>)>) -> Table {
    let columns = ["firstname", "odd, \"name\"", "it's\r\n"].map(str::to_owned).to_vec();
    Table { object: "contacts".into(), columns, rows, rows_per_segment: 20_000 }
}

/// Files that make a reader that guesses guess wrong.
fn files() -> Vec<(&'static str, Table)> {
    let in_quotes = |id| (id, vec![format!("'v{id}'"), "'a,b'".to_owned(), "x".to_owned()]);
    let wide_row = |id| (id, vec!["w".repeat(900_000), "\"".repeat(700_000), "1,2;3\n".repeat(100_000)]);
    vec![
        (
            "the first quotes come after 25,000 plain rows",
            table([plain_rows(25_000), hard_rows(25_001).collect()].concat()),
        ),
        ("all that is hard comes first", table(hard_rows(1).chain(plain_rows(9_000).into_iter().skip(100)).collect())),
        ("values stand in single quotes", table((1..=300).map(in_quotes).chain(hard_rows(301)).collect())),
        ("every row is longer than 2 MB", table((1..=8).map(wide_row).collect())),
        ("there is one row", table(vec![(1, vec![String::new(); 3])])),
        (
            "there is one column",
            Table { columns: vec![], rows: (1..=9).map(|id| (id, vec![])).collect(), ..table(vec![]) },
        ),
    ]
}

fn digest(table: &Table) -> String {
    let mut hash = Sha256::new();
    let mut add = |cell: &str| {
        hash.update((cell.len() as u64).to_le_bytes());
        hash.update(cell);
    };
    ["hs_object_id"].into_iter().chain(table.columns.iter().map(String::as_str)).for_each(&mut add);
    for (id, values) in &table.rows {
        add(&id.to_string());
        for value in values {
            add(value);
        }
    }
    hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn csv_file(table: &Table) -> Scratch {
    let zip = Sample::of(std::slice::from_ref(table)).zip();
    let csv = block_on(read_file(Cursor::new(&zip), "contacts.csv", u64::MAX - 1)).expect("a sound archive");
    Scratch::with("it's contacts.csv", &csv.expect("a listed file"))
}

/// What `readers` saw of a file.
fn seen(python: &Path, readers: &[&str], file: &Scratch) -> Value {
    let request = json!({ "file": file.path(), "document": admin_guide(), "readers": readers });
    let mut command = Command::new(python);
    command.arg(script("read_csv.py")).arg(request.to_string());
    serde_json::from_slice(&run(&mut command, b"")).expect("JSON")
}

/// The version of pandas that a Python has. None where it lacks pandas or `DuckDB`, or is older than the lines need.
fn pandas_of(python: &Path) -> Option<(u32, u32)> {
    let probe =
        "import duckdb, pandas, sys; assert sys.version_info >= (3, 11); print(*pandas.__version__.split('.')[:2])";
    let output = Command::new(python).args(["-c", probe]).output().ok()?;
    let versions = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = versions.trim().split_once(' ')?;
    output.status.success().then_some((major.parse().ok()?, minor.parse().ok()?))
}

/// The Pythons to read with, and the pandas of each. Says so when there is none; with `REQUIRE_ALL=1` that is a failure.
fn pythons() -> Vec<(PathBuf, (u32, u32))> {
    let named = env::var_os(READERS_PYTHONS);
    let pythons: Vec<_> = match &named {
        Some(paths) => env::split_paths(paths).collect(),
        None => find(&["python3"]).into_iter().collect(),
    };
    let with_pandas: Vec<_> = pythons.iter().filter_map(|python| Some((python.clone(), pandas_of(python)?))).collect();
    if with_pandas.len() < pythons.len() || named.is_none() {
        assert!(env::var("REQUIRE_ALL").as_deref() != Ok("1"), "pandas and DuckDB are required ({READERS_PYTHONS})");
        println!("left out: not every Python has pandas and DuckDB ({READERS_PYTHONS})");
    }
    with_pandas
}

/// A4, A5: a dialect that is named in full is not guessed, and no reader cuts, doubles or loses anything.
#[test]
fn the_lines_of_the_admin_guide_get_back_every_value() {
    let pythons = pythons();
    for (what, table) in files() {
        let (file, expected) = (csv_file(&table), digest(&table));
        for (python, pandas) in &pythons {
            let quick: &[&str] = if *pandas >= QUICK_PANDAS { &["pandas"] } else { &[] };
            let seen = seen(python, &[&["csv", "slow pandas", "duckdb"], quick].concat(), &file);
            for (reader, saw) in seen.as_object().into_iter().flatten() {
                assert_eq!(saw["digest"], json!(expected), "{reader} {}: {what}", saw["version"]);
            }
        }
    }
}

/// A5: what `docs/admin.md` warns of is true, so the versions that it names are the right ones.
#[test]
fn an_older_pandas_alters_values_by_the_line_for_the_newer_one() {
    let table = table(vec![(1, ["a\0b", "", ""].map(str::to_owned).to_vec())]);
    let file = csv_file(&table);
    for (python, _) in pythons().iter().filter(|(_, pandas)| *pandas < QUICK_PANDAS) {
        assert_ne!(seen(python, &["pandas"], &file)["pandas"]["digest"], json!(digest(&table)));
    }
}

/// C7: whoever reads a report by program can take the apostrophes off again.
#[test]
fn the_line_of_the_admin_guide_gives_back_what_a_report_has_defused() {
    let Some(python) = find(&["python3"]) else { return };
    let mut cells = vec![
        "=1",
        "'=1",
        "''=1",
        ";=1",
        "a;'=1;\"@x",
        "-5.2",
        "'-5.2",
        "a;-5.2",
        "\tx",
        "'\tx",
        "\t=1",
        "\r\n+1",
        "it's",
    ];
    cells.extend(NAUGHTY);
    cells.extend(["'", "a;'b", "'a", "＝1", ";' ＝1", "a\n' \"-1"]);
    let mut report = Vec::new();
    archive::report::write_line(cells.iter().copied(), &mut report);
    let read: Vec<String> =
        serde_json::from_slice(&run(Command::new(python).arg(script("read_report.py")).arg(admin_guide()), &report))
            .expect("JSON");
    assert_eq!(read, cells);
}
