//! The part planner against S3's rules.

use archive::layout::Extent;
use archive::parts::{
    BufferPiece, LARGEST_BUFFER, LARGEST_PART, MOST_PARTS, PlanError, SMALLEST_PART, UploadPart, is_one_write, plan,
};
use bytes::Bytes;
use domain::ports::storage::{CopySource, ETag};
use proptest::prelude::*;

use crate::sample::{Sample, naughty_table};

const MIB: u64 = 1024 * 1024;

/// Extents of nothing: an object of each size, or literal bytes where the size is small.
fn extents(sizes: &[(bool, u64)]) -> Vec<Extent> {
    let zeros = Bytes::from(vec![0; 70_000]);
    let extent = |(number, &(literal, size)): (usize, &(bool, u64))| match usize::try_from(size) {
        Ok(size) if literal && size <= zeros.len() => Extent::Literal(zeros.slice(..size)),
        _ => Extent::Object(CopySource { key: number.to_string(), etag: ETag("e".into()), range: 0..size }),
    };
    sizes.iter().enumerate().map(extent).collect()
}

/// Segments of `size` bytes each between a header and a central directory.
fn one_object(segments: usize, size: u64) -> Vec<Extent> {
    let mut sizes = vec![(false, size); segments];
    sizes.insert(0, (true, 900));
    sizes.push((true, 60_000));
    extents(&sizes)
}

fn bytes_of(extents: &[Extent]) -> u64 {
    extents.iter().map(Extent::bytes).sum()
}

fn moved(parts: &[UploadPart]) -> u64 {
    parts.iter().filter(|part| matches!(part, UploadPart::Buffer(_))).map(UploadPart::bytes).sum()
}

/// What `parts` are made of, with neighbouring ranges of one object made one again.
fn rejoined(parts: &[UploadPart]) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::new();
    let pieces = parts.iter().flat_map(|part| match part {
        UploadPart::Copy(source) => vec![BufferPiece::Object(source.clone())],
        UploadPart::Buffer(pieces) => pieces.clone(),
    });
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Extent::Object(last)), BufferPiece::Object(next))
                if last.key == next.key && last.range.end == next.range.start =>
            {
                last.range.end = next.range.end;
            }
            (_, BufferPiece::Object(source)) => joined.push(Extent::Object(source)),
            (_, BufferPiece::Literal(bytes)) => joined.push(Extent::Literal(bytes)),
        }
    }
    joined
}

/// Neighbouring literals as one, and nothing empty.
fn merged(extents: Vec<Extent>) -> Vec<Extent> {
    let mut merged: Vec<Extent> = Vec::new();
    for extent in extents.into_iter().filter(|extent| extent.bytes() > 0) {
        match (merged.last_mut(), extent) {
            (Some(Extent::Literal(last)), Extent::Literal(next)) => {
                *last = [last.as_ref(), next.as_ref()].concat().into();
            }
            (_, extent) => merged.push(extent),
        }
    }
    merged
}

fn check_rules(parts: &[UploadPart], largest_buffer: u64) {
    assert!(parts.len() <= MOST_PARTS);
    for (place, part) in parts.iter().enumerate() {
        let size = part.bytes();
        assert!(size <= LARGEST_PART, "part {place} has {size} bytes");
        assert!(size >= SMALLEST_PART || place + 1 == parts.len(), "part {place} has {size} bytes");
        match part {
            UploadPart::Copy(source) => assert!(size >= SMALLEST_PART && source.range.end > SMALLEST_PART),
            UploadPart::Buffer(_) => assert!(size <= largest_buffer, "a buffer of {size} bytes"),
        }
    }
}

fn any_size() -> impl Strategy<Value = (bool, u64)> {
    let edge = prop::sample::select(vec![SMALLEST_PART, 2 * SMALLEST_PART, 16 * MIB, LARGEST_PART, 2 * LARGEST_PART]);
    let near_an_edge = (edge, 0_u64..5).prop_map(|(edge, by)| edge + by - 2);
    prop_oneof![
        3 => (0_u64..70_000).prop_map(|size| (true, size)),
        2 => (1_u64..SMALLEST_PART).prop_map(|size| (false, size)),
        2 => near_an_edge.prop_map(|size| (false, size)),
        2 => (SMALLEST_PART..200 * MIB).prop_map(|size| (false, size)),
        1 => (LARGEST_PART..40 * LARGEST_PART).prop_map(|size| (false, size)),
    ]
}

proptest! {
    #[test]
    fn every_byte_is_uploaded_once_in_order_and_by_the_rules(sizes in prop::collection::vec(any_size(), 0..60)) {
        let extents = extents(&sizes);
        let parts = plan(&extents).expect("few parts");
        check_rules(&parts, SMALLEST_PART);
        prop_assert_eq!(merged(rejoined(&parts)), merged(extents));
    }

    #[test]
    fn too_many_small_segments_are_joined_by_the_same_rules(
        sizes in prop::collection::vec((SMALLEST_PART + 1)..20 * MIB, 10_001..14_000),
    ) {
        let extents = extents(&sizes.iter().map(|size| (false, *size)).collect::<Vec<_>>());
        let parts = plan(&extents).expect("they can be joined");
        check_rules(&parts, LARGEST_BUFFER);
        prop_assert_eq!(rejoined(&parts), extents);
    }
}

#[test]
fn hardly_a_byte_of_one_large_object_passes_through_the_worker() {
    let extents = one_object(64, 16 * MIB + 12_345);
    let parts = plan(&extents).expect("few parts");
    let share = moved(&parts) * 1000 / bytes_of(&extents);
    assert!(share <= 5, "{share} per mille are moved");
}

#[test]
fn no_more_is_joined_than_an_upload_needs() {
    let extents = one_object(10_010, 16 * MIB);
    let parts = plan(&extents).expect("they can be joined");
    check_rules(&parts, LARGEST_BUFFER);
    assert!(parts.len() > MOST_PARTS - 4, "{} parts", parts.len());
    assert!(moved(&parts) < 20 * 16 * MIB, "{} MiB are moved", moved(&parts) / MIB);
}

#[test]
fn an_archive_of_too_many_segments_is_refused_with_the_number() {
    let refused = plan(&one_object(20_003, 40 * MIB)).expect_err("cannot be joined");
    assert_eq!(refused, PlanError::TooManyParts { parts: 20_003 });
    assert!(refused.to_string().contains("20003 upload parts"), "{refused}");
}

#[test]
fn an_archive_of_a_few_mib_is_one_write() {
    assert!(is_one_write(8 * MIB));
    assert!(!is_one_write(8 * MIB + 1));
}

#[test]
fn storage_joins_the_parts_to_the_same_zip() {
    // Values that do not compress, so that segments and parts are as large as in a real archive.
    let mut table = naughty_table("contacts", 24, 12);
    let mut state = 1_u64;
    for (_, values) in &mut table.rows {
        values[1] = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'#' + u8::try_from(state >> 58).expect("6 bits"))
        })
        .take(1_500_000)
        .collect();
    }
    let sample = Sample::of(&[table]);
    let parts = plan(&sample.contents.extents).expect("few parts");
    assert!(parts.iter().any(|part| matches!(part, UploadPart::Copy(_))), "something is copied");
    check_rules(&parts, SMALLEST_PART);
    assert!(sample.joined(&parts) == sample.zip(), "the same bytes");
}
