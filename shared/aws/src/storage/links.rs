//! Signed links, each to one blob.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::presigning::PresigningConfig;
use domain::ports::storage::{DownloadLinks, StorageError};
use secrecy::SecretString;

use super::S3Storage;
use super::failure::{Precondition, storage_error};

#[async_trait]
impl DownloadLinks for S3Storage {
    async fn link(&self, key: &str, file_name: &str, valid_for: Duration) -> Result<SecretString, StorageError> {
        let config = PresigningConfig::expires_in(valid_for)
            .map_err(|_| StorageError::Refused(format!("a link that is valid for {} s", valid_for.as_secs())))?;
        let signed = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .response_content_disposition(attachment(file_name))
            .presigned(config)
            .await
            .map_err(|e| storage_error("signing a link", key, Precondition::Nothing, &e))?;
        Ok(SecretString::from(signed.uri()))
    }
}

/// The header that makes browsers save the blob as `file_name`. Characters that need quoting become `_`.
fn attachment(file_name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._ ".contains(c) { c } else { '_' };
    format!("attachment; filename=\"{}\"", file_name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_leave_their_quotes() {
        assert_eq!(attachment("crm-backup 1.zip"), "attachment; filename=\"crm-backup 1.zip\"");
        assert_eq!(attachment("a\"; x=\r\nü"), "attachment; filename=\"a__ x____\"");
    }
}
