//! Buckets.

use aws::S3Storage;
use aws_sdk_s3::Client;
use domain::ports::storage::BlobSweeper;
use domain::storage_keys::{ARCHIVES, SEGMENTS};

use super::{Backend, connect, finally, random_name};

/// Runs `case` with a bucket on `backend` that is removed afterwards, and the bucket's name. Keys of a case begin with
/// `t/`, or belong to a backup.
///
/// # Panics
/// If the case panics, or the bucket cannot be created or removed.
pub async fn with_bucket(backend: Backend, case: impl AsyncFnOnce(S3Storage, String)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let config = aws_sdk_s3::config::Builder::from(aws.sdk_config()).force_path_style(true).build();
    let client = Client::from_conf(config);
    let bucket = random_name("objects");
    client.create_bucket().bucket(&bucket).send().await.expect("bucket made");
    let blobs = aws.storage(&bucket);
    let removed = Box::pin(async {
        for prefix in ["t/", SEGMENTS, ARCHIVES] {
            blobs.sweep(prefix).await.expect("bucket emptied");
        }
        client.delete_bucket().bucket(&bucket).send().await.expect("bucket removed");
    });
    finally(Box::pin(case(blobs.clone(), bucket.clone())), removed).await;
}
