//! Object storage that counts what passes through the worker.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws::S3Storage;
use bytes::Bytes;
use domain::ports::storage::{
    BlobInfo, BlobReader, BlobWriter, CopySource, ETag, MultipartUploads, StorageError, UploadId, UploadedPart,
};

/// S3, with a count of the bytes read from it and written to it.
pub(super) struct CountedObjects {
    objects: S3Storage,
    moved: AtomicU64,
}

impl CountedObjects {
    pub(super) fn new(objects: S3Storage) -> Self {
        Self { objects, moved: AtomicU64::new(0) }
    }

    /// Bytes read and written; what was copied inside storage is not among them.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    fn count(&self, bytes: &Bytes) {
        self.moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl BlobReader for CountedObjects {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError> {
        self.objects.head(key).await
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.objects.read(key, range).await.inspect(|bytes| self.count(bytes))
    }

    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError> {
        self.objects.read_source(source).await.inspect(|bytes| self.count(bytes))
    }
}

#[async_trait]
impl BlobWriter for CountedObjects {
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError> {
        self.count(&bytes);
        self.objects.write_new(key, bytes, content_type).await
    }
}

#[async_trait]
impl MultipartUploads for CountedObjects {
    async fn begin(&self, key: &str, content_type: &str) -> Result<UploadId, StorageError> {
        self.objects.begin(key, content_type).await
    }

    async fn write_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<UploadedPart, StorageError> {
        self.count(&bytes);
        self.objects.write_part(key, upload, number, bytes).await
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError> {
        self.objects.copy_part(key, upload, number, source).await
    }

    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError> {
        self.objects.parts(key, upload).await
    }

    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError> {
        self.objects.complete_new(key, upload, parts).await
    }

    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError> {
        self.objects.abort(key, upload).await
    }

    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError> {
        self.objects.abort_all(prefix).await
    }
}
