//! What a backup leaves: the archive, unzipped, and its manifest.

use std::collections::BTreeMap;

use archive::layout::MANIFEST_NAME;
use archive::manifest::Manifest;
use archive::reader;
use domain::backup::Backup;
use domain::ports::objects::ObjectReader;
use futures_lite::io::Cursor;
use in_memory::MemoryObjects;

/// A file's content, value by value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Column names.
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
    /// Reads the archive of `backup` and checks it against its checksums and its manifests.
    ///
    /// # Panics
    /// When there is none, or anything does not agree.
    pub(crate) async fn read(objects: &MemoryObjects, backup: &Backup) -> Self {
        let archive = backup.archive.as_ref().expect("a completed backup has an archive");
        let zip = objects.read(&archive.storage_key, None).await.expect("the archive is in storage");
        assert_eq!(zip.len() as u64, archive.bytes);
        let listed = reader::verify(Cursor::new(&zip)).await.expect("the archive is sound");
        let mut files = BTreeMap::new();
        for file in listed {
            let bytes = reader::read_file(Cursor::new(&zip), &file.name, file.bytes).await.expect("readable");
            files.insert(file.name, bytes.expect("listed"));
        }
        let manifest = Manifest::parse(&files.remove(MANIFEST_NAME).expect("a manifest")).expect("a sound manifest");
        let beside = objects.read(&archive.manifest_key, None).await.expect("the manifest is in storage");
        assert_eq!(Manifest::parse(&beside).expect("a sound manifest").without_places(), manifest);
        let named: Vec<_> = manifest.files.iter().map(|file| (&file.name, file.bytes)).collect();
        let found: Vec<_> = files.iter().map(|(name, bytes)| (name, bytes.len() as u64)).collect();
        assert_eq!(found, named, "the manifest names every file");
        Self { files, manifest }
    }

    /// A file, value by value.
    ///
    /// # Panics
    /// When there is no such file, it is not CSV, or it is not what the manifest says.
    pub fn table(&self, name: &str) -> Table {
        let table = Table::parse(self.files.get(name).unwrap_or_else(|| panic!("no file {name}")));
        let stated = self.manifest.files.iter().find(|file| file.name == name).expect("every file is in the manifest");
        assert_eq!(stated.rows, table.rows.len() as u64, "{name}");
        assert!(stated.columns.iter().map(|column| &column.name).eq(&table.header), "{name}");
        table
    }
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
