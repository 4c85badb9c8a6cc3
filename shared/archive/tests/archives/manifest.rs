//! The manifest says what is in the archive, no more and no less.

use archive::contents::lay_out;
use archive::digests::Digests;
use archive::layout::{LayoutError, MANIFEST_NAME};
use archive::manifest::{Manifest, ManifestError};
use archive::reader::read_file;
use domain::object::Counts;
use domain::property::Sensitivity;
use expect_test::expect_file;
use futures_lite::future::block_on;
use futures_lite::io::Cursor;
use serde_json::{Value, json};

use crate::sample::{Sample, Storage, Table, backup, export, naughty_table, time};

fn two_segments() -> Sample {
    let rows = [(7, "Anna"), (9, "Ünal"), (12, "a,b")].map(|(id, name)| (id, vec![name.to_owned(), String::new()]));
    let columns = vec!["firstname".to_owned(), "notes".to_owned()];
    Sample::of(&[Table { object: "contacts".into(), columns, rows: rows.to_vec(), rows_per_segment: 2 }])
}

fn in_the_zip(sample: &Sample) -> Vec<u8> {
    let read = block_on(read_file(Cursor::new(sample.zip()), MANIFEST_NAME, 1_000_000));
    read.expect("a sound archive").expect("a manifest")
}

fn digests(text: &str) -> Value {
    let (crc32, sha256) = Digests::of(text.as_bytes());
    json!({ "crc32": crc32, "sha256": sha256 })
}

/// `part` with the digests of `text`.
fn part_of(text: &str, mut part: Value) -> Value {
    for key in ["crc32", "sha256"] {
        part[key] = digests(text)[key].clone();
    }
    part
}

/// A6, C6: it also says what its readers must know of the values.
#[test]
fn a_manifest_has_the_documented_fields() {
    let sample = two_segments();
    let manifest: Value = serde_json::from_slice(&in_the_zip(&sample)).expect("JSON");
    let [header, first, second] = ["hs_object_id,firstname,notes\r\n", "7,Anna,\r\n9,Ünal,\r\n", "12,\"a,b\",\r\n"];
    let whole = [header, first, second].concat();
    let parts = [
        part_of(header, json!({ "offset": 0, "length": 30, "rows": 0, "firstId": null, "lastId": null })),
        part_of(first, json!({ "offset": 30, "length": 19, "rows": 2, "firstId": 7, "lastId": 9 })),
        part_of(second, json!({ "offset": 49, "length": 11, "rows": 1, "firstId": 12, "lastId": 12 })),
    ];
    let plain = json!("non_sensitive");
    let expected = json!({
        "backupId": backup().backup_id.as_str(),
        "accountId": "4711",
        "portalId": 4711,
        "createdAt": "2026-11-22T03:00:00Z",
        "completedAt": "2026-11-22T03:10:00Z",
        "apiVersion": "2026-09",
        "containsSensitiveData": true,
        "notIncluded": manifest["notIncluded"],
        "spreadsheets": manifest["spreadsheets"],
        "files": [{
            "name": "contacts.csv",
            "objectType": "contacts",
            "label": "contacts",
            "rows": 3,
            "bytes": 60,
            "crc32": digests(&whole)["crc32"],
            "columns": [
                { "name": "hs_object_id", "label": "Record ID", "type": "number", "sensitivity": plain },
                { "name": "firstname", "label": "FIRSTNAME", "type": "string", "sensitivity": plain },
                { "name": "notes", "label": "NOTES", "type": "string", "sensitivity": "sensitive" },
            ],
            "sha256Tree": manifest["files"][0]["sha256Tree"],
            "window": { "from": "2026-11-22T03:01:00Z", "to": "2026-11-22T03:01:00Z" },
            "crmTotal": 3,
            "verdict": "exact",
            "mendedValues": 0,
            "parts": parts,
        }],
        "withoutFile": [],
    });
    assert_eq!(manifest, expected);
    let notes = [&manifest["notIncluded"], &manifest["spreadsheets"]].map(|note| note.as_str().expect("text"));
    assert!(
        notes[0].contains("Archived") && notes[0].contains("associations") && notes[0].contains("activity history")
    );
    let dangers =
        ["formula", "1,048,576 rows", "16,384 columns", "32,767 characters", "15 digits", "U+FFFD", "as text"];
    assert!(dangers.iter().all(|danger| notes[1].contains(danger)), "{}", notes[1]);
}

/// The manifest as its readers see it. After a wanted change: `UPDATE_EXPECT=1 cargo test -p archive manifest`.
#[test]
fn a_manifest_reads_as_in_the_snapshot() {
    let text = String::from_utf8(in_the_zip(&two_segments())).expect("UTF-8");
    expect_file!["../snapshots/manifest.json"].assert_eq(&text);
}

#[test]
fn the_copy_in_storage_adds_the_places_and_nothing_else() {
    let sample = two_segments();
    let stored = Manifest::parse(&sample.contents.manifest.to_json()).expect("sound");
    assert_eq!(stored, sample.contents.manifest);
    let zipped = Manifest::parse(&in_the_zip(&sample)).expect("sound");
    assert!(zipped.files[0].parts.iter().all(|part| part.place.is_none()));
    assert_eq!(stored.without_places(), zipped);
    let json: Value = serde_json::from_slice(&sample.contents.manifest.to_json()).expect("JSON");
    let part = &json["files"][0]["parts"][1];
    assert!(part["archiveOffset"].is_u64() && part["packedLength"].is_u64(), "{part}");
}

#[test]
fn a_manifest_whose_parts_do_not_add_up_is_refused() {
    let sound = two_segments().contents.manifest;
    let wrong: [fn(&mut archive::manifest::File); 7] = [
        |file| file.rows += 1,
        |file| file.bytes += 1,
        |file| file.crc32 ^= 1,
        |file| file.sha256_tree = "0".repeat(64),
        |file| file.parts.swap(1, 2),
        |file| drop(file.parts.pop()),
        // A place that reaches past the last offset that there is.
        |file| file.parts[1].place.as_mut().expect("a place").archive_offset = u64::MAX,
    ];
    for change in wrong {
        let mut manifest = sound.clone();
        change(&mut manifest.files[0]);
        let refused = Manifest::parse(&manifest.to_json());
        assert_eq!(refused, Err(ManifestError::Inconsistent("contacts.csv".to_owned())));
    }
    for malformed in [&b"{}"[..], b"", b"[]", &sound.to_json()[1..]] {
        assert!(matches!(Manifest::parse(malformed), Err(ManifestError::NotRead(_))));
    }
}

#[test]
fn an_object_that_the_crm_does_not_count_is_called_uncounted() {
    let mut object = export(&naughty_table("conversations", 3, 3), &mut Storage::new());
    object.export.counts = Counts::default();
    object.export.verdict = Some(object.export.counts.verdict(3));
    let contents = lay_out(&backup(), vec![object], time("2026-11-22T03:10:00Z")).expect("a valid archive");
    let file: Value = serde_json::to_value(&contents.manifest.files[0]).expect("JSON");
    assert_eq!((&file["crmTotal"], &file["verdict"]), (&Value::Null, &json!("uncounted")));
}

#[test]
fn a_segment_that_is_missing_or_there_twice_is_noticed() {
    let table = naughty_table("contacts", 10, 5);
    let completed_at = time("2026-11-22T03:10:00Z");
    let mut missing = export(&table, &mut Storage::new());
    missing.segments.pop();
    let mut twice = export(&table, &mut Storage::new());
    twice.segments.push(twice.segments[0].clone());
    for (object, held) in [(missing, 5), (twice, 15)] {
        let object_type = object.export.definition.object_type.clone();
        let refused = lay_out(&backup(), vec![object], completed_at);
        assert_eq!(refused, Err(LayoutError::Rows { object: object_type, held, counted: 10 }));
    }
}

#[test]
fn a_backup_says_so_when_it_holds_sensitive_values_and_only_then() {
    let completed_at = time("2026-11-22T03:10:00Z");
    let mut object = export(&naughty_table("contacts", 3, 3), &mut Storage::new());
    let sensitive = lay_out(&backup(), vec![object.clone()], completed_at).expect("a valid archive");
    assert!(sensitive.manifest.contains_sensitive_data);
    for property in &mut object.columns.properties {
        property.sensitivity = Sensitivity::NonSensitive;
    }
    let plain = lay_out(&backup(), vec![object], completed_at).expect("a valid archive");
    assert!(!plain.manifest.contains_sensitive_data);
}
