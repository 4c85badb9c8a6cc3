//! manifest.json: what is in an archive, so that anyone can check that nothing is missing.
//!
//! It is made out of what the layout knows ([`crate::layout::PlacedFile`]), so the two cannot disagree. It exists twice: as the
//! archive's last entry, and beside the archive in object storage, where each part also has its place inside the
//! archive, so that a restore reads and inflates slices of one CSV straight from the zip.

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

/// Said in every manifest, as [`Manifest::not_included`].
pub const NOT_INCLUDED: &str = "Archived (deleted) records, associations between records and activity history are not \
    part of a backup.";
/// Said in every manifest, as [`Manifest::spreadsheets`].
pub const SPREADSHEETS: &str = "Values are exact: nothing in them is defused, and only half of a surrogate pair, which is no \
    valid text, is replaced, by U+FFFD. A spreadsheet runs a value that begins with = + - or @ as a formula, rounds numbers \
    to 15 digits, cuts a value at 32,767 characters, and shows only the first 1,048,576 rows and 16,384 columns of a file. \
    Import the file as UTF-8, separated by commas, with every column as text, or use a database.";

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub backup_id: BackupId,
    pub account_id: AccountId,
    /// The CRM's own id of the account.
    pub portal_id: u64,
    /// When the backup was asked for.
    pub created_at: Timestamp,
    /// When all records had been read and the archive was laid out.
    pub completed_at: Timestamp,
    /// The CRM API's version that it was read with.
    pub api_version: ApiVersion,
    /// Whether any column holds sensitive or highly sensitive values.
    pub contains_sensitive_data: bool,
    /// What a backup leaves out, in a sentence.
    pub not_included: String,
    /// What to mind when opening the files in a spreadsheet, in a sentence.
    pub spreadsheets: String,
    /// What the backup does not hold although the CRM may have it. Empty in a backup that holds everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Gap>,
    /// The CSV files, in archive order.
    pub files: Vec<File>,
    /// The objects of which no record was read, and which so have no file.
    pub without_file: Vec<WithoutFile>,
}

/// An object of which no record was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WithoutFile {
    pub object_type: ObjectType,
    /// The object's singular label.
    pub label: String,
    /// When its records were looked for.
    pub window: Window,
    /// How many records the CRM counted at the end of that time; null where it does not count.
    pub crm_total: Option<u64>,
    /// How no record compares with that.
    pub verdict: Verdict,
}

/// One CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its name in the archive.
    pub name: String,
    pub object_type: ObjectType,
    /// The object's singular label.
    pub label: String,
    pub rows: u64,
    pub bytes: u64,
    /// CRC-32 of the whole file.
    pub crc32: u32,
    /// In file order, the record id first.
    pub columns: Vec<Column>,
    /// SHA-256 over the parts' SHA-256 digests, each as 32 bytes, one behind the other; lower-case hexadecimal.
    pub sha256_tree: String,
    /// When its records were read.
    pub window: Window,
    /// How many records the CRM counted at the end of that time; null where it does not count.
    pub crm_total: Option<u64>,
    /// How the rows compare with that.
    pub verdict: Verdict,
    /// Values that were not valid Unicode in the CRM. The file has U+FFFD in those places.
    #[serde(default)]
    pub mended_values: u64,
    /// The pieces that it can be checked and read by: the header row, then the segments.
    pub parts: Vec<Part>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// The property's internal name, as in the file's first line.
    pub name: String,
    /// The name that people see.
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// How its values must be handled.
    pub sensitivity: Sensitivity,
}

/// A span of time. Changes made in the CRM inside it may or may not be in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When the first page may have been read.
    pub from: Timestamp,
    /// When the last page was read.
    pub to: Timestamp,
}

/// A piece of a CSV file: whole lines, the first piece being the header row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Where it begins in the CSV, in bytes.
    pub offset: u64,
    pub length: u64,
    pub rows: u64,
    /// The first record's id; null for the header row.
    pub first_id: Option<RecordId>,
    /// The last record's id; null for the header row.
    pub last_id: Option<RecordId>,
    /// CRC-32 of the CSV bytes.
    pub crc32: u32,
    /// SHA-256 of the CSV bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Where it is in the archive; only in the copy beside the archive.
    #[serde(flatten)]
    pub place: Option<Place>,
}

/// Where a part's DEFLATE bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Where they begin in the archive.
    pub archive_offset: u64,
    /// How many they are.
    pub packed_length: u64,
}

/// A manifest that cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON of the expected form.
    #[error("the manifest cannot be read: {0}")]
    NotRead(#[from] NotRead),
    /// A file's parts do not add up to the file. Trying again does not help.
    #[error("the manifest contradicts itself about '{0}'")]
    Inconsistent(String),
}

impl Document for Manifest {}

impl Manifest {
    /// Reads a manifest, of either kind, and checks that every file's parts add up to the file.
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
    /// Never: a manifest has nothing in it that JSON cannot express.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a manifest can be written as JSON")
    }

    /// The manifest as it stands in the archive: without the parts' places there.
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
