//! Object storage behind a wire.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use domain::ports::storage::{
    BlobInfo, BlobReader, BlobSweeper, BlobWriter, CopySource, ETag, MultipartUploads, StorageError, UploadId,
    UploadedPart,
};

use super::Latent;

/// All that the use cases need of object storage.
pub trait Storage: BlobReader + BlobWriter + MultipartUploads + BlobSweeper {}

impl<T: BlobReader + BlobWriter + MultipartUploads + BlobSweeper + ?Sized> Storage for T {}

#[async_trait]
impl<T: BlobReader + ?Sized> BlobReader for Latent<T> {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError> {
        self.wire(self.port.head(key)).await
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.wire(self.port.read(key, range)).await
    }

    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError> {
        self.wire(self.port.read_source(source)).await
    }
}

#[async_trait]
impl<T: BlobWriter + ?Sized> BlobWriter for Latent<T> {
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError> {
        self.wire(self.port.write_new(key, bytes, content_type)).await
    }
}

#[async_trait]
impl<T: MultipartUploads + ?Sized> MultipartUploads for Latent<T> {
    async fn begin(&self, key: &str, content_type: &str) -> Result<UploadId, StorageError> {
        self.wire(self.port.begin(key, content_type)).await
    }

    async fn write_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<UploadedPart, StorageError> {
        self.wire(self.port.write_part(key, upload, number, bytes)).await
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError> {
        self.wire(self.port.copy_part(key, upload, number, source)).await
    }

    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError> {
        self.wire(self.port.parts(key, upload)).await
    }

    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError> {
        self.wire(self.port.complete_new(key, upload, parts)).await
    }

    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError> {
        self.wire(self.port.abort(key, upload)).await
    }

    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError> {
        self.wire(self.port.abort_all(prefix)).await
    }
}

#[async_trait]
impl<T: BlobSweeper + ?Sized> BlobSweeper for Latent<T> {
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError> {
        self.wire(self.port.sweep(prefix)).await
    }
}
