//! Object storage, in S3's terms. Contract: reads see every earlier write. A write "if new" leaves an existing blob
//! unchanged. A copy is refused if its source no longer has the content that its `ETag` names.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// S3's identifier of a blob's or a part's content, including the quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(pub String);

/// S3's name of an unfinished multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(pub String);

/// A blob's properties, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    pub etag: ETag,
    pub size: u64,
}

/// A finished part of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    pub number: u16,
    pub etag: ETag,
    /// In bytes. 0 if the answer to a copy does not state it.
    pub size: u64,
}

/// Reads blobs and their properties.
#[async_trait]
pub trait BlobReader: Send + Sync {
    /// # Errors
    /// [`StorageError`]. An absent blob is None and not an error.
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError>;

    /// The bytes of `range`, or all of them. The caller makes sure that they fit into memory.
    ///
    /// # Errors
    /// [`StorageError::Absent`] if there is no such blob; others.
    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError>;

    /// The bytes of a range of a blob, if it still has the content that `source.etag` names.
    ///
    /// # Errors
    /// [`StorageError::Changed`] if it has not, [`StorageError::Absent`] if there is no such blob; others.
    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError>;
}

/// Writes blobs in one piece.
#[async_trait]
pub trait BlobWriter: Send + Sync {
    /// Writes a blob that must not exist yet.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`] if it exists; others.
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError>;
}

/// Writes blobs in parts. All parts of an upload but the last have at least 5 MiB.
#[async_trait]
pub trait MultipartUploads: Send + Sync {
    /// # Errors
    /// [`StorageError`].
    async fn begin(&self, key: &str, content_type: &str) -> Result<UploadId, StorageError>;

    /// # Errors
    /// [`StorageError::Absent`] when the upload has ended; others.
    async fn write_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<UploadedPart, StorageError>;

    /// Copies a range of a blob (5 MiB to 5 GiB, from a source larger than 5 MiB) into a part, inside storage.
    ///
    /// # Errors
    /// [`StorageError::Changed`] if the source no longer has the content that `source.etag` names; others.
    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError>;

    /// An upload's parts so far, by number. None if there is no such upload, or no longer.
    ///
    /// # Errors
    /// [`StorageError`].
    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError>;

    /// Makes the blob out of its parts. It must not exist yet.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`], [`StorageError::Absent`] when the upload has ended; others.
    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError>;

    /// Ends an upload without making a blob. An upload that has already ended is not an error.
    ///
    /// # Errors
    /// [`StorageError`].
    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError>;

    /// Ends all uploads whose keys begin with `prefix`, without making blobs. Finished blobs stay. Returns the number
    /// of uploads.
    ///
    /// # Errors
    /// [`StorageError`]. Some uploads may have ended.
    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError>;
}

/// A range of a blob, to copy or read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    pub key: String,
    /// The content that the blob must still have.
    pub etag: ETag,
    pub range: Range<u64>,
}

/// Deletes all blobs below a prefix.
#[async_trait]
pub trait BlobSweeper: Send + Sync {
    /// Deletes every blob whose key begins with `prefix`, and ends every unfinished upload there. It can be repeated.
    /// Returns the number of blobs and uploads.
    ///
    /// # Errors
    /// [`StorageError`]. Some may be gone already.
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError>;
}

/// Makes links to download one blob for a while.
#[async_trait]
pub trait DownloadLinks: Send + Sync {
    /// A link to `key` that is valid for `valid_for`, and that browsers save as `file_name`. Anyone with the link can
    /// download.
    ///
    /// # Errors
    /// [`StorageError`].
    async fn link(&self, key: &str, file_name: &str, valid_for: Duration) -> Result<SecretString, StorageError>;
}

/// A call to object storage failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no such blob or upload.
    #[error("there is no object or upload '{0}'")]
    Absent(String),
    /// A new blob has the key of an existing one.
    #[error("the object '{0}' already exists")]
    AlreadyExists(String),
    /// The source of a copy or a read has changed.
    #[error("the object '{0}' has other content than expected")]
    Changed(String),
    /// A blob has a form that the present code does not know. Most likely a later version wrote it: a retry helps once
    /// that version is deployed everywhere.
    #[error("the object '{0}' is unreadable: {1}")]
    Unreadable(String, String),
    /// Storage refused the call. A retry does not help.
    #[error("object storage refused: {0}")]
    Refused(String),
    /// Storage gave no usable answer. A retry can help. A write may have happened.
    #[error("object storage is unavailable: {0}")]
    Unavailable(String),
}

impl StorageError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unreadable(..))
    }
}
