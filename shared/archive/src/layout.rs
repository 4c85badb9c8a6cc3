//! Lays out a whole zip as extents, without touching the data: literal bytes (headers, terminators, the central
//! directory) between ranges of stored segments.
//!
//! ```text
//! local header · header row │ segment │ segment … │ 03 00 · local header · header row │ segment … │ 03 00 · …
//! … local header of manifest.json · manifest · 03 00 · central directory · end records
//! ```
//! The same input makes the same bytes, so that a run can continue an upload of another run. (Header rows and the
//! manifest are deflated. zlib-rs packs them alike on every processor, though a later version may pack them otherwise.)
//! Every size and CRC is known before the first byte is written, so local headers are complete and there are no data
//! descriptors.

use std::collections::HashSet;

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::storage::{CopySource, ETag};
use domain::segment::{Segment, SegmentSummary};
use jiff::Timestamp;

use crate::digests::{combined_crc32, from_hex, sha256_tree};
use crate::segment::{PackedText, TERMINATOR};
use crate::zip_records::{Directory, DosTime, EntryRecord};

/// The name of the archive's last entry.
pub const MANIFEST_NAME: &str = "manifest.json";

/// The longest file name that file systems allow, in bytes.
const LONGEST_NAME: usize = 255;

/// Consecutive bytes of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    Literal(Bytes),
    /// Bytes of a stored blob.
    Object(CopySource),
}

impl Extent {
    /// The number of its bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Object(source) => source.range.end - source.range.start,
        }
    }
}

/// A CSV file for the archive.
#[derive(Debug, Clone)]
pub struct CsvFile {
    /// Its name, from [`file_names`].
    pub name: String,
    /// Its first line, from [`crate::csv::header_row`].
    pub header_row: Vec<u8>,
    /// Its rows, in file order.
    pub segments: Vec<StoredSegment>,
}

/// A segment in object storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSegment {
    pub storage_key: String,
    /// The content that the bytes must still have.
    pub etag: ETag,
    pub summary: SegmentSummary,
}

impl From<Segment> for StoredSegment {
    fn from(segment: Segment) -> Self {
        Self { storage_key: segment.storage_key, etag: segment.etag, summary: segment.summary }
    }
}

/// A CSV file with its place in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFile {
    pub name: String,
    pub bytes: u64,
    pub crc32: u32,
    /// The SHA-256 over the sequence of the parts' SHA-256 digests, 32 bytes each. In lower-case hexadecimal.
    pub sha256_tree: String,
    /// The header row, then the segments.
    pub parts: Vec<PlacedPart>,
}

/// A part of a CSV file that can be inflated and checked alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPart {
    /// The place of its first byte in the CSV.
    pub offset: u64,
    pub length: u64,
    pub rows: u64,
    /// The ids of the first and the last record. None for the header row.
    pub ids: Option<(RecordId, RecordId)>,
    /// CRC-32 of the CSV bytes.
    pub crc32: u32,
    /// SHA-256 of the CSV bytes, lower-case hexadecimal.
    pub sha256: String,
    /// The place of its first DEFLATE byte in the archive.
    pub archive_offset: u64,
    pub packed_length: u64,
}

/// Why a file cannot be put into the archive. A retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The name is empty, too long, or has a character that could lead out of a folder.
    #[error("'{0}' cannot be the name of a file in the archive")]
    Name(String),
    /// Another file has this name, or a name that differs only by case.
    #[error("two files in the archive would have the name '{0}'")]
    NameTaken(String),
    /// A segment's digest is not a SHA-256.
    #[error("the segment '{0}' has no valid SHA-256")]
    Digest(String),
    /// An object's segments do not hold the number of rows that were committed.
    #[error("the segments of '{object}' hold {held} rows, and {counted} were committed")]
    Rows { object: ObjectType, held: u64, counted: u64 },
}

/// A zip that is being laid out, file by file.
#[derive(Debug)]
pub struct ArchiveLayout {
    modified: DosTime,
    extents: Vec<Extent>,
    /// Literal bytes after the last extent.
    literal: Vec<u8>,
    placed: u64,
    entries: Vec<EntryRecord>,
    names: HashSet<String>,
}

/// A complete layout of a zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidOut {
    /// All its bytes, in order.
    pub extents: Vec<Extent>,
    pub bytes: u64,
}

impl ArchiveLayout {
    /// An empty zip. All its entries will have the time `modified`.
    pub fn new(modified: Timestamp) -> Self {
        Self {
            modified: DosTime::at(modified),
            extents: Vec::new(),
            literal: Vec::new(),
            placed: 0,
            entries: Vec::new(),
            names: HashSet::from([MANIFEST_NAME.to_owned()]),
        }
    }

    /// Appends a CSV file. An object without records gets no file.
    ///
    /// # Errors
    /// [`LayoutError`]. The layout is unchanged then.
    pub fn add_file(&mut self, file: CsvFile) -> Result<PlacedFile, LayoutError> {
        let folded = self.free_name(&file.name)?;
        let header_row = PackedText::of(&file.header_row);
        let sha256_tree = sha256_tree_of(&header_row, &file.segments)?;
        let mut parts = vec![PlacedPart::of_header_row(&file.header_row, &header_row)];
        for segment in &file.segments {
            parts.push(parts[parts.len() - 1].followed_by(segment));
        }

        let crc32 = combined_crc32(parts.iter().map(|part| (part.crc32, part.length)));
        let plain_bytes = parts.iter().map(|part| part.length).sum();
        let packed_bytes = parts.iter().map(|part| part.packed_length).sum();
        let data_offset = self.begin_entry(file.name.clone(), crc32, plain_bytes, packed_bytes);
        for part in &mut parts {
            part.archive_offset += data_offset;
        }
        self.literal.extend(header_row.packed);
        for segment in file.segments {
            self.push_segment(segment);
        }
        self.literal.extend(TERMINATOR);
        self.names.insert(folded);
        Ok(PlacedFile { name: file.name, bytes: plain_bytes, crc32, sha256_tree, parts })
    }

    /// Appends `manifest` and ends the archive.
    pub fn finish(mut self, manifest: &[u8]) -> LaidOut {
        let PackedText { packed, crc32, .. } = PackedText::of(manifest);
        self.begin_entry(MANIFEST_NAME.to_owned(), crc32, manifest.len() as u64, packed.len() as u64);
        self.literal.extend(packed);
        self.literal.extend(TERMINATOR);

        let offset = self.position();
        for entry in &self.entries {
            self.literal.extend(entry.central_header());
        }
        let directory = Directory { entries: self.entries.len() as u64, offset, bytes: self.position() - offset };
        self.literal.extend(directory.end_records());
        self.push_literal();
        LaidOut { extents: self.extents, bytes: self.placed }
    }

    /// The form of the name that is compared with others, if the name can be used.
    fn free_name(&self, name: &str) -> Result<String, LayoutError> {
        let leads_out = |character: char| character.is_control() || matches!(character, '/' | '\\' | ':');
        if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('.') || name.contains(leads_out) {
            return Err(LayoutError::Name(name.to_owned()));
        }
        let folded = name.to_lowercase();
        if self.names.contains(&folded) { Err(LayoutError::NameTaken(name.to_owned())) } else { Ok(folded) }
    }

    /// Writes an entry's local header. `packed_bytes` are those of its parts, without the terminator. Returns where its
    /// data begins.
    fn begin_entry(&mut self, name: String, crc32: u32, plain_bytes: u64, packed_bytes: u64) -> u64 {
        let entry = EntryRecord {
            name,
            modified: self.modified,
            crc32,
            plain_bytes,
            packed_bytes: packed_bytes + TERMINATOR.len() as u64,
            offset: self.position(),
        };
        self.literal.extend(entry.local_header());
        self.entries.push(entry);
        self.position()
    }

    fn position(&self) -> u64 {
        self.placed + self.literal.len() as u64
    }

    fn push_segment(&mut self, segment: StoredSegment) {
        self.push_literal();
        let range = 0..segment.summary.packed_bytes;
        self.push(Extent::Object(CopySource { key: segment.storage_key, etag: segment.etag, range }));
    }

    fn push_literal(&mut self) {
        if !self.literal.is_empty() {
            let literal = std::mem::take(&mut self.literal);
            self.push(Extent::Literal(literal.into()));
        }
    }

    fn push(&mut self, extent: Extent) {
        self.placed += extent.bytes();
        self.extents.push(extent);
    }
}

impl PlacedPart {
    fn of_header_row(plain: &[u8], piece: &PackedText) -> Self {
        Self {
            offset: 0,
            length: plain.len() as u64,
            rows: 0,
            ids: None,
            crc32: piece.crc32,
            sha256: piece.sha256.clone(),
            archive_offset: 0,
            packed_length: piece.packed.len() as u64,
        }
    }

    fn followed_by(&self, segment: &StoredSegment) -> Self {
        let summary = &segment.summary;
        Self {
            offset: self.offset + self.length,
            length: summary.plain_bytes,
            rows: summary.rows,
            ids: Some((summary.first_id, summary.last_id)),
            crc32: summary.crc32,
            sha256: summary.sha256.clone(),
            archive_offset: self.archive_offset + self.packed_length,
            packed_length: summary.packed_bytes,
        }
    }
}

fn sha256_tree_of(header_row: &PackedText, segments: &[StoredSegment]) -> Result<String, LayoutError> {
    let mut digests = Vec::from_iter(from_hex(&header_row.sha256));
    for segment in segments {
        let digest = from_hex(&segment.summary.sha256);
        digests.push(digest.ok_or_else(|| LayoutError::Digest(segment.storage_key.clone()))?);
    }
    Ok(sha256_tree(digests))
}

/// A file name for each of `objects`, in their order: `{objectType}.csv`, with a number if it would differ from another
/// name only by case. Never [`MANIFEST_NAME`].
pub fn file_names<'a>(objects: impl IntoIterator<Item = &'a ObjectType>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::new();
    for object in objects {
        let mut name = format!("{object}.csv");
        let mut number = 1;
        while !taken.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{object}-{number}.csv");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(objects: &[&str]) -> Vec<String> {
        let objects: Vec<_> = objects.iter().map(|name| ObjectType::parse(name).expect("an object type")).collect();
        file_names(&objects)
    }

    #[test]
    fn file_names_differ_by_more_than_case() {
        assert_eq!(
            names_of(&["contacts", "p1_Car", "p1_car", "p1_CAR", "p1_car-2"]),
            ["contacts.csv", "p1_Car.csv", "p1_car-2.csv", "p1_CAR-3.csv", "p1_car-2-2.csv"]
        );
    }

    fn file(name: &str, sha256: &str) -> CsvFile {
        let summary = SegmentSummary {
            rows: 1,
            first_id: RecordId(1),
            last_id: RecordId(1),
            plain_bytes: 1,
            packed_bytes: 1,
            crc32: 0,
            sha256: sha256.to_owned(),
        };
        let segment = StoredSegment { storage_key: "key".into(), etag: ETag("e".into()), summary };
        CsvFile { name: name.to_owned(), header_row: b"a\r\n".to_vec(), segments: vec![segment] }
    }

    #[test]
    fn a_file_that_cannot_be_in_a_zip_is_refused_and_leaves_the_layout_unchanged() {
        let digest = "0".repeat(64);
        let mut layout = ArchiveLayout::new(Timestamp::UNIX_EPOCH);
        layout.add_file(file("a.csv", &digest)).expect("a valid file");
        for name in ["", "../a.csv", "a\\b.csv", "c:a.csv", ".hidden", &"x".repeat(256), "a\0"] {
            assert_eq!(layout.add_file(file(name, &digest)), Err(LayoutError::Name(name.to_owned())));
        }
        for name in ["A.csv", "Manifest.json"] {
            assert_eq!(layout.add_file(file(name, &digest)), Err(LayoutError::NameTaken(name.to_owned())));
        }
        assert_eq!(layout.add_file(file("b.csv", "nonsense")), Err(LayoutError::Digest("key".to_owned())));

        let mut untouched = ArchiveLayout::new(Timestamp::UNIX_EPOCH);
        untouched.add_file(file("a.csv", &digest)).expect("a valid file");
        assert_eq!(layout.finish(b"{}"), untouched.finish(b"{}"));
    }
}
