//! Documents in object storage that are too large for the ledger: columns, manifests, plans. Errors quote nothing of them.

use bytes::Bytes;
use domain::format::{self, Document, NotRead};
use domain::ports::objects::{ObjectReader, ObjectWriter, StorageError};

/// Reads the document at `key`.
///
/// # Errors
/// [`StorageError`]; [`StorageError::Unreadable`] when only a later version can read it, and [`StorageError::Refused`] when
/// none can.
pub(crate) async fn read<T: Document>(reader: &dyn ObjectReader, key: &str) -> Result<T, StorageError> {
    let bytes = reader.read(key, None).await?;
    format::read(&bytes).map_err(|why| not_read(key, &why))
}

/// Reads the document at `key`, one value in each line.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_lines<T: Document>(reader: &dyn ObjectReader, key: &str) -> Result<Vec<T>, StorageError> {
    let bytes = reader.read(key, None).await?;
    format::read_lines(&bytes).map_err(|why| not_read(key, &why))
}

/// As [`read_lines`]; nothing where there is no such document.
///
/// # Errors
/// As [`read_lines`].
pub(crate) async fn read_lines_if_any<T: Document>(
    reader: &dyn ObjectReader,
    key: &str,
) -> Result<Vec<T>, StorageError> {
    match read_lines(reader, key).await {
        Err(StorageError::Absent(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Appends `value` as a line of its own to `lines`.
///
/// # Errors
/// [`StorageError::Refused`] when it cannot be written as JSON, which is a fault of its type.
pub(crate) fn add_line<T: Document>(value: &T, lines: &mut Vec<u8>) -> Result<(), StorageError> {
    format::add_line(value, lines)
        .map_err(|error| StorageError::Refused(format!("a line cannot be written: {:?}", error.classify())))
}

/// What it means that the object at `key` cannot be read.
pub(crate) fn not_read(key: &str, why: &NotRead) -> StorageError {
    match why {
        NotRead::Newer { .. } | NotRead::Unknown { .. } => StorageError::Unreadable(key.to_owned(), why.to_string()),
        NotRead::Broken { .. } => StorageError::Refused(format!("{key} is unreadable: {why}")),
    }
}

/// Writes `value` to `key`, which only runs write that write the same.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn write<T: Document + Sync>(
    writer: &dyn ObjectWriter,
    key: &str,
    value: &T,
) -> Result<(), StorageError> {
    let json =
        format::write(value).map_err(|error| StorageError::Refused(format!("{key} cannot be written: {error}")))?;
    write_bytes(writer, key, json).await
}

/// Writes a finished document to `key`, which only runs write that write the same.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn write_bytes(writer: &dyn ObjectWriter, key: &str, json: Vec<u8>) -> Result<(), StorageError> {
    match writer.write_new(key, Bytes::from(json), "application/json").await {
        // Our own write whose answer was lost, or that of a run that wrote the same.
        Ok(_) | Err(StorageError::AlreadyExists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
