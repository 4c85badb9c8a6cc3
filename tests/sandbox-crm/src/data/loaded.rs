//! Records from a folder of CSV files.

use std::path::{Path, PathBuf};

use super::clock::{GENERATED_UNTIL, OPENED, parse_time};
use crate::config_error::ConfigError;

/// A record from a file.
#[derive(Debug, Clone)]
pub(crate) struct LoadedRecord {
    pub(crate) id: u64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// In the file's column order without the id; an empty cell is no value.
    cells: Vec<Option<Box<str>>>,
}

/// The records of one file, ascending by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadedRecords {
    records: Vec<LoadedRecord>,
}

#[derive(Debug)]
pub(crate) struct LoadedFile {
    /// The file's name without its ending.
    pub(crate) object: String,
    /// The columns after the first.
    pub(crate) columns: Vec<String>,
    pub(crate) records: LoadedRecords,
}

impl LoadedRecords {
    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn get(&self, index: u64) -> &LoadedRecord {
        &self.records[usize::try_from(index).unwrap_or(usize::MAX)]
    }

    /// The value in a column of record `index`; rows are taken in turns where there are fewer.
    pub(crate) fn cell(&self, index: u64, column: usize) -> Option<&str> {
        let rows = self.len();
        if rows == 0 {
            return None;
        }
        self.get(index % rows).cells.get(column)?.as_deref()
    }

    pub(crate) fn first_after(&self, id: u64) -> u64 {
        self.records.partition_point(|record| record.id <= id) as u64
    }
}

/// Reads all `*.csv` files of a folder, in the order of their names.
///
/// # Errors
/// [`ConfigError::Load`] naming the file and the line.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<LoadedFile>, ConfigError> {
    let fail = |reason: std::io::Error| ConfigError::Load { path: folder.to_owned(), reason: reason.to_string() };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(PathBuf::as_path).map(read_file).collect()
}

fn read_file(path: &Path) -> Result<LoadedFile, ConfigError> {
    let fail = |reason: String| ConfigError::Load { path: path.to_owned(), reason };
    let object = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_lowercase();
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(|error| fail(error.to_string()))?;
    let header = reader.headers().map_err(|error| fail(error.to_string()))?.clone();
    let columns: Vec<String> = header.iter().skip(1).map(str::to_owned).collect();
    let time_column = |names: [&str; 3]| columns.iter().position(|column| names.contains(&column.as_str()));
    let created_column = time_column(["createdate", "hs_createdate", "createdAt"]);
    let updated_column = time_column(["hs_lastmodifieddate", "lastmodifieddate", "updatedAt"]);
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| fail(error.to_string()))?;
        let first = row.get(0).unwrap_or_default();
        let id = first.parse::<u64>().ok().filter(|id| *id > 0);
        let id = id.ok_or_else(|| fail(format!("row {}: '{first}' is not a record id", records.len() + 1)))?;
        let cells: Vec<Option<Box<str>>> =
            row.iter().skip(1).map(|cell| (!cell.is_empty()).then(|| cell.into())).collect();
        let time = |column: Option<usize>| parse_time(cells.get(column?)?.as_deref()?);
        let created_at = time(created_column).unwrap_or(OPENED);
        let updated_at = time(updated_column).unwrap_or(created_at.max(GENERATED_UNTIL));
        records.push(LoadedRecord { id, created_at, updated_at, cells });
    }
    records.sort_by_key(|record| record.id);
    if let Some(twice) = records.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(fail(format!("record {} appears twice", twice[0].id)));
    }
    Ok(LoadedFile { object, columns, records: LoadedRecords { records } })
}
