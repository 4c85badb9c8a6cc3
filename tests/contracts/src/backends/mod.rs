//! The emulators, and tables, buckets, queues, buses and mails for one case each.

mod buckets;
mod event_buses;
mod mail;
mod queues;
mod secrets;
mod tables;

use std::panic::{AssertUnwindSafe, resume_unwind};

use aws::Aws;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::Credentials;
use futures_util::FutureExt;

pub use buckets::with_bucket;
pub use event_buses::{TestBus, with_event_bus};
pub use mail::{SentMails, with_mailer};
pub use queues::{TestDeadLetters, TestQueues, with_dead_letters, with_queues};
pub use secrets::{Secrets, with_secrets};
pub use tables::{create_tables, raw_item, with_tables};

/// An emulator that may be running.
#[derive(Debug, Clone, Copy)]
pub struct Backend {
    name: &'static str,
    variable: &'static str,
}

/// Amazon's own DynamoDB for one machine.
pub const DYNAMODB_LOCAL: Backend = Backend { name: "DynamoDB Local", variable: "TEST_DYNAMODB_LOCAL_URL" };
/// The emulator that the whole system runs on locally.
pub const MINISTACK: Backend = Backend { name: "MiniStack", variable: "TEST_MINISTACK_URL" };
/// An S3 that enforces the sizes of parts.
pub const LOCALSTACK_S3: Backend = Backend { name: "LocalStack S3", variable: "TEST_LOCALSTACK_S3_URL" };

impl Backend {
    /// The URL of the emulator. Prints a notice and returns None if it is not running.
    ///
    /// # Panics
    /// If it is not running and `REQUIRE_ALL=1`.
    pub fn url(self) -> Option<String> {
        let url = std::env::var(self.variable).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            let sentence = format!("no {} ({} is not set)", self.name, self.variable);
            assert!(std::env::var("REQUIRE_ALL").as_deref() != Ok("1"), "{sentence}, and REQUIRE_ALL=1");
            println!("skipped: {sentence}");
        }
        url
    }
}

/// The connection to the emulator at `url`. Emulators accept any credentials, and separate accounts and regions by
/// them.
pub async fn connect(url: &str) -> Aws {
    connect_as(url, "test").await
}

/// Like [`connect`], with an access key. 12 digits are the number of an AWS account.
async fn connect_as(url: &str, access_key: &str) -> Aws {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(access_key, "test", None, None, "contracts"));
    Aws::load_with(loader).await
}

/// A name that no other case uses.
fn random_name(kind: &str) -> String {
    format!("contract-{kind}-{}", uuid::Uuid::new_v4().simple())
}

/// The number of an AWS account that no other case uses.
fn random_account() -> String {
    format!("{:012}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000_000)
}

/// Runs `case`, then `cleanup` even if the case panicked, then passes the panic on.
///
/// The caller boxes both, since the SDK's futures are large.
async fn finally(case: impl Future<Output = ()> + Unpin, cleanup: impl Future<Output = ()> + Unpin) {
    let outcome = AssertUnwindSafe(case).catch_unwind().await;
    cleanup.await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
