//! Accounts with the text that people type, their archives, and a storage that joins extents and parts.

use std::collections::HashMap;

use archive::contents::{ArchiveContents, ExportedObject, lay_out};
use archive::layout::StoredSegment;
use archive::parts::{BufferPiece, UploadPart};
use archive::segment::SegmentWriter;
use domain::account::ApiVersion;
use domain::account::Requester;
use domain::backup::Backup;
use domain::ids::{AccountId, BackupId, ObjectType, RecordId};
use domain::object::{Committed, CountBefore, Counts, ObjectExport};
use domain::ports::crm_model::ReadMode;
use domain::ports::storage::{CopySource, ETag};
use domain::property::{Columns, ObjectDefinition, Property, Sensitivity};
use domain::rows::RowBuffer;
use domain::work::BackupRef;
use jiff::Timestamp;

/// Values that readers, writers and people have stumbled over.
pub(crate) const NAUGHTY: &[&str] = &[
    "",
    " ",
    "  leading and trailing  ",
    "plain",
    "Grüße aus Köln, ÄÖÜß",
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "漢字かな交じり文",
    "한국어",
    "שלום עולם",
    "مرحبا بالعالم",
    "say \"hi\"",
    "\"",
    "\"\"",
    "\",\"",
    ",",
    ",,,",
    "first line\r\nsecond line",
    "\n",
    "\r",
    "\r\n",
    "a\rb",
    "tab\tand\u{b}vertical\u{c}form feed",
    "=1+1",
    "+49 221 1234",
    "-1",
    "@SUM(A1:A9)",
    "'quoted'",
    "0123",
    "1e5",
    "NULL",
    "null",
    "NaN",
    "true",
    "\\N",
    "\\",
    "a\\\"b",
    "#comment",
    "\u{feff}byte order mark",
    "line\u{2028}and paragraph\u{2029}separators\u{85}",
    "e\u{301} is not é",
    "</script><b>&amp;",
    "C:\\temp\\new",
];

/// One object's records: column names, then rows of an id and as many values.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) object: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<(u64, Vec<String>)>,
    pub(crate) rows_per_segment: usize,
}

/// Naughty text in every column and every row, and a note as long as the CRM takes it.
pub(crate) fn naughty_table(object: &str, rows: usize, rows_per_segment: usize) -> Table {
    let columns = ["firstname", "notes", "odd, \"name\"", "größe"].map(str::to_owned).to_vec();
    let value = |at: usize| NAUGHTY[at % NAUGHTY.len()].to_owned();
    let values_of = |row: usize| (0..columns.len()).map(|at| value(row * 5 + at)).collect::<Vec<_>>();
    let mut rows: Vec<_> = (0..rows).map(|row| (row as u64 * 7 + 1, values_of(row))).collect();
    if let Some((_, values)) = rows.last_mut() {
        values[1] = "Länge, \"65\".000\r\n".chars().cycle().take(65_000).collect();
    }
    Table { object: object.to_owned(), columns, rows, rows_per_segment }
}

/// The objects in storage, by key.
pub(crate) type Storage = HashMap<String, Vec<u8>>;

/// An archive and the storage that its extents refer to.
pub(crate) struct Sample {
    pub(crate) contents: ArchiveContents,
    pub(crate) storage: Storage,
}

impl Sample {
    /// The archive of `tables`, one after the other.
    pub(crate) fn of(tables: &[Table]) -> Self {
        let mut storage = Storage::new();
        let objects = tables.iter().map(|table| export(table, &mut storage)).collect();
        let contents = lay_out(&backup(), objects, time("2026-11-22T03:10:00Z")).expect("a valid archive");
        Self { contents, storage }
    }

    pub(crate) fn zip(&self) -> Vec<u8> {
        let joined: Vec<u8> =
            self.contents.extents.iter().flat_map(|extent| self.read(&BufferPiece::from(extent))).collect();
        assert_eq!(joined.len() as u64, self.contents.bytes, "the layout knows its size");
        joined
    }

    /// The zip, as storage joins it from `parts`.
    pub(crate) fn joined(&self, parts: &[UploadPart]) -> Vec<u8> {
        let pieces = parts.iter().flat_map(|part| match part {
            UploadPart::Copy(source) => vec![BufferPiece::Object(source.clone())],
            UploadPart::Buffer(pieces) => pieces.clone(),
        });
        pieces.flat_map(|piece| self.read(&piece)).collect()
    }

    fn read(&self, piece: &BufferPiece) -> Vec<u8> {
        match piece {
            BufferPiece::Literal(bytes) => bytes.to_vec(),
            BufferPiece::Object(CopySource { key, range, .. }) => {
                let at = |offset: u64| usize::try_from(offset).expect("in memory");
                self.storage[key][at(range.start)..at(range.end)].to_vec()
            }
        }
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(crate) fn backup() -> Backup {
    let created_at = time("2026-11-22T03:00:00Z");
    let reference = BackupRef {
        account_id: AccountId::parse("4711").expect("an account id"),
        backup_id: BackupId::new(created_at, [7; 10]),
    };
    let by = Requester { subject: "somebody".into(), email: None };
    Backup::accepted(reference, 4711, ApiVersion::V2026_09, by, created_at)
}

pub(crate) fn export(table: &Table, storage: &mut Storage) -> ExportedObject {
    let segments: Vec<_> = table
        .rows
        .chunks(table.rows_per_segment)
        .enumerate()
        .map(|(sequence, rows)| segment(&format!("{}/{sequence}", table.object), table.columns.len(), rows, storage))
        .collect();
    let columns = Columns { properties: table.columns.iter().map(|name| property(name)).collect() };
    let definition = ObjectDefinition {
        object_type: ObjectType::parse(&table.object).expect("an object type"),
        type_id: Some("0-1".into()),
        label: table.object.clone(),
        custom: false,
    };
    let from = time("2026-11-22T03:01:00Z");
    let (object, _) = ObjectExport::discovered(
        &backup().reference(),
        definition,
        ReadMode::Ranges,
        &columns,
        "columns".into(),
        CountBefore { records: Some(0), listed_empty: false, counted_at: from },
        from,
    );
    let records = table.rows.len() as u64;
    let done = Committed { records, chunk_done: true, ..Committed::default() };
    let counts = Counts { before: Some(records), after: Some(records), created: Some(0) };
    let export =
        object.commit(1, &done, from).and_then(|object| object.close(&object, counts, from, from)).expect("open");
    ExportedObject { export, columns, segments }
}

/// Packs `rows` as a worker does, page by page, and puts the segment into `storage`.
fn segment(key: &str, columns: usize, rows: &[(u64, Vec<String>)], storage: &mut Storage) -> StoredSegment {
    let mut writer = SegmentWriter::new();
    let mut bytes = Vec::new();
    let mut page = RowBuffer::new(columns);
    for rows in rows.chunks(100) {
        page.clear();
        for (id, values) in rows {
            page.begin_row(RecordId(*id));
            for (column, value) in values.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
                page.set(column, value);
            }
        }
        writer.write_rows(&page, 0..page.len());
        bytes.extend(writer.take_packed(1).unwrap_or_default());
    }
    let (rest, summary) = writer.finish();
    bytes.extend(rest);
    assert_eq!(bytes.len() as u64, summary.packed_bytes, "the summary knows the segment's size");
    storage.insert(key.to_owned(), bytes);
    StoredSegment { storage_key: key.to_owned(), etag: ETag(format!("\"{key}\"")), summary }
}

fn property(name: &str) -> Property {
    Property {
        name: name.to_owned(),
        label: name.to_uppercase(),
        kind: "string".into(),
        sensitivity: if name == "notes" { Sensitivity::Sensitive } else { Sensitivity::NonSensitive },
        calculated: false,
        read_only: false,
    }
}
