//! Documents in object storage that are too large for the ledger: columns, manifests, plans. Errors quote nothing of them.

use bytes::Bytes;
use domain::ports::objects::{ObjectReader, ObjectWriter, StorageError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the document at `key`.
///
/// # Errors
/// [`StorageError`]; [`StorageError::Refused`] when it is not what was expected.
pub(crate) async fn read<T: DeserializeOwned>(reader: &dyn ObjectReader, key: &str) -> Result<T, StorageError> {
    let bytes = reader.read(key, None).await?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(key, &error))
}

/// Reads the document at `key`, one value in each line.
///
/// # Errors
/// [`StorageError`]; [`StorageError::Refused`] when it is not what was expected.
pub(crate) async fn read_lines<T: DeserializeOwned>(
    reader: &dyn ObjectReader,
    key: &str,
) -> Result<Vec<T>, StorageError> {
    let bytes = reader.read(key, None).await?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| unreadable(key, &error))).collect()
}

/// As [`read_lines`]; nothing where there is no such document.
///
/// # Errors
/// As [`read_lines`].
pub(crate) async fn read_lines_if_any<T: DeserializeOwned>(
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
pub(crate) fn add_line<T: Serialize>(value: &T, lines: &mut Vec<u8>) -> Result<(), StorageError> {
    serde_json::to_writer(&mut *lines, value)
        .map_err(|error| StorageError::Refused(format!("a line cannot be written: {:?}", error.classify())))?;
    lines.push(b'\n');
    Ok(())
}

/// A parser's own words would quote what it found.
fn unreadable(key: &str, error: &serde_json::Error) -> StorageError {
    let (what, line, column) = (error.classify(), error.line(), error.column());
    StorageError::Refused(format!("{key} is unreadable ({what:?} error in line {line}, column {column})"))
}

/// Writes `value` to `key`, which only runs write that write the same.
///
/// # Errors
/// [`StorageError`].
pub(crate) async fn write<T: Serialize + Sync>(
    writer: &dyn ObjectWriter,
    key: &str,
    value: &T,
) -> Result<(), StorageError> {
    let json = serde_json::to_vec(value)
        .map_err(|error| StorageError::Refused(format!("{key} cannot be written: {error}")))?;
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

#[cfg(test)]
mod tests {
    use domain::restore::outcome::ValueOutcome;
    use futures_util::FutureExt as _;
    use fuzz::{Form, Target};
    use in_memory::MemoryObjects;

    use super::*;

    const WORDS: &[&str] = &[
        "id", "property", "before", "target", "fate", "written", "after", "unclear", "failed", "code", "message",
        "canary",
    ];

    fn lines_of(document: &[u8]) -> Result<Vec<ValueOutcome>, StorageError> {
        let objects = MemoryObjects::new();
        let written = write_bytes(&objects, "key", document.to_vec()).now_or_never().expect("nothing to wait for");
        written.expect("a new object");
        read_lines(&objects, "key").now_or_never().expect("nothing to wait for")
    }

    /// Either each line is read and written back the same, or all are refused in words that quote none of them.
    #[test]
    fn fuzz_stored_json() {
        Target::new("stored_json", Form::JsonLines, WORDS).fuzz(|document| match lines_of(document) {
            Ok(lines) => {
                let mut again = Vec::new();
                lines.iter().for_each(|line| add_line(line, &mut again).expect("a line"));
                assert!(lines_of(&again).is_ok_and(|read| read == lines), "what is written is read otherwise");
                lines.len().min(32)
            }
            Err(error) => {
                assert!(matches!(error, StorageError::Refused(_)), "trying again does not help");
                assert!(!error.to_string().contains("canary"), "a value is told: {error}");
                99
            }
        });
    }
}
