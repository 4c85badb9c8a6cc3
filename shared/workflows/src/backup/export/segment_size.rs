//! How large segments are.

use domain::object::ObjectExport;

/// Segments are sized so that this many contain a whole backup. An upload has at most 10,000 parts; the rest is for
/// buffers between copies and for runs that end early.
const SEGMENTS_PER_ARCHIVE: u64 = 6_000;
const SMALLEST_TARGET: u64 = 16 * 1024 * 1024;
const LARGEST_TARGET: u64 = 128 * 1024 * 1024;

/// The assumed DEFLATE bytes of a record, before any record was read.
const PACKED_RECORD: u64 = 400;

/// The target size of a segment, so that all objects of the backup together fit into the parts of one archive.
pub(super) fn target(objects: &[ObjectExport]) -> u64 {
    let expected_bytes = |object: &ObjectExport| {
        let per_record = object.packed_bytes.checked_div(object.records).unwrap_or(PACKED_RECORD).max(1);
        object.counts.before.unwrap_or(0).max(object.records) * per_record
    };
    let expected: u64 = objects.iter().map(expected_bytes).sum();
    (expected / SEGMENTS_PER_ARCHIVE).clamp(SMALLEST_TARGET, LARGEST_TARGET)
}
