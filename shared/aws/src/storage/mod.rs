//! The storage ports on S3.
//!
//! # Unclear answers
//! The SDK repeats a request if its answer was lost. So `write_new` and `complete_new` can meet the blob that their own
//! first sending made, and `complete_new` an upload that it ended. S3 does not name the writer of a blob. Callers use
//! keys with the number of their lease, which no other run writes. After [`StorageError::AlreadyExists`],
//! [`StorageError::Absent`] on completing, and [`StorageError::Unavailable`] they look with `head`, and a blob of the
//! expected size is theirs.
//!
//! # Permissions
//! Besides the permissions for the calls, a role that asks about absent blobs needs `s3:ListBucket` without a condition
//! on the prefix. Without it S3 answers 403 instead of 404, which is a refusal here.
//!
//! # Integrity
//! Bodies are signed with their SHA-256, which S3 checks, so no further checksum is sent. Blobs made of copied ranges
//! would need one for every source, and signed links would need a header that browsers do not send.

mod failure;
mod links;
mod multipart;
mod sweep;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Config, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use bytes::Bytes;
use domain::ports::storage::{BlobInfo, BlobReader, BlobWriter, CopySource, ETag, StorageError};

use self::failure::{Precondition, etag, storage_error};

/// The most fetches of a body. The SDK repeats requests, but not a body that broke off.
const READS: u32 = 3;

/// The storage ports on one bucket.
#[derive(Debug, Clone)]
pub struct S3Storage {
    client: Client,
    bucket: String,
}

impl S3Storage {
    /// The blobs in `bucket`.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    async fn read_once(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
        content: Option<&ETag>,
    ) -> Result<Bytes, StorageError> {
        let met = if content.is_some() { Precondition::Source(key) } else { Precondition::Nothing };
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_range(range.map(range_header))
            .set_if_match(content.map(|etag| etag.0.clone()))
            .send()
            .await
            .map_err(|e| storage_error("GetObject", key, met, &e))?;
        let body = answer.body.collect().await;
        body.map(AggregatedBytes::into_bytes)
            .map_err(|_| StorageError::Unavailable("GetObject: body broke off".to_owned()))
    }

    /// The bytes of `range`, or all of them. If `content` is given, only of a blob with that content.
    async fn read_if(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
        content: Option<&ETag>,
    ) -> Result<Bytes, StorageError> {
        if range.is_some_and(Range::is_empty) {
            return Err(StorageError::Refused(format!("an empty range of '{key}'")));
        }
        let mut answer = self.read_once(key, range, content).await;
        for _ in 1..READS {
            if !answer.as_ref().is_err_and(StorageError::is_retryable) {
                break;
            }
            answer = self.read_once(key, range, content).await;
        }
        let bytes = answer?;
        match range {
            Some(range) if (bytes.len() as u64) < range.end - range.start => {
                Err(StorageError::Refused(format!("a range that goes past the end of '{key}'")))
            }
            _ => Ok(bytes),
        }
    }
}

/// The SDK's settings for S3.
pub(crate) fn client_config(shared: &SdkConfig) -> Config {
    // An emulator on this machine has no host name per bucket.
    let own_endpoint = shared.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    Builder::from(shared)
        .force_path_style(own_endpoint)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // One sending moves a part of up to 128 MiB.
        .timeout_config(crate::timeouts(Duration::from_mins(1), Duration::from_secs(150)))
        .build()
}

/// `range` as an HTTP header, with both ends inclusive.
fn range_header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}

#[async_trait]
impl BlobReader for S3Storage {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError> {
        let answer = self.client.head_object().bucket(&self.bucket).key(key).send().await;
        let found = match answer.map_err(|e| storage_error("HeadObject", key, Precondition::Nothing, &e)) {
            Ok(found) => found,
            Err(StorageError::Absent(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = found.content_length().and_then(|length| u64::try_from(length).ok());
        let size = size.ok_or_else(|| StorageError::Unavailable("HeadObject: answer without a size".to_owned()))?;
        Ok(Some(BlobInfo { etag: etag("HeadObject", found.e_tag)?, size }))
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.read_if(key, range.as_ref(), None).await
    }

    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError> {
        self.read_if(&source.key, Some(&source.range), Some(&source.etag)).await
    }
}

#[async_trait]
impl BlobWriter for S3Storage {
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError> {
        let answer = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|e| storage_error("PutObject", key, Precondition::Target, &e))?;
        etag("PutObject", answer.e_tag)
    }
}
