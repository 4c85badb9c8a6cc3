//! A downloaded archive, opened with a zip library that is not ours (`async_zip`, behind `archive::reader`).

use std::path::{Path, PathBuf};

use archive::reader;
use dev_stack::failure::{Failure, OrFailure, Result};
use futures_lite::future::block_on;
use futures_lite::io::Cursor;
use serde_json::Value;

use crate::journey::Journey;
use crate::portal::Portal;

/// The file that describes the others.
pub const MANIFEST: &str = "manifest.json";

/// No file of a journey's archive is larger.
const LARGEST_FILE: u64 = 1 << 30;

/// An archive on this machine.
#[derive(Debug)]
pub struct Download {
    path: PathBuf,
    zip: Vec<u8>,
    manifest: Value,
}

impl Download {
    /// Downloads the archive of a completed backup into the journey's folder and reads all of it, which checks sizes
    /// and CRCs.
    ///
    /// # Errors
    /// When the API or the storage refuses, or the archive cannot be read.
    pub fn of(journey: &Journey, backup_id: &str) -> Result<Self> {
        let path = journey.folder().join(format!("{backup_id}.zip"));
        journey.backups().download(backup_id, &path)?;
        let zip = std::fs::read(&path).or_failure(|| "the download cannot be read".to_owned())?;
        block_on(reader::verify(Cursor::new(zip.as_slice()))).or_failure(|| "the archive is damaged".to_owned())?;
        let download = Self { path, zip, manifest: Value::Null };
        let manifest = serde_json::from_slice(&download.entry(MANIFEST)?);
        Ok(Self { manifest: manifest.or_failure(|| "the manifest is not JSON".to_owned())?, ..download })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// What the manifest says about each file.
    pub fn files(&self) -> &[Value] {
        self.manifest["files"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The names of all files in it, in archive order.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let files = block_on(reader::files(Cursor::new(self.zip.as_slice())));
        let files = files.or_failure(|| "the archive cannot be listed".to_owned())?;
        Ok(files.into_iter().map(|file| file.name).collect())
    }

    /// A file of it.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn entry(&self, name: &str) -> Result<Vec<u8>> {
        let read = block_on(reader::read_file(Cursor::new(self.zip.as_slice()), name, LARGEST_FILE));
        let read = read.or_failure(|| format!("{name} cannot be read"))?;
        read.ok_or_else(|| Failure::new(format!("the archive has no {name}")))
    }

    /// What the manifest says about the file of an object, by the sandbox's name of it; None when it has no file.
    pub fn file_of(&self, object: &str) -> Option<&Value> {
        self.files().iter().find(|file| {
            let name = file["objectType"].as_str().unwrap_or_default();
            // Custom objects are named p{portal}_{name}.
            name == object || name.starts_with('p') && name.split_once('_').is_some_and(|(_, rest)| rest == object)
        })
    }

    /// The CSV file of an object.
    ///
    /// # Errors
    /// When it has none or it cannot be read.
    pub fn csv_of(&self, object: &str) -> Result<Vec<u8>> {
        let file = self.file_of(object).ok_or_else(|| Failure::new(format!("{object} has no file")))?;
        self.entry(file["name"].as_str().unwrap_or_default())
    }

    /// Checks that it holds exactly what the portal holds, value by value, that the manifest counts the same and has
    /// nothing to object to, and that objects without records have no file.
    ///
    /// # Errors
    /// The first difference.
    pub fn must_hold_all_of(&self, portal: &Portal) -> Result<()> {
        let mut with_records = 0;
        for (object, records) in portal.records()? {
            let within = |failure: Failure| Failure::new(format!("{object}: {failure}"));
            let Some(file) = self.file_of(&object).filter(|_| records > 0) else {
                if records == 0 && self.file_of(&object).is_none() {
                    continue;
                }
                return Err(within(Failure::new(format!(
                    "{records} records, and {:?} as its file",
                    self.file_of(&object)
                ))));
            };
            with_records += 1;
            portal.truth(&object)?.must_be(&self.csv_of(&object)?).map_err(within)?;
            let counted = object != "conversations";
            let stated = (file["rows"].as_u64(), file["crmTotal"].as_u64(), file["verdict"].as_str());
            let expected =
                (Some(records), counted.then_some(records), Some(if counted { "exact" } else { "uncounted" }));
            if stated != expected {
                return Err(within(Failure::new(format!("the manifest says {stated:?} instead of {expected:?}"))));
            }
        }
        let files = self.files().len();
        if files == with_records {
            Ok(())
        } else {
            Err(Failure::new(format!("{files} files of {with_records} objects")))
        }
    }
}
