//! Blobs written in parts, and parts copied from other blobs inside S3.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Part};
use bytes::Bytes;
use domain::ports::storage::{CopySource, ETag, MultipartUploads, StorageError, UploadId, UploadedPart};

use super::failure::{Precondition, etag, storage_error};
use super::{S3Storage, range_header};

#[async_trait]
impl MultipartUploads for S3Storage {
    async fn begin(&self, key: &str, content_type: &str) -> Result<UploadId, StorageError> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .send()
            .await
            .map_err(|e| storage_error("CreateMultipartUpload", key, Precondition::Nothing, &e))?;
        let id = answer.upload_id.map(UploadId);
        id.ok_or_else(|| StorageError::Unavailable("CreateMultipartUpload: answer without an id".to_owned()))
    }

    async fn write_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<UploadedPart, StorageError> {
        let size = bytes.len() as u64;
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(&upload.0)
            .part_number(number.into())
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|e| storage_error("UploadPart", key, Precondition::Nothing, &e))?;
        Ok(UploadedPart { number, etag: etag("UploadPart", answer.e_tag)?, size })
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError> {
        if source.range.is_empty() {
            return Err(StorageError::Refused(format!("an empty range of '{}'", source.key)));
        }
        let answer = self
            .client
            .upload_part_copy()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(&upload.0)
            .part_number(number.into())
            .copy_source(percent_encoded(&format!("{}/{}", self.bucket, source.key)))
            .copy_source_if_match(&source.etag.0)
            .copy_source_range(range_header(&source.range))
            .send()
            .await
            .map_err(|e| storage_error("UploadPartCopy", key, Precondition::Source(&source.key), &e))?;
        let etag = etag("UploadPartCopy", answer.copy_part_result.and_then(|result| result.e_tag))?;
        Ok(UploadedPart { number, etag, size: source.range.end - source.range.start })
    }

    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError> {
        let list = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(&upload.0);
        let mut pages = list.into_paginator().send();
        let mut parts = Vec::new();
        while let Some(page) = pages.next().await {
            match page.map_err(|e| storage_error("ListParts", key, Precondition::Nothing, &e)) {
                Ok(page) => {
                    for part in page.parts.unwrap_or_default() {
                        parts.push(uploaded(part)?);
                    }
                }
                Err(StorageError::Absent(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(parts))
    }

    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError> {
        let completed =
            |part: &UploadedPart| CompletedPart::builder().part_number(part.number.into()).e_tag(&part.etag.0).build();
        let named = CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(completed).collect())).build();
        // S3 may take minutes to join thousands of parts.
        let patient = Builder::new().timeout_config(crate::timeouts(Duration::from_mins(5), Duration::from_mins(10)));
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(&upload.0)
            .if_none_match("*")
            .multipart_upload(named)
            .customize()
            .config_override(patient)
            .send()
            .await
            .map_err(|e| storage_error("CompleteMultipartUpload", key, Precondition::Target, &e))?;
        etag("CompleteMultipartUpload", answer.e_tag)
    }

    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError> {
        let answer =
            self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(&upload.0).send().await;
        match answer.map_err(|e| storage_error("AbortMultipartUpload", key, Precondition::Nothing, &e)) {
            Ok(_) | Err(StorageError::Absent(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError> {
        if prefix.is_empty() {
            return Err(StorageError::Refused("aborting everything".to_owned()));
        }
        self.abort_uploads(prefix).await
    }
}

fn uploaded(part: Part) -> Result<UploadedPart, StorageError> {
    let number = part.part_number.and_then(|number| u16::try_from(number).ok());
    let size = part.size.and_then(|size| u64::try_from(size).ok());
    match (number, size) {
        (Some(number), Some(size)) => Ok(UploadedPart { number, etag: etag("ListParts", part.e_tag)?, size }),
        _ => Err(StorageError::Unavailable("ListParts: answer without number or size".to_owned())),
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// `path` percent-encoded, for the header with a copy's source.
fn percent_encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_copies_are_percent_encoded() {
        assert_eq!(percent_encoded("b/segments/1/p_x-1.deflate"), "b/segments/1/p_x-1.deflate");
        assert_eq!(percent_encoded("b/a b+ü%"), "b/a%20b%2B%C3%BC%25");
    }
}
