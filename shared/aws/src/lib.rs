//! The ports on AWS: the ledger on `DynamoDB`, blobs on S3, work and dead letters on SQS, CRM tokens and webhooks'
//! signing keys in Secrets Manager, e-mail through SES, domain events on EventBridge.
//!
//! Endpoints come from the environment as the SDK reads it (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` and so on), so
//! the same binaries run on AWS and on emulators. Errors name the operation and the service's error code, and never
//! what was sent.

mod clock;
mod dead_letters;
mod event_bus;
mod failure;
pub mod ledger;
mod mail;
mod queues;
mod secrets;
mod storage;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

pub use clock::SystemClock;
pub use dead_letters::SqsDeadLetters;
pub use event_bus::{EVENT_SOURCE, EventBridgeBus};
pub use ledger::{DynamoDbLedger, LedgerTables};
pub use mail::SesMailer;
pub use queues::{QueueUrls, SqsQueues};
pub use secrets::{SecretsManagerTokens, SecretsManagerWebhookSecrets};
pub use storage::S3Storage;

/// The most sendings of a request by the SDK, with its own backoff in between.
const MAX_SENDS: u32 = 4;

/// The process's connection to AWS. It is made once, and its clients share its HTTP connections and credentials.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
}

impl Aws {
    /// Reads region, credentials and endpoints from the environment.
    pub async fn load() -> Self {
        Self::load_with(aws_config::defaults(behavior())).await
    }

    /// Like [`Aws::load`], but settings of `loader` take precedence over the environment.
    pub async fn load_with(loader: ConfigLoader) -> Self {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = loader
            .behavior_version(behavior())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_SENDS))
            .timeout_config(timeouts(Duration::from_secs(10), Duration::from_secs(30)))
            .load()
            .await;
        Self { config }
    }

    /// The settings of all clients, for calls outside the ports.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// The ledger in `tables`, which have the schema that [`ledger`] describes.
    pub fn ledger(&self, tables: LedgerTables) -> DynamoDbLedger {
        // Requests are small and answered in milliseconds, so a lost one is repeated soon.
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .timeout_config(timeouts(Duration::from_secs(5), Duration::from_secs(20)))
            .build();
        DynamoDbLedger::new(aws_sdk_dynamodb::Client::from_conf(config), tables)
    }

    /// The blobs in `bucket`.
    pub fn storage(&self, bucket: impl Into<String>) -> S3Storage {
        let config = storage::client_config(&self.config);
        S3Storage::new(aws_sdk_s3::Client::from_conf(config), bucket)
    }

    /// The work queues at `urls`.
    pub fn queues(&self, urls: QueueUrls) -> SqsQueues {
        SqsQueues::new(aws_sdk_sqs::Client::new(&self.config), urls)
    }

    /// CRM tokens in secrets whose names are `name_prefix` and the account's id.
    pub fn tokens(&self, name_prefix: impl Into<String>) -> SecretsManagerTokens {
        SecretsManagerTokens::new(aws_sdk_secretsmanager::Client::new(&self.config), name_prefix)
    }

    /// Webhooks' signing keys in the secrets of [`Aws::tokens`]. Earlier versions kept them under `earlier_prefix`.
    pub fn webhook_secrets(
        &self,
        name_prefix: impl Into<String>,
        earlier_prefix: impl Into<String>,
    ) -> SecretsManagerWebhookSecrets {
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        SecretsManagerWebhookSecrets::new(client, name_prefix, earlier_prefix)
    }

    /// The dead-letter queues at `urls`.
    pub fn dead_letters(&self, urls: Vec<String>) -> SqsDeadLetters {
        SqsDeadLetters::new(aws_sdk_sqs::Client::new(&self.config), urls)
    }

    /// E-mails from the address `sender`.
    pub fn mailer(&self, sender: impl Into<String>) -> SesMailer {
        SesMailer::new(aws_sdk_sesv2::Client::new(&self.config), sender)
    }

    /// The event bus that is named `name`.
    pub fn event_bus(&self, name: impl Into<String>) -> EventBridgeBus {
        EventBridgeBus::new(aws_sdk_eventbridge::Client::new(&self.config), name)
    }
}

/// The SDK's defaults as of a date, so that an update of the SDK changes none of them silently.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Time limits for one sending of a request and for all sendings together.
fn timeouts(one_send: Duration, all_sends: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(one_send)
        .operation_timeout(all_sends)
        .build()
}
