//! Every reader at hand gets back every value.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use archive::layout::MANIFEST_NAME;
use archive::parts::{is_one_write, plan};
use archive::reader::{ArchivedFile, files, read_file, verify};
use futures_lite::future::block_on;
use futures_lite::io::Cursor;
use proptest::prelude::*;

use crate::sample::{NAUGHTY, Sample, Table, naughty_table};
use crate::tools::{self, Scratch, find, run};

/// A small account: an object of many segments, one of a single record, one without columns, one without records.
fn account() -> Vec<Table> {
    let tags = Table {
        object: "p4711_Tags".into(),
        columns: vec![],
        rows: (1..=3).map(|id| (id, vec![])).collect(),
        rows_per_segment: 2,
    };
    let nothing =
        Table { object: "tickets".into(), columns: vec!["subject".into()], rows: vec![], rows_per_segment: 1 };
    vec![naughty_table("contacts", 500, 120), naughty_table("deals", 1, 1), nothing, tags]
}

/// What the files must say: header row and rows, by file name.
fn expected(tables: &[Table]) -> BTreeMap<String, Vec<Vec<String>>> {
    let rows_of = |table: &Table| {
        let header = std::iter::once("hs_object_id".to_owned()).chain(table.columns.iter().cloned()).collect();
        let rows = table
            .rows
            .iter()
            .map(|(id, values)| std::iter::once(id.to_string()).chain(values.iter().cloned()).collect::<Vec<_>>());
        std::iter::once(header).chain(rows).collect()
    };
    let with_rows = tables.iter().filter(|table| !table.rows.is_empty());
    with_rows.map(|table| (format!("{}.csv", table.object), rows_of(table))).collect()
}

fn read_csv(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    reader.records().map(|record| record.expect("CSV").iter().map(str::to_owned).collect()).collect()
}

fn async_zip_reads(zip: &[u8]) -> (Vec<ArchivedFile>, BTreeMap<String, Vec<Vec<String>>>) {
    block_on(async {
        let listed = verify(Cursor::new(zip)).await.expect("a sound archive");
        let mut tables = BTreeMap::new();
        for file in listed.iter().filter(|file| file.name != MANIFEST_NAME) {
            let bytes = read_file(Cursor::new(zip), &file.name, u64::MAX - 1).await.expect("a sound archive");
            tables.insert(file.name.clone(), read_csv(&bytes.expect("a listed file")));
        }
        (listed, tables)
    })
}

fn python(script: &str, argument: Option<&Path>, input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(find(&["python3"])?);
    command.arg(tools::script(script)).args(argument);
    Some(run(&mut command, input))
}

#[test]
fn async_zip_gets_back_every_value() {
    let tables = account();
    let sample = Sample::of(&tables);
    let zip = sample.zip();
    let (listed, read) = async_zip_reads(&zip);
    assert_eq!(read, expected(&tables));
    let names: Vec<_> = listed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["contacts.csv", "deals.csv", "p4711_Tags.csv", "manifest.json"]);
    for (listed, described) in listed.iter().zip(&sample.contents.manifest.files) {
        assert_eq!((listed.bytes, listed.crc32), (described.bytes, described.crc32), "{}", listed.name);
    }
}

#[test]
fn python_gets_back_every_value() {
    let tables = account();
    let zip = Scratch::with("account.zip", &Sample::of(&tables).zip());
    let Some(output) = python("read_back.py", Some(zip.path()), b"") else { return };
    let read: BTreeMap<String, Vec<Vec<String>>> = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(read, expected(&tables));
}

#[test]
fn a_reader_that_cannot_seek_gets_every_byte() {
    let sample = Sample::of(&account());
    let Some(output) = python("stream.py", None, &sample.zip()) else { return };
    let output = String::from_utf8(output).expect("UTF-8");
    let files = &sample.contents.manifest.files;
    let lines: Vec<_> = files.iter().map(|file| format!("{} {} {}", file.name, file.bytes, file.crc32)).collect();
    assert_eq!(output.lines().take(lines.len()).collect::<Vec<_>>(), lines);
    assert!(output.lines().last().is_some_and(|line| line.starts_with("manifest.json ")));
}

#[test]
fn anyone_can_check_an_archive_by_its_manifest() {
    let zip = Scratch::with("account.zip", &Sample::of(&account()).zip());
    let Some(output) = python("check_archive.py", Some(zip.path()), b"") else { return };
    let output = String::from_utf8(output).expect("UTF-8");
    assert!(output.contains("contacts.csv: 500 rows, exact (CRM: 500)"), "{output}");
}

#[test]
fn info_zip_accepts_an_archive() {
    let Some(unzip) = find(&["unzip"]) else { return };
    let zip = Scratch::with("account.zip", &Sample::of(&account()).zip());
    let output = String::from_utf8_lossy(&run(Command::new(unzip).arg("-t").arg(zip.path()), b"")).into_owned();
    assert!(output.contains("No errors detected"), "{output}");
}

#[test]
fn seven_zip_accepts_an_archive_without_a_warning() {
    let Some(seven_zip) = find(&["7z", "7zz", "7za"]) else { return };
    let zip = Scratch::with("account.zip", &Sample::of(&account()).zip());
    let output = String::from_utf8_lossy(&run(Command::new(seven_zip).arg("t").arg(zip.path()), b"")).into_owned();
    assert!(output.contains("Everything is Ok") && !output.contains("Warning"), "{output}");
}

#[test]
fn an_account_without_any_record_has_an_archive_with_the_manifest_alone() {
    let sample = Sample::of(&[]);
    let zip = sample.zip();
    assert!(is_one_write(sample.contents.bytes));
    assert_eq!(sample.joined(&plan(&sample.contents.extents).expect("a small archive")), zip);
    let listed = block_on(files(Cursor::new(&zip))).expect("a sound archive");
    assert_eq!(listed.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["manifest.json"]);
    let scratch = Scratch::with("empty.zip", &zip);
    assert_eq!(python("read_back.py", Some(scratch.path()), b"").as_deref().unwrap_or(b"{}"), b"{}");
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    let (one, other) = (Sample::of(&account()), Sample::of(&account()));
    assert_eq!(one.contents, other.contents);
    assert_eq!(plan(&one.contents.extents), plan(&other.contents.extents));
}

fn any_table() -> impl Strategy<Value = Table> {
    let value = prop_oneof![prop::sample::select(NAUGHTY).prop_map(str::to_owned), any::<String>()];
    (1_usize..5, 1_usize..20).prop_flat_map(move |(columns, rows_per_segment)| {
        let row = (any::<u64>(), prop::collection::vec(value.clone(), columns));
        prop::collection::vec(row, 1..40).prop_map(move |rows| Table {
            object: "contacts".into(),
            columns: (0..columns).map(|column| format!("column {column}")).collect(),
            rows,
            rows_per_segment,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_table_comes_back_however_it_was_cut(table in any_table()) {
        let tables = [table];
        let (_, read) = async_zip_reads(&Sample::of(&tables).zip());
        prop_assert_eq!(read, expected(&tables));
    }
}
