//! Documents in object storage that are too large for the ledger: columns, manifests, plans. Errors quote none of their
//! contents.

use bytes::Bytes;
use domain::format::{self, Document, NotRead};
use domain::ports::storage::{BlobReader, BlobWriter, StorageError};

/// Reads the document at `key`.
///
/// # Errors
/// [`StorageError`]; [`StorageError::Unreadable`] if only a later version can read it, and [`StorageError::Refused`] if
/// no version can.
pub(crate) async fn read<T: Document>(reader: &dyn BlobReader, key: &str) -> Result<T, StorageError> {
    let bytes = reader.read(key, None).await?;
    format::read(&bytes).map_err(|why| not_read(key, &why))
}

/// Reads the document at `key`, one value per line.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_lines<T: Document>(reader: &dyn BlobReader, key: &str) -> Result<Vec<T>, StorageError> {
    let bytes = reader.read(key, None).await?;
    lines(&bytes, key).collect()
}

/// The values in the lines of the document `bytes`, which was read at `key`, one at a time.
///
/// # Errors
/// For each line, as [`read`].
pub(crate) fn lines<'a, T: Document + 'a>(
    bytes: &'a [u8],
    key: &'a str,
) -> impl Iterator<Item = Result<T, StorageError>> + 'a {
    format::lines(bytes).map(move |line| line.map_err(|why| not_read(key, &why)))
}

/// Like [`read_lines`], but empty if there is no such document.
///
/// # Errors
/// As [`read_lines`].
pub(crate) async fn read_lines_if_any<T: Document>(reader: &dyn BlobReader, key: &str) -> Result<Vec<T>, StorageError> {
    match read_lines(reader, key).await {
        Err(StorageError::Absent(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Appends `value` as a line of its own to `lines`.
///
/// # Errors
/// [`StorageError::Refused`] if it cannot be written as JSON, which is a fault of its type.
pub(crate) fn add_line<T: Document>(value: &T, lines: &mut Vec<u8>) -> Result<(), StorageError> {
    format::add_line(value, lines)
        .map_err(|error| StorageError::Refused(format!("a line cannot be written: {:?}", error.classify())))
}

/// The error for an unreadable object at `key`.
pub(crate) fn not_read(key: &str, why: &NotRead) -> StorageError {
    match why {
        NotRead::Newer { .. } | NotRead::Unknown { .. } => StorageError::Unreadable(key.to_owned(), why.to_string()),
        NotRead::Broken { .. } => StorageError::Refused(format!("{key} is unreadable: {why}")),
    }
}

/// Writes `value` to `key`. Only runs that write the same value use this key.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn write<T: Document + Sync>(
    writer: &dyn BlobWriter,
    key: &str,
    value: &T,
) -> Result<(), StorageError> {
    let json =
        format::write(value).map_err(|error| StorageError::Refused(format!("{key} cannot be written: {error}")))?;
    write_bytes(writer, key, json).await
}

/// Writes a finished document to `key`. Only runs that write the same document use this key.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn write_bytes(writer: &dyn BlobWriter, key: &str, json: Vec<u8>) -> Result<(), StorageError> {
    match writer.write_new(key, Bytes::from(json), "application/json").await {
        // Our own write, whose answer was lost, or that of a run that wrote the same.
        Ok(_) | Err(StorageError::AlreadyExists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use domain::restore::outcome::ValueOutcome;
    use futures_util::FutureExt as _;
    use fuzz::{Form, Target};
    use in_memory::MemoryStorage;

    use super::*;

    const WORDS: &[&str] = &[
        "id", "property", "before", "target", "fate", "written", "after", "unclear", "failed", "code", "message",
        "canary",
    ];

    fn lines_of(document: &[u8]) -> Result<Vec<ValueOutcome>, StorageError> {
        let objects = MemoryStorage::new();
        let written = write_bytes(&objects, "key", document.to_vec()).now_or_never().expect("nothing to wait for");
        written.expect("a new object");
        read_lines(&objects, "key").now_or_never().expect("nothing to wait for")
    }

    /// Either each line is read and written back unchanged, or all are refused with errors that quote none of them.
    #[test]
    fn fuzz_stored_json() {
        Target::new("stored_json", Form::JsonLines, WORDS).fuzz(|document| match lines_of(document) {
            Ok(lines) => {
                let mut again = Vec::new();
                for line in &lines {
                    add_line(line, &mut again).expect("a line");
                }
                assert!(lines_of(&again).is_ok_and(|read| read == lines), "what is written is read otherwise");
                lines.len().min(32)
            }
            Err(error) => {
                assert!(matches!(error, StorageError::Refused(_) | StorageError::Unreadable(..)), "no passing trouble");
                assert!(!error.to_string().contains("canary"), "a value is told: {error}");
                99
            }
        });
    }
}
