//! Past the limits of 32 bits: large files and archives without as much data.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;

use archive::digests::Digests;
use archive::layout::{ArchiveLayout, CsvFile, Extent, LaidOut, StoredSegment};
use archive::parts::{UploadPart, plan};
use archive::reader::{ArchivedFile, files, verify};
use archive::segment::Deflater;
use domain::ids::RecordId;
use domain::ports::storage::ETag;
use domain::segment::SegmentSummary;
use futures_lite::future::block_on;
use futures_lite::io::{AssertAsync, BufReader, Cursor};

use crate::sample::time;
use crate::tools::{Scratch, find, run, script};

const GIB: u64 = 1024 * 1024 * 1024;

fn claimed(key: &str, plain_bytes: u64, packed_bytes: u64) -> StoredSegment {
    let summary = SegmentSummary {
        rows: 1,
        first_id: RecordId(1),
        last_id: RecordId(1),
        plain_bytes,
        packed_bytes,
        crc32: 0xDEAD_BEEF,
        sha256: "0".repeat(64),
    };
    StoredSegment { storage_key: key.to_owned(), etag: ETag("e".into()), summary }
}

fn csv(name: &str, segments: Vec<StoredSegment>) -> CsvFile {
    CsvFile { name: name.to_owned(), header_row: b"hs_object_id\r\n".to_vec(), segments }
}

/// An archive with a file above 4 GiB, in the middle of files whose places are below and above 4 GiB.
fn claimed_archive() -> (LaidOut, Vec<(String, u64)>) {
    let mut layout = ArchiveLayout::new(time("2026-11-22T03:00:00Z"));
    let mut sizes = Vec::new();
    for file in [
        csv("small.csv", vec![claimed("a", 100, 50)]),
        csv("large.csv", vec![claimed("b", 9 * GIB, 3 * GIB), claimed("c", 3 * GIB, 2 * GIB)]),
        csv("behind.csv", vec![claimed("d", 100, 50)]),
        csv("repetitive.csv", vec![claimed("e", 5 * GIB, 100)]),
        csv("last.csv", vec![claimed("f", GIB, GIB / 4)]),
    ] {
        let placed = layout.add_file(file).expect("a valid file");
        sizes.push((placed.name, placed.bytes));
    }
    (layout.finish(b"{}"), sizes)
}

/// The archive as a file with holes where the segments would be.
fn with_holes(laid_out: &LaidOut) -> Scratch {
    let scratch = Scratch::new("holes.zip");
    let mut file = File::create(scratch.path()).expect("the temporary folder can be written to");
    for extent in &laid_out.extents {
        match extent {
            Extent::Literal(bytes) => file.write_all(bytes).expect("written"),
            Extent::Object(_) => {
                let hole = i64::try_from(extent.bytes()).expect("a file's size");
                file.seek(SeekFrom::Current(hole)).expect("sought");
            }
        }
    }
    assert_eq!(file.metadata().expect("a file").len(), laid_out.bytes, "the layout knows its size");
    scratch
}

fn sizes(files: &[ArchivedFile]) -> Vec<(String, u64)> {
    let without_manifest = files.iter().filter(|file| file.name != "manifest.json");
    without_manifest.map(|file| (file.name.clone(), file.bytes)).collect()
}

#[test]
fn readers_find_files_above_and_behind_4_gib() {
    let (laid_out, expected) = claimed_archive();
    assert!(laid_out.bytes > 5 * GIB);
    let zip = with_holes(&laid_out);

    let source = BufReader::new(AssertAsync::new(File::open(zip.path()).expect("there")));
    assert_eq!(sizes(&block_on(files(source)).expect("a sound directory")), expected);

    if let Some(python) = find(&["python3"]) {
        // Opening a file reads its local header and compares it.
        let script = "import sys, zipfile\nzip = zipfile.ZipFile(sys.argv[1])\n\
            for file in zip.infolist(): zip.open(file).close(); print(file.filename, file.file_size)";
        let output = run(Command::new(python).args(["-c", script]).arg(zip.path()), b"");
        let mut lines: Vec<_> = expected.iter().map(|(name, size)| format!("{name} {size}")).collect();
        lines.push("manifest.json 2".to_owned());
        assert_eq!(String::from_utf8_lossy(&output).lines().collect::<Vec<_>>(), lines);
    }
    for (names, list) in [(&["7z", "7zz", "7za"][..], "l"), (&["unzip"], "-l")] {
        let Some(program) = find(names) else { continue };
        let output = run(Command::new(program).arg(list).arg(zip.path()), b"");
        let output = String::from_utf8_lossy(&output).into_owned();
        for (name, size) in &expected {
            let listed = output.lines().any(|line| line.contains(name) && line.contains(&size.to_string()));
            assert!(listed, "{name} with {size} bytes in {output}");
        }
        assert!(!output.contains("Warning") && !output.contains("Errors"), "{output}");
    }
}

#[test]
fn an_archive_above_4_gib_is_copied_almost_whole() {
    let (laid_out, _) = claimed_archive();
    let parts = plan(&laid_out.extents).expect("few parts");
    let copied: u64 = parts.iter().filter(|part| matches!(part, UploadPart::Copy(_))).map(UploadPart::bytes).sum();
    assert_eq!(parts.iter().map(UploadPart::bytes).sum::<u64>(), laid_out.bytes);
    assert!(laid_out.bytes - copied < 20 * 1024 * 1024, "{} bytes are not copied", laid_out.bytes - copied);
}

/// A file of more than 4 GiB in a few MiB, as very repetitive values make it: one segment many times.
fn repetitive_archive() -> (Vec<u8>, u64) {
    let plain = b"7,the same value again and again and again\r\n".repeat(1_000_000);
    let (crc32, sha256) = Digests::of(&plain);
    let mut packed = Vec::new();
    let mut deflater = Deflater::new();
    deflater.write(&plain, &mut packed);
    deflater.finish(&mut packed);
    let mut segment = claimed("same", plain.len() as u64, packed.len() as u64);
    segment.summary.crc32 = crc32;
    segment.summary.sha256 = sha256;

    let mut layout = ArchiveLayout::new(time("2026-11-22T03:00:00Z"));
    let placed = layout.add_file(csv("repetitive.csv", vec![segment; 100])).expect("a valid file");
    let storage = HashMap::from([("same".to_owned(), packed)]);
    let zip = layout.finish(b"{}").extents.into_iter().flat_map(|extent| match extent {
        Extent::Literal(bytes) => bytes.to_vec(),
        Extent::Object(source) => storage[&source.key].clone(),
    });
    (zip.collect(), placed.bytes)
}

#[test]
fn readers_inflate_a_file_above_4_gib() {
    let (zip, bytes) = repetitive_archive();
    assert!(bytes > 4 * GIB);
    let expected = [("repetitive.csv".to_owned(), bytes)];
    assert_eq!(sizes(&block_on(verify(Cursor::new(&zip))).expect("a sound archive")), expected);
    if let Some(python) = find(&["python3"]) {
        let stream = script("stream.py");
        let output = run(Command::new(python).arg(stream), &zip);
        assert!(String::from_utf8_lossy(&output).starts_with(&format!("repetitive.csv {bytes} ")));
    }
    if let Some(seven_zip) = find(&["7z", "7zz", "7za"]) {
        let scratch = Scratch::with("repetitive.zip", &zip);
        run(Command::new(seven_zip).arg("t").arg(scratch.path()), b"");
    }
}

#[test]
fn readers_find_more_files_than_16_bits_count() {
    const FILES: usize = 65_600;
    let mut layout = ArchiveLayout::new(time("2026-11-22T03:00:00Z"));
    for number in 0..FILES {
        layout.add_file(csv(&format!("{number}.csv"), vec![])).expect("a valid file");
    }
    let zip: Vec<u8> = layout
        .finish(b"{}")
        .extents
        .iter()
        .flat_map(|extent| match extent {
            Extent::Literal(bytes) => bytes.to_vec(),
            Extent::Object(_) => Vec::new(),
        })
        .collect();
    assert_eq!(block_on(files(Cursor::new(&zip))).expect("a sound directory").len(), FILES + 1);
    let scratch = Scratch::with("many.zip", &zip);
    if let Some(python) = find(&["python3"]) {
        let script = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).infolist()))";
        let output = run(Command::new(python).args(["-c", script]).arg(scratch.path()), b"");
        assert_eq!(String::from_utf8_lossy(&output).trim(), (FILES + 1).to_string());
    }
}
