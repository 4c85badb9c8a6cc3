//! Compares the time to read a page with the time in which `serde_json` skips the same bytes.
//!
//! `cargo bench -p hubspot` prints microseconds for each record, in the best of several rounds. The candidates take
//! turns, so that a busy machine slows all of them alike. The page is like a page of contacts: 200 properties of which
//! 60 are set, about 8 kB for each record.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::rows::RowBuffer;
use hubspot::{Shape, read_page};
use serde::Deserialize;
use serde::de::IgnoredAny;

const RECORDS: usize = 100;
const PROPERTIES: usize = 200;
const SET: usize = 60;
const ROUNDS: usize = 400;

/// Names that are about as long as HubSpot's.
fn names() -> Vec<String> {
    const WORDS: [&str; 8] = ["analytics", "email", "first", "conversion", "lifecycle", "source", "recent", "owner"];
    let word = |place: usize| WORDS[place % WORDS.len()];
    (0..PROPERTIES).map(|place| format!("hs_{:03}_{}_{}_date", place, word(place), word(place * 5 + 3))).collect()
}

fn page(names: &[String], escapes: bool) -> String {
    let mut json = String::from(r#"{"results":["#);
    for record in 0..RECORDS {
        if record > 0 {
            json.push(',');
        }
        write!(json, r#"{{"id":"{}","properties":{{"#, 1_000_000 + record).expect("strings take everything");
        for (place, name) in names.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let value = match place * 7 % PROPERTIES {
                set if set >= SET => "null".to_owned(),
                set if set % 3 == 0 => format!("\"2026-03-{:02}T10:{:02}:00.000Z\"", record % 28 + 1, place % 60),
                set if set % 3 == 1 => format!("\"{}\"", record * 7_919 + place),
                set if escapes && set % 4 == 0 => format!(r#""Line {record}\nof \"text\" and caf\u00e9""#),
                _ => format!("\"Grüße aus Büro {record}, Straße {place}\""),
            };
            write!(json, r#"{comma}"{name}":{value}"#).expect("strings take everything");
        }
        json.push_str(
            r#"},"createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-02-01T00:00:00.000Z","archived":false}"#,
        );
    }
    json.push_str(r#"],"paging":{"next":{"after":"1000099","link":"https://api.example.com/x?after=1000099"}}}"#);
    json
}

fn main() {
    let names = names();
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut shuffled = columns.clone();
    shuffled.sort_by_key(|name| name.bytes().rev().collect::<Vec<_>>());
    for (title, escapes) in [("plain text", false), ("every 12th value with escapes", true)] {
        let document = page(&names, escapes);
        println!("{title}: {} bytes of JSON a record", document.len() / RECORDS);
        compare(document.as_bytes(), &columns, &shuffled);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn compare(document: &[u8], columns: &[&str], shuffled: &[&str]) {
    let mut rows = RowBuffer::new(columns.len());
    let mut read = |columns: &[&str]| {
        let next = read_page(black_box(document), Shape::Nested, columns, &mut rows).expect("a page");
        assert!(rows.len() == RECORDS && next.is_some());
    };
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let mut took = |place: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            best[place] = best[place].min(start.elapsed());
        };
        took(0, &mut || {
            let mut json = serde_json::Deserializer::from_slice(black_box(document));
            black_box(IgnoredAny::deserialize(&mut json).expect("JSON"));
        });
        took(1, &mut || read(columns));
        took(2, &mut || read(shuffled));
    }
    let labels = ["serde_json skipping it", "read into rows", "read into rows, columns unsorted"];
    for (label, took) in labels.iter().zip(best) {
        let micros = took.as_secs_f64() * 1e6 / RECORDS as f64;
        let megabytes = document.len() as f64 / took.as_secs_f64() / 1e6;
        let ratio = took.as_secs_f64() / best[0].as_secs_f64();
        println!("  {label:34} {micros:6.2} µs a record {megabytes:7.0} MB/s {ratio:5.2}×");
    }
}
