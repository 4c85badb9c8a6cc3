//! What happens to an archive on its way is noticed: no reader's check passes with other contents.

use archive::manifest::Part;
use archive::reader::{ReadError, SliceError, SliceReader, files, inflate_slice, read_file, verify};
use futures_lite::future::block_on;
use futures_lite::io::Cursor;
use proptest::prelude::*;

use crate::sample::{Sample, naughty_table};

fn sample() -> Sample {
    Sample::of(&[naughty_table("contacts", 60, 25), naughty_table("deals", 3, 3)])
}

type Files = Vec<(String, Vec<u8>)>;

/// The names and contents of all files, read with all checks.
fn read(zip: &[u8]) -> Result<Files, ReadError> {
    block_on(async {
        let mut contents = Vec::new();
        for file in verify(Cursor::new(zip)).await? {
            let bytes = read_file(Cursor::new(zip), &file.name, 10_000_000).await?.expect("a listed file");
            contents.push((file.name, bytes));
        }
        Ok(contents)
    })
}

/// The bytes of each part in `zip`, where the manifest in storage says that they are.
fn slices<'a>(sample: &'a Sample, zip: &'a [u8]) -> impl Iterator<Item = (&'a Part, &'a [u8])> {
    sample.contents.manifest.files.iter().flat_map(|file| &file.parts).map(|part| {
        let place = part.place.expect("the manifest in storage has places");
        let at = |offset: u64| usize::try_from(offset).expect("in memory");
        (part, &zip[at(place.archive_offset)..at(place.archive_offset + place.packed_length)])
    })
}

#[test]
fn every_part_can_be_inflated_alone_from_its_place() {
    let sample = sample();
    let zip = sample.zip();
    let contacts = block_on(read_file(Cursor::new(&zip), "contacts.csv", 10_000_000)).expect("sound").expect("there");
    let contacts_parts = sample.contents.manifest.files[0].parts.len();
    assert_eq!(contacts_parts, 4, "the header row and three segments");
    let joined: Vec<u8> = slices(&sample, &zip)
        .take(contacts_parts)
        .flat_map(|(part, packed)| inflate_slice(packed, part).expect("a sound slice"))
        .collect();
    assert_eq!(joined, contacts);
}

#[test]
fn a_part_can_be_read_byte_by_byte() {
    let sample = sample();
    let zip = sample.zip();
    for (part, packed) in slices(&sample, &zip) {
        let mut plain = Vec::new();
        let mut reader = SliceReader::new(part);
        for byte in packed.chunks(1) {
            reader.read(byte, &mut plain).expect("a sound slice");
        }
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(Ok(plain), inflate_slice(packed, part));
    }
}

#[test]
fn a_slice_that_is_another_part_is_refused_by_kind() {
    let sample = sample();
    let zip = sample.zip();
    let (part, packed) = slices(&sample, &zip).nth(1).expect("a segment");
    let shorter = SliceError::Length { expected: part.length };
    assert_eq!(inflate_slice(&packed[..packed.len() / 2], part), Err(shorter.clone()));
    assert_eq!(inflate_slice(&[packed, packed].concat(), part), Err(shorter));
    assert_eq!(inflate_slice(&[packed, &[3, 0]].concat(), part), Err(SliceError::NotASegment));
    assert_eq!(inflate_slice(&[0xFF; 100], part), Err(SliceError::NotASegment));
    assert_eq!(inflate_slice(packed, &Part { crc32: !part.crc32, ..part.clone() }), Err(SliceError::Crc32));
    assert_eq!(inflate_slice(packed, &Part { sha256: "0".repeat(64), ..part.clone() }), Err(SliceError::Sha256));
}

#[test]
fn a_source_that_fails_is_not_called_damaged() {
    struct Failing;
    impl futures_lite::AsyncRead for Failing {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Err(std::io::Error::other("connection lost")))
        }
    }
    impl futures_lite::AsyncSeek for Failing {
        fn poll_seek(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: std::io::SeekFrom,
        ) -> std::task::Poll<std::io::Result<u64>> {
            std::task::Poll::Ready(Ok(1000))
        }
    }
    let error = block_on(files(futures_lite::io::BufReader::new(Failing))).expect_err("nothing can be read");
    assert!(error.is_retryable(), "{error}");
    let error = block_on(files(Cursor::new(b"not a zip"))).expect_err("not a zip");
    assert!(!error.is_retryable(), "{error}");
}

#[test]
fn a_file_larger_than_expected_is_not_read_into_memory() {
    let zip = sample().zip();
    let refused = block_on(read_file(Cursor::new(&zip), "contacts.csv", 1000)).expect_err("too large");
    assert!(matches!(refused, ReadError::Damaged(_)), "{refused}");
    assert!(block_on(read_file(Cursor::new(&zip), "nothing.csv", 1000)).expect("sound").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_archive_cut_short_is_damaged(cut in 0.0..1.0_f64) {
        let zip = sample().zip();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a length")]
        let length = (zip.len() as f64 * cut) as usize;
        prop_assert!(matches!(read(&zip[..length]), Err(ReadError::Damaged(_))));
    }

    #[test]
    fn a_flipped_bit_never_passes_with_other_contents(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let sample = sample();
        let sound = sample.zip();
        let mut zip = sound.clone();
        zip[place.index(sound.len())] ^= 1 << bit;
        // Bits that say nothing about the contents, such as a file's time, may pass.
        if let Ok(contents) = read(&zip) {
            prop_assert_eq!(contents, read(&sound).expect("a sound archive"));
        }
        for ((part, packed), (_, sound)) in slices(&sample, &zip).zip(slices(&sample, &sound)) {
            if let Ok(plain) = inflate_slice(packed, part) {
                prop_assert_eq!(plain, inflate_slice(sound, part).expect("a sound slice"));
            }
        }
    }
}
