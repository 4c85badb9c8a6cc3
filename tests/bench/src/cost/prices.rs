//! List prices of us-east-1, in US dollars, as AWS's price pages showed them in November 2026. Free tiers are left out.

/// A GB-second of a function on arm64 (aws.amazon.com/lambda/pricing).
pub(super) const GB_SECOND: f64 = 0.000_013_333_4;
/// A request to a function (the same page).
pub(super) const INVOCATION: f64 = 0.20e-6;
/// A read request unit of an on-demand table (aws.amazon.com/dynamodb/pricing/on-demand).
pub(super) const READ_UNIT: f64 = 0.125e-6;
/// A write request unit (the same page).
pub(super) const WRITE_UNIT: f64 = 0.625e-6;
/// A PUT, COPY, POST or LIST request of S3 Standard (aws.amazon.com/s3/pricing).
pub(super) const S3_WRITE: f64 = 5e-6;
/// A GET or HEAD request (the same page).
pub(super) const S3_READ: f64 = 0.4e-6;
/// A GB of S3 Standard for a month (the same page).
pub(super) const GB_MONTH: f64 = 0.023;
/// A request to a standard queue (aws.amazon.com/sqs/pricing).
pub(super) const SQS_REQUEST: f64 = 0.40e-6;
/// A request to Secrets Manager (aws.amazon.com/secrets-manager/pricing).
pub(super) const SECRETS_REQUEST: f64 = 5e-6;
/// An event on a custom bus (aws.amazon.com/eventbridge/pricing).
pub(super) const EVENT: f64 = 1e-6;
/// An e-mail (aws.amazon.com/ses/pricing).
pub(super) const EMAIL: f64 = 100e-6;
