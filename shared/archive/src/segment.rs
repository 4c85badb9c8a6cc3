//! Making segments: from CSV bytes to DEFLATE bytes, with the summary for the ledger.
//!
//! A segment is raw DEFLATE (RFC 1951) that begins with a fresh dictionary and ends with a sync flush: byte-aligned,
//! without a final block. So segments of different runs can follow each other in one zip entry, which [`TERMINATOR`]
//! ends, and each can be inflated alone.
//!
//! The steps can be called and measured one by one: [`crate::csv::write_rows`] makes the plain bytes, [`Digests`]
//! takes their checksums, [`Deflater`] packs them. [`SegmentWriter`] does the three in turn.

use std::ops::Range;

use domain::ids::RecordId;
use domain::rows::RowBuffer;
use domain::segment::SegmentSummary;
use flate2::{Compress, Compression, FlushCompress};

use crate::csv;
use crate::digests::Digests;

/// Compression level. Generated CRM data (200 columns of which 60 are set, 1.4 kB a row) shrinks to 27.0% at level 3,
/// 25.9% at 4, 25.4% at 5 and 25.1% at 6 (`cargo dev bench codec`), and beyond 4 each step costs far more time than it
/// saves bytes.
pub const LEVEL: u32 = 4;

/// Ends the DEFLATE stream after any number of segments: an empty final block (RFC 1951, section 3.2.3: BFINAL = 1,
/// BTYPE = 01, and the seven zero bits of the end-of-block code).
pub const TERMINATOR: [u8; 2] = [0x03, 0x00];

/// The CSV bytes that pass through checksums and compression together. They fit into the processor's cache.
const BATCH: usize = 128 * 1024;

/// How far the output buffer grows each time. A sync flush needs more than six free bytes, or it is written twice.
const OUTPUT_STEP: usize = 64 * 1024;

/// Packs plain bytes into raw DEFLATE at [`LEVEL`].
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflater {
    /// A deflater with a fresh dictionary.
    pub fn new() -> Self {
        Self { compress: Compress::new(Compression::new(LEVEL), false) }
    }

    /// Packs `plain` and appends the finished bytes to `packed`. The rest stays inside until later.
    pub fn write(&mut self, plain: &[u8], packed: &mut Vec<u8>) {
        let before = self.compress.total_in();
        let taken = |compress: &Compress| usize::try_from(compress.total_in() - before).unwrap_or(plain.len());
        while taken(&self.compress) < plain.len() {
            let at = taken(&self.compress);
            self.step(&plain[at..], packed, FlushCompress::None);
        }
    }

    /// Appends all remaining bytes and the sync flush to `packed`.
    pub fn finish(mut self, packed: &mut Vec<u8>) {
        loop {
            self.step(&[], packed, FlushCompress::Sync);
            if packed.len() < packed.capacity() {
                break;
            }
        }
    }

    fn step(&mut self, plain: &[u8], packed: &mut Vec<u8>, flush: FlushCompress) {
        packed.reserve(OUTPUT_STEP);
        self.compress.compress_vec(plain, packed, flush).expect("a deflate stream takes any bytes");
    }
}

/// Makes one segment out of rows. Only bytes that were not taken yet are in memory.
#[derive(Debug, Default)]
pub struct SegmentWriter {
    deflater: Deflater,
    digests: Digests,
    plain: Vec<u8>,
    packed: Vec<u8>,
    taken: u64,
    plain_bytes: u64,
    rows: u64,
    ids: Option<(RecordId, RecordId)>,
}

impl SegmentWriter {
    /// A writer of an empty segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `range` of `rows`.
    ///
    /// # Panics
    /// If `range` reaches past the last row: a fault of the caller.
    pub fn write_rows(&mut self, rows: &RowBuffer, range: Range<usize>) {
        if let [first, ..] = rows.ids()[range.clone()] {
            let last = rows.ids()[range.end - 1];
            self.ids = Some((self.ids.map_or(first, |(first, _)| first), last));
        }
        self.rows += range.len() as u64;
        for row in range {
            csv::write_rows(rows, row..row + 1, &mut self.plain);
            if self.plain.len() >= BATCH {
                self.pack();
            }
        }
        self.pack();
    }

    fn pack(&mut self) {
        self.digests.update(&self.plain);
        self.deflater.write(&self.plain, &mut self.packed);
        self.plain_bytes += self.plain.len() as u64;
        self.plain.clear();
    }

    /// The number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// CSV bytes so far.
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// DEFLATE bytes so far, including those that were taken. The compressor holds back up to some hundred KiB of CSV,
    /// so the finished segment is a little larger.
    pub fn packed_bytes(&self) -> u64 {
        self.taken + self.packed.len() as u64
    }

    /// DEFLATE bytes that were not taken yet.
    pub fn packed_in_memory(&self) -> usize {
        self.packed.len()
    }

    /// Takes all finished DEFLATE bytes, once there are `at_least` that many: the next part of an upload.
    pub fn take_packed(&mut self, at_least: usize) -> Option<Vec<u8>> {
        if self.packed.len() < at_least {
            return None;
        }
        self.taken += self.packed.len() as u64;
        Some(std::mem::take(&mut self.packed))
    }

    /// Ends the segment. Returns the bytes that were not taken yet (never empty, because of the sync flush) and the
    /// summary of the whole segment. A segment without rows has 0 for both record ids.
    pub fn finish(mut self) -> (Vec<u8>, SegmentSummary) {
        self.deflater.finish(&mut self.packed);
        let packed_bytes = self.taken + self.packed.len() as u64;
        let (crc32, sha256) = self.digests.finish();
        let (first_id, last_id) = self.ids.unwrap_or_default();
        let summary = SegmentSummary {
            rows: self.rows,
            first_id,
            last_id,
            plain_bytes: self.plain_bytes,
            packed_bytes,
            crc32,
            sha256,
        };
        (self.packed, summary)
    }
}

/// A whole small text, packed as a segment is: a header row, the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedText {
    /// DEFLATE bytes, up to and including the closing sync flush.
    pub packed: Vec<u8>,
    /// CRC-32 of the plain bytes.
    pub crc32: u32,
    /// SHA-256 of the plain bytes, lower-case hexadecimal.
    pub sha256: String,
}

impl PackedText {
    /// Packs `plain`.
    pub fn of(plain: &[u8]) -> Self {
        let mut packed = Vec::new();
        let mut deflater = Deflater::new();
        deflater.write(plain, &mut packed);
        deflater.finish(&mut packed);
        let (crc32, sha256) = Digests::of(plain);
        Self { packed, crc32, sha256 }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
    use proptest::prelude::*;

    use super::*;

    fn rows(ids: Range<u64>, value: &str) -> RowBuffer {
        let mut rows = RowBuffer::new(3);
        for id in ids {
            rows.begin_row(RecordId(id));
            rows.set(0, &format!("{value}{}", id * id));
            rows.set(2, "x, y");
        }
        rows
    }

    fn plain(rows: &RowBuffer) -> Vec<u8> {
        let mut plain = Vec::new();
        csv::write_rows(rows, 0..rows.len(), &mut plain);
        plain
    }

    /// Inflates a whole stream that ends with [`TERMINATOR`].
    fn inflate(packed: &[u8], expected: usize) -> Vec<u8> {
        let mut plain = Vec::with_capacity(expected + 1);
        let mut inflate = Decompress::new(false);
        inflate.decompress_vec(packed, &mut plain, FlushDecompress::Finish).expect("DEFLATE");
        assert_eq!(inflate.total_in(), packed.len() as u64, "nothing is left over");
        plain
    }

    #[test]
    fn segments_stand_one_behind_the_other_until_the_terminator_ends_them() {
        let (one, other) = (rows(1..500, "a"), rows(500..700, "b"));
        let mut stream = Vec::new();
        for rows in [&one, &other] {
            let mut writer = SegmentWriter::new();
            writer.write_rows(rows, 0..rows.len());
            let (packed, summary) = writer.finish();
            assert_eq!(packed.len() as u64, summary.packed_bytes);
            assert!(packed.ends_with(&[0, 0, 0xFF, 0xFF]), "a sync flush");
            stream.extend(packed);
        }
        stream.extend(TERMINATOR);
        let expected = [plain(&one), plain(&other)].concat();
        assert_eq!(inflate(&stream, expected.len()), expected);
    }

    #[test]
    fn the_summary_tells_what_is_in_the_segment() {
        let page = rows(10..20, "value");
        let mut writer = SegmentWriter::new();
        writer.write_rows(&page, 2..5);
        writer.write_rows(&page, 5..5);
        writer.write_rows(&page, 5..9);
        assert_eq!(writer.rows(), 7);
        let whole = plain(&page);
        let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        let plain = lines[2..9].concat();
        assert_eq!(writer.plain_bytes(), plain.len() as u64);
        let (packed, summary) = writer.finish();
        let (crc32, sha256) = Digests::of(&plain);
        let expected = SegmentSummary {
            rows: 7,
            first_id: RecordId(12),
            last_id: RecordId(18),
            plain_bytes: plain.len() as u64,
            packed_bytes: packed.len() as u64,
            crc32,
            sha256,
        };
        assert_eq!(summary, expected);
    }

    #[test]
    fn a_segment_without_rows_is_an_empty_stretch_of_deflate() {
        let (packed, summary) = SegmentWriter::new().finish();
        assert_eq!((summary.rows, summary.plain_bytes), (0, 0));
        assert_eq!(inflate(&[&packed[..], &TERMINATOR].concat(), 0), b"");
    }

    #[test]
    fn nothing_is_handed_out_before_there_is_enough() {
        let page = rows(1..2000, "some text that differs ");
        let mut writer = SegmentWriter::new();
        assert_eq!(writer.take_packed(1), None);
        while writer.packed_bytes() < 50_000 {
            assert_eq!(writer.take_packed(50_000), None);
            writer.write_rows(&page, 0..page.len());
        }
        let taken = writer.take_packed(50_000).expect("enough");
        assert!(taken.len() >= 50_000);
        assert_eq!(writer.packed_bytes(), taken.len() as u64, "what was taken still counts");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_segment_is_the_same_however_its_bytes_are_taken(
            pages in prop::collection::vec((1_u64..400, "[a-zü,\"\n]{0,40}"), 1..12),
            at_least in 1_usize..20_000,
        ) {
            let (mut taking, mut keeping) = (SegmentWriter::new(), SegmentWriter::new());
            let (mut taken, mut expected) = (Vec::new(), Vec::new());
            for (count, value) in &pages {
                let page = rows(1..count + 1, value);
                expected.extend(plain(&page));
                taking.write_rows(&page, 0..page.len());
                keeping.write_rows(&page, 0..page.len());
                taken.extend(taking.take_packed(at_least).unwrap_or_default());
            }
            let ((rest, summary), (whole, same_summary)) = (taking.finish(), keeping.finish());
            taken.extend(rest);
            prop_assert_eq!(&taken, &whole);
            prop_assert_eq!(summary, same_summary);
            prop_assert_eq!(inflate(&[&taken[..], &TERMINATOR].concat(), expected.len()), expected);
        }
    }
}
