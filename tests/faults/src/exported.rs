//! What a backup leaves: the archive, unzipped, and its manifest.

use std::collections::BTreeMap;

use archive::layout::MANIFEST_NAME;
use archive::manifest::{File, Manifest, Part};
use archive::reader;
use bytes::Bytes;
use domain::backup::Backup;
use domain::ports::storage::BlobReader;
use futures_lite::io::Cursor;

/// No manifest of a test is larger.
const LARGEST_MANIFEST: u64 = 1 << 24;

/// A file's content, value by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub header: Vec<String>,
    /// Values in column order, row after row.
    pub rows: Vec<Vec<String>>,
}

/// An archive that was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The bytes of the CSV files, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The manifest inside of it.
    pub manifest: Manifest,
}

impl Exported {
    /// Reads the archive of `backup` piece by piece, by the places that the manifest beside it names, and checks every
    /// piece against the manifest.
    ///
    /// # Panics
    /// When there is no archive, or a part does not agree with the rest.
    pub(crate) async fn read(objects: &(impl BlobReader + ?Sized), backup: &Backup) -> Self {
        let zip = zip(objects, backup).await;
        let manifest_key = &backup.archive.as_ref().expect("an archive").manifest_key;
        let beside = objects.read(manifest_key, None).await.expect("the manifest is in storage");
        let beside = Manifest::parse(&beside).expect("a sound manifest");
        let files = beside.files.iter().map(|file| (file.name.clone(), csv(&zip, file))).collect();
        let manifest = reader::read_file(Cursor::new(&zip), MANIFEST_NAME, LARGEST_MANIFEST).await;
        let manifest = manifest.expect("a readable archive").expect("a manifest in it");
        let manifest = Manifest::parse(&manifest).expect("a sound manifest");
        assert_eq!(beside.without_places(), manifest);
        Self { files, manifest }
    }

    /// Reads the archive of `backup` as any program does that knows zip files only, and checks that it finds the same.
    ///
    /// # Panics
    /// When anything does not agree.
    pub(crate) async fn check_zip(&self, objects: &(impl BlobReader + ?Sized), backup: &Backup) {
        let zip = zip(objects, backup).await;
        let listed = reader::verify(Cursor::new(&zip)).await.expect("the archive is sound");
        assert_eq!(listed.len(), self.files.len() + 1, "the manifest names every file");
        for (name, bytes) in &self.files {
            let found = reader::read_file(Cursor::new(&zip), name, bytes.len() as u64).await.expect("readable");
            assert!(found.as_ref() == Some(bytes), "{name}");
        }
    }

    /// A file, value by value.
    ///
    /// # Panics
    /// When there is no such file, it is not CSV, or it contradicts the manifest.
    pub fn table(&self, name: &str) -> Table {
        let table = Table::parse(self.files.get(name).unwrap_or_else(|| panic!("no file {name}")));
        let stated = self.manifest.files.iter().find(|file| file.name == name).expect("every file is in the manifest");
        assert_eq!(stated.rows, table.rows.len() as u64, "{name}");
        assert!(stated.columns.iter().map(|column| &column.name).eq(&table.header), "{name}");
        table
    }
}

async fn zip(objects: &(impl BlobReader + ?Sized), backup: &Backup) -> Bytes {
    let archive = backup.archive.as_ref().expect("a completed backup has an archive");
    let zip = objects.read(&archive.storage_key, None).await.expect("the archive is in storage");
    assert_eq!(zip.len() as u64, archive.bytes);
    zip
}

/// A file's bytes, out of its pieces in the archive.
fn csv(zip: &Bytes, file: &File) -> Vec<u8> {
    let piece = |part: &Part| {
        let place = part.place.expect("the manifest beside the archive has places");
        let start = usize::try_from(place.archive_offset).expect("in memory");
        let length = usize::try_from(place.packed_length).expect("in memory");
        reader::inflate_slice(&zip[start..start + length], part).expect("a sound piece")
    };
    let bytes = file.parts.iter().map(piece).collect::<Vec<_>>().concat();
    assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
    bytes
}

impl Table {
    fn parse(bytes: &[u8]) -> Self {
        let mut reader = csv::Reader::from_reader(bytes);
        let texts = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let header = texts(reader.headers().expect("a header"));
        let rows = reader.records().map(|record| texts(&record.expect("well-formed CSV"))).collect();
        Self { header, rows }
    }

    /// The record ids, in file order.
    ///
    /// # Panics
    /// When the first column does not hold ids.
    pub fn ids(&self) -> Vec<u64> {
        self.rows.iter().map(|row| row[0].parse().expect("a record id")).collect()
    }
}
