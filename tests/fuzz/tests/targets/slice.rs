//! Slices of a zip: the inflated bytes are those that the manifest states, and no more.

use std::fmt::Write as _;

use archive::manifest::Part;
use archive::reader::{SliceError, SliceReader, inflate_slice};
use flate2::{Crc, Decompress, FlushDecompress};
use fuzz::{Form, Target};
use sha2::{Digest, Sha256};

/// The most plain bytes that are checked.
const MOST: usize = 1 << 20;
/// The reader inflates this many bytes at once.
const STEP: usize = 64 * 1024;

#[test]
fn fuzz_slice() {
    let words = ["\x03\0", "\0\0\0\u{7f}\u{7f}", "\0\0", "hs_object_id"];
    // The check itself has several copies of the inflated bytes.
    let target = Target { memory: 16 << 20, ..Target::new("slice", Form::Bytes, &words) };
    target.fuzz(|input| {
        // Only a reader that reads too much would notice further bytes.
        let short = part_of(&[b'x'; 100]);
        let mut plain = Vec::new();
        let read = SliceReader::new(&short).read(input, &mut plain);
        assert!(plain.len() <= 100 + 2 * STEP, "{} bytes are inflated of 100", plain.len());
        let Some(expected) = inflated(input) else {
            return (usize::MAX, read.is_ok());
        };
        let part = part_of(&expected);
        let whole = inflate_slice(input, &part);
        assert!(whole.as_ref().is_ok_and(|plain| *plain == expected), "a sound slice was refused");
        assert!(in_pieces(input, &part, 3) == whole, "pieces are read otherwise than all at once");
        let other = |change: fn(&mut Part)| {
            let mut other = part.clone();
            change(&mut other);
            inflate_slice(input, &other).err()
        };
        assert_eq!(other(|part| part.crc32 ^= 1), Some(SliceError::Crc32));
        assert_eq!(other(|part| part.sha256 = "0".repeat(64)), Some(SliceError::Sha256));
        assert!(matches!(other(|part| part.length += 1), Some(SliceError::Length { .. })));
        (expected.len().min(1_000) / 10, read.is_ok())
    });
}

fn in_pieces(packed: &[u8], part: &Part, piece: usize) -> Result<Vec<u8>, SliceError> {
    let (mut reader, mut plain) = (SliceReader::new(part), Vec::new());
    for piece in packed.chunks(piece) {
        reader.read(piece, &mut plain)?;
    }
    reader.finish()?;
    Ok(plain)
}

fn part_of(plain: &[u8]) -> Part {
    let mut crc = Crc::new();
    crc.update(plain);
    let mut sha256 = String::new();
    for byte in Sha256::digest(plain) {
        write!(sha256, "{byte:02x}").expect("strings take everything");
    }
    let length = plain.len() as u64;
    Part { offset: 0, length, rows: 1, first_id: None, last_id: None, crc32: crc.sum(), sha256, place: None }
}

/// All bytes, inflated at once. None if they are not a range of a DEFLATE stream without its end, or inflate to more
/// than [`MOST`].
fn inflated(packed: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut inflate) = (Vec::with_capacity(MOST), Decompress::new(false));
    let status = inflate.decompress_vec(packed, &mut plain, FlushDecompress::None);
    let all = inflate.total_in() == packed.len() as u64 && plain.len() < MOST;
    match status {
        Ok(flate2::Status::Ok | flate2::Status::BufError) if all => Some(plain),
        _ => None,
    }
}
