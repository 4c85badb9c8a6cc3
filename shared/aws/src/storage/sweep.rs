//! Deleting all blobs and uploads below a prefix.

use async_trait::async_trait;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use domain::ports::storage::{BlobSweeper, MultipartUploads, StorageError, UploadId};

use super::S3Storage;
use super::failure::{Precondition, storage_error};

#[async_trait]
impl BlobSweeper for S3Storage {
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError> {
        if prefix.is_empty() {
            return Err(StorageError::Refused("sweeping everything".to_owned()));
        }
        Ok(self.delete_objects(prefix).await? + self.abort_uploads(prefix).await?)
    }
}

impl S3Storage {
    async fn delete_objects(&self, prefix: &str) -> Result<u64, StorageError> {
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut deleted = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| storage_error("ListObjectsV2", prefix, Precondition::Nothing, &e))?;
            let keys: Vec<_> = page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect();
            // A page holds at most 1,000 keys, and so does one deletion.
            deleted += self.delete(prefix, keys).await?;
        }
        Ok(deleted)
    }

    async fn delete(&self, prefix: &str, keys: Vec<String>) -> Result<u64, StorageError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let count = keys.len() as u64;
        let refused = |e: aws_sdk_s3::error::BuildError| StorageError::Refused(e.to_string());
        let named = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let named = named.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let delete = Delete::builder().set_objects(Some(named)).quiet(true).build().map_err(refused)?;
        let answer = self.client.delete_objects().bucket(&self.bucket).delete(delete).send().await;
        let answer = answer.map_err(|e| storage_error("DeleteObjects", prefix, Precondition::Nothing, &e))?;
        match answer.errors() {
            [] => Ok(count),
            [first, ..] => {
                let code = first.code().unwrap_or("no error code");
                let left = answer.errors().len();
                Err(StorageError::Unavailable(format!("DeleteObjects: {left} of {count} were left ({code})")))
            }
        }
    }

    pub(super) async fn abort_uploads(&self, prefix: &str) -> Result<u64, StorageError> {
        let mut aborted = 0;
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(|e| storage_error("ListMultipartUploads", prefix, Precondition::Nothing, &e))?;
            for upload in page.uploads() {
                if let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) {
                    self.abort(key, &UploadId(id.to_owned())).await?;
                    aborted += 1;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(aborted);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}
