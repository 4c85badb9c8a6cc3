//! Whole archives: damaged ones are refused, and no archive makes the reader use more memory than a file may need.

use archive::manifest::Manifest;
use archive::reader::{files, read_file, verify};
use flate2::Crc;
use futures_lite::future::block_on;
use futures_lite::io::Cursor;
use fuzz::{Form, Target};

/// The most bytes that are read of one file.
const MOST: u64 = 1 << 20;

#[test]
fn fuzz_zip() {
    let words = [
        "PK\x01\x02",
        "PK\x03\x04",
        "PK\x05\x06",
        "PK\x06\x06",
        "PK\x06\x07",
        "manifest.json",
        "\x01\0\x10\0",
        "\x01\0\x18\0",
        "../",
    ];
    let target = Target { memory: 16 << 20, ..Target::new("zip", Form::Bytes, &words) };
    target.fuzz(|input| {
        let listed = block_on(files(Cursor::new(input)));
        let verified = block_on(verify(Cursor::new(input)));
        let manifest = block_on(read_file(Cursor::new(input), "manifest.json", MOST));
        let Ok(verified) = verified else {
            return (listed.map_or(0, |files| files.len().min(8) + 1), 0);
        };
        assert!(listed.is_ok_and(|listed| listed == verified), "a sound archive lists other files");
        for file in verified.iter().filter(|file| file.bytes <= MOST) {
            let bytes = block_on(read_file(Cursor::new(input), &file.name, MOST)).expect("sound").expect("listed");
            // Of two files with one name, the first is read.
            let first = verified.iter().find(|other| other.name == file.name).expect("listed");
            let mut crc = Crc::new();
            crc.update(&bytes);
            assert_eq!((bytes.len() as u64, crc.sum()), (first.bytes, first.crc32), "{}", file.name);
        }
        let is_manifest = matches!(manifest, Ok(Some(json)) if Manifest::parse(&json).is_ok());
        (verified.len().min(8) + 16, usize::from(is_manifest))
    });
}
