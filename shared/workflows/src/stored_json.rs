//! Documents in object storage that are too large for the ledger: columns, manifests.

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
    serde_json::from_slice(&bytes).map_err(|error| StorageError::Refused(format!("{key} is unreadable: {error}")))
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
