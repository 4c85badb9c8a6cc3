//! Webhooks: sending notifications to a customer's server.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

/// Why a URL cannot be a webhook's. The text states the rule and never the URL, whose path may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefused {
    /// Not an absolute `https` URL, or one with a user name, a password or a fragment, or longer than 2,000 characters.
    #[error("the URL must be an absolute https URL of at most 2,000 characters, without a user name or a fragment")]
    Malformed,
    /// The host name has no address.
    #[error("the URL's host name has no address")]
    Unresolved,
    /// An address of the host is not on the public internet.
    #[error("the URL's host is not on the public internet")]
    Private,
}

/// A notification as the webhook's receiver gets it.
#[derive(Debug, Clone, Copy)]
pub struct WebhookMessage<'a> {
    /// The same in all attempts to deliver one notification, so that a receiver can drop repetitions.
    pub id: &'a str,
    /// The time of this attempt. Part of the signed text.
    pub at: Timestamp,
    pub body: &'a str,
    /// The signing secret as the receiver knows it: `whsec_` and the key in base64.
    pub secret: &'a SecretString,
}

/// Why a message did not arrive. Repeats neither the URL nor the answer's body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The URL is not allowed, or no longer.
    #[error(transparent)]
    Refused(#[from] WebhookRefused),
    /// The receiver answered with a status other than 200 to 299. Redirects are not followed.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// There was no answer.
    #[error("the receiver did not answer: {0}")]
    NoAnswer(&'static str),
    /// The stored secret is not a valid key.
    #[error("the webhook's secret is not a valid key; set the webhook again with a new secret")]
    SecretUnusable,
}

/// Sends webhooks, only to addresses on the public internet and to targets that the deployment exempts.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Checks whether messages may be sent to `url` now. Looks up its host and sends nothing.
    ///
    /// # Errors
    /// [`WebhookRefused`].
    async fn check(&self, url: &str) -> Result<(), WebhookRefused>;

    /// Sends `message` to `url` by POST, signed, and waits for the answer.
    ///
    /// # Errors
    /// [`WebhookError`]. The message may have arrived.
    async fn send(&self, url: &str, message: WebhookMessage<'_>) -> Result<(), WebhookError>;
}
