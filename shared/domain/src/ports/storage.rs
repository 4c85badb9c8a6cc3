//! Object storage, in S3's terms. Contract: reads see every earlier write; a write "if new" leaves an existing object
//! as it was; a copy is refused when its source is no longer the object that its `ETag` names.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// S3's identification of an object's or a part's content, quotes included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(pub String);

/// S3's name of an unfinished multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(pub String);

/// What storage knows about an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    pub etag: ETag,
    /// Its size in bytes.
    pub size: u64,
}

/// A finished part of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    pub number: u16,
    /// What completing the upload must name.
    pub etag: ETag,
    /// Its size in bytes; 0 where the answer to a copy does not tell.
    pub size: u64,
}

/// Reads objects.
#[async_trait]
pub trait BlobReader: Send + Sync {
    /// # Errors
    /// [`StorageError`]; an absent object is None and not an error.
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError>;

    /// The bytes of `range`, or all of them; the caller bounds what fits into memory.
    ///
    /// # Errors
    /// [`StorageError`], [`StorageError::Absent`] among them.
    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError>;

    /// The bytes of a range of an object, as long as its content is still the one that `source.etag` names.
    ///
    /// # Errors
    /// [`StorageError::Changed`] when it is not; others, [`StorageError::Absent`] among them.
    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError>;
}

/// Writes whole objects.
#[async_trait]
pub trait BlobWriter: Send + Sync {
    /// Writes an object that must not exist yet.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`] when there is one; others.
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError>;
}

/// Writes objects in parts. All but the last part of an upload are at least 5 MiB.
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

    /// Copies a range of an object (5 MiB to 5 GiB, source larger than 5 MiB) into a part, inside storage.
    ///
    /// # Errors
    /// [`StorageError::Changed`] when the source is no longer the object that `source.etag` names; others.
    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError>;

    /// The parts that an upload has so far, by number; None when there is no such upload (any more).
    ///
    /// # Errors
    /// [`StorageError`].
    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError>;

    /// Makes the object out of its parts; it must not exist yet.
    ///
    /// # Errors
    /// [`StorageError::AlreadyExists`], [`StorageError::Absent`] when the upload has ended; others.
    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError>;

    /// Ends an upload without making an object. An upload that has already ended is fine.
    ///
    /// # Errors
    /// [`StorageError`].
    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError>;

    /// Ends all uploads whose keys begin with `prefix`, without making objects. Finished objects stay. Returns how many
    /// uploads were ended.
    ///
    /// # Errors
    /// [`StorageError`]; some may have been ended.
    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError>;
}

/// A range of an object to copy or read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    pub key: String,
    /// Its content must still be this.
    pub etag: ETag,
    /// Which bytes of it.
    pub range: Range<u64>,
}

/// Removes what nobody needs any more.
#[async_trait]
pub trait BlobSweeper: Send + Sync {
    /// Deletes every object whose key begins with `prefix` and aborts every unfinished upload there. Repeating it is
    /// fine. Returns how many objects and uploads went.
    ///
    /// # Errors
    /// [`StorageError`]; some may have gone already.
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError>;
}

/// Makes links that let their holder download one object for a while.
#[async_trait]
pub trait DownloadLinks: Send + Sync {
    /// A link to `key`, valid for `valid_for`, saved by browsers as `file_name`. Whoever holds it can download.
    ///
    /// # Errors
    /// [`StorageError`].
    async fn link(&self, key: &str, file_name: &str, valid_for: Duration) -> Result<SecretString, StorageError>;
}

/// Object storage failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No such object or upload.
    #[error("there is no object or upload '{0}'")]
    Absent(String),
    /// A write that must be new met an object.
    #[error("the object '{0}' exists already")]
    AlreadyExists(String),
    /// The source of a copy changed.
    #[error("the object '{0}' is not the one that was meant")]
    Changed(String),
    /// An object holds what the present code does not know. A later version wrote it, most likely, and can read it: trying
    /// again helps once that version is deployed everywhere.
    #[error("the object '{0}' is unreadable: {1}")]
    Unreadable(String, String),
    /// Storage refused, and will again.
    #[error("object storage refused: {0}")]
    Refused(String),
    /// Storage did not answer, or not usefully. Trying again can help; a write may have happened.
    #[error("object storage is unavailable: {0}")]
    Unavailable(String),
}

impl StorageError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unreadable(..))
    }
}
