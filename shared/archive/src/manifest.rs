//! manifest.json: the contents of an archive, so that anyone can check that nothing is missing.
//!
//! It is made from the layout ([`crate::layout::PlacedFile`]), so the two cannot disagree. It exists twice: as the
//! archive's last entry, and beside the archive in object storage. The copy in storage also has each part's place in
//! the archive, so that a restore reads and inflates slices of one CSV straight from the zip.

use domain::account::ApiVersion;
use domain::format::{self, Document, NotRead};
use domain::gap::Gap;
use domain::ids::{AccountId, BackupId, ObjectType, RecordId};
use domain::object::Verdict;
use domain::property::{Columns, Property, RECORD_ID_COLUMN, Sensitivity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digests::{combined_crc32, from_hex, sha256_tree};
use crate::layout::PlacedPart;

/// The text of [`Manifest::not_included`]. Another version that finishes an assembly must make the same bytes, so it
/// stays.
pub const NOT_INCLUDED: &str = "Archived (deleted) records, associations between records and activity history are not \
    part of a backup.";
/// The text of [`Manifest::spreadsheets`], which stays for the same reason.
pub const SPREADSHEETS: &str = "Values are exact: nothing in them is defused, and only half of a surrogate pair, which is no \
    valid text, is replaced, by U+FFFD. A spreadsheet runs a value that begins with = + - or @ as a formula, rounds numbers \
    to 15 digits, cuts a value at 32,767 characters, and shows only the first 1,048,576 rows and 16,384 columns of a file. \
    Import the file as UTF-8, separated by commas, with every column as text, or use a database.";

/// The contents of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub backup_id: BackupId,
    pub account_id: AccountId,
    /// The CRM's id of the account.
    pub portal_id: u64,
    /// When the backup was requested.
    pub created_at: Timestamp,
    /// When all records had been read and the archive was laid out.
    pub completed_at: Timestamp,
    pub api_version: ApiVersion,
    /// Whether any column holds sensitive or highly sensitive values.
    pub contains_sensitive_data: bool,
    /// A sentence: data that no backup includes.
    pub not_included: String,
    /// Sentences about opening the files in a spreadsheet.
    pub spreadsheets: String,
    /// Data that the backup does not hold although the CRM may have it. Empty in a complete backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Gap>,
    /// The CSV files, in archive order.
    pub files: Vec<File>,
    /// The objects without a record, which have no file.
    pub without_file: Vec<WithoutFile>,
}

/// An object without a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WithoutFile {
    pub object_type: ObjectType,
    /// The object's singular label.
    pub label: String,
    pub window: Window,
    /// The CRM's count of records at the end of that time. Null if it does not count.
    pub crm_total: Option<u64>,
    pub verdict: Verdict,
}

/// A CSV file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    pub name: String,
    pub object_type: ObjectType,
    /// The object's singular label.
    pub label: String,
    pub rows: u64,
    pub bytes: u64,
    /// The CRC-32 of the whole file.
    pub crc32: u32,
    /// In file order, the record id first.
    pub columns: Vec<Column>,
    /// The SHA-256 over the sequence of the parts' SHA-256 digests, 32 bytes each. In lower-case hexadecimal.
    pub sha256_tree: String,
    /// When its records were read.
    pub window: Window,
    /// The CRM's count of records at the end of that time. Null if it does not count.
    pub crm_total: Option<u64>,
    pub verdict: Verdict,
    /// How many values were not valid Unicode in the CRM. The file has U+FFFD in those places.
    #[serde(default)]
    pub mended_values: u64,
    /// The pieces by which it can be checked and read: the header row, then the segments.
    pub parts: Vec<Part>,
}

/// A column of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// The property's internal name, as in the file's first line.
    pub name: String,
    /// The name that people see.
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub sensitivity: Sensitivity,
}

/// The time of the reading. Changes in the CRM during it may or may not be in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When the first page may have been read.
    pub from: Timestamp,
    /// When the last page was read.
    pub to: Timestamp,
}

/// A piece of a CSV file, of whole lines. The first piece is the header row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its first byte in the CSV.
    pub offset: u64,
    pub length: u64,
    pub rows: u64,
    /// Null for the header row.
    pub first_id: Option<RecordId>,
    /// Null for the header row.
    pub last_id: Option<RecordId>,
    /// CRC-32 of the CSV bytes.
    pub crc32: u32,
    /// SHA-256 of the CSV bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Its place in the archive. Only in the copy beside the archive.
    #[serde(flatten)]
    pub place: Option<Place>,
}

/// The place of a part's DEFLATE bytes in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub archive_offset: u64,
    pub packed_length: u64,
}

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON of the expected form.
    #[error("the manifest cannot be read: {0}")]
    NotRead(#[from] NotRead),
    /// A file's parts do not add up to the file. A retry does not help.
    #[error("the manifest contradicts itself about '{0}'")]
    Inconsistent(String),
}

impl Document for Manifest {}

impl Manifest {
    /// Reads a manifest, with or without places, and checks that every file's parts add up to the file.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = format::read(json)?;
        match manifest.files.iter().find(|file| !file.adds_up()) {
            Some(file) => Err(ManifestError::Inconsistent(file.name.clone())),
            None => Ok(manifest),
        }
    }

    /// Indented JSON. The same manifest makes the same bytes.
    ///
    /// # Panics
    /// Never: JSON can express every manifest.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a manifest can be written as JSON")
    }

    /// The manifest for the archive itself, without the parts' places.
    #[must_use]
    pub fn without_places(&self) -> Self {
        let mut manifest = self.clone();
        for part in manifest.files.iter_mut().flat_map(|file| &mut file.parts) {
            part.place = None;
        }
        manifest
    }
}

impl File {
    fn adds_up(&self) -> bool {
        let mut end = 0;
        for part in &self.parts {
            if part.offset != end {
                return false;
            }
            end = part.offset.saturating_add(part.length);
            let overflows = |place: Place| place.archive_offset.checked_add(place.packed_length).is_none();
            if part.place.is_some_and(overflows) {
                return false;
            }
        }
        let rows = self.parts.iter().fold(0_u64, |rows, part| rows.saturating_add(part.rows));
        let digests: Option<Vec<_>> = self.parts.iter().map(|part| from_hex(&part.sha256)).collect();
        end == self.bytes
            && rows == self.rows
            && combined_crc32(self.parts.iter().map(|part| (part.crc32, part.length))) == self.crc32
            && digests.is_some_and(|digests| sha256_tree(digests) == self.sha256_tree)
    }
}

impl Column {
    /// All columns of a file, the record id first.
    pub fn all(columns: &Columns) -> Vec<Self> {
        let record_id = Self {
            name: RECORD_ID_COLUMN.to_owned(),
            label: "Record ID".to_owned(),
            kind: "number".to_owned(),
            sensitivity: Sensitivity::NonSensitive,
        };
        std::iter::once(record_id).chain(columns.properties.iter().map(Self::from)).collect()
    }
}

impl From<&Property> for Column {
    fn from(property: &Property) -> Self {
        Self {
            name: property.name.clone(),
            label: property.label.clone(),
            kind: property.kind.clone(),
            sensitivity: property.sensitivity,
        }
    }
}

impl From<PlacedPart> for Part {
    fn from(part: PlacedPart) -> Self {
        Self {
            offset: part.offset,
            length: part.length,
            rows: part.rows,
            first_id: part.ids.map(|(first, _)| first),
            last_id: part.ids.map(|(_, last)| last),
            crc32: part.crc32,
            sha256: part.sha256,
            place: Some(Place { archive_offset: part.archive_offset, packed_length: part.packed_length }),
        }
    }
}
