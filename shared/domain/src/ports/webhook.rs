//! Webhooks: telling a customer's own server about a notification.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

/// Why a URL cannot be a webhook's. The text names what would be right and never the URL, whose path may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefused {
    /// Not an absolute `https` URL, or one with a user name, a password or a fragment, or longer than 2,000 characters.
    #[error("the URL must be an absolute https URL of at most 2,000 characters, without a user name or a fragment")]
    Malformed,
    /// Its host has no address.
    #[error("the URL's host name has no address")]
    Unresolved,
    /// One of its host's addresses is not on the public internet.
    #[error("the URL's host is not on the public internet")]
    Private,
}

/// One notification as a webhook's receiver gets it.
#[derive(Debug, Clone, Copy)]
pub struct WebhookMessage<'a> {
    /// The same in all attempts to deliver the same notification, so that a receiver can drop repetitions.
    pub id: &'a str,
    /// When this attempt is made; part of what is signed.
    pub at: Timestamp,
    pub body: &'a str,
    /// What the message is signed with, as the receiver knows it: `whsec_` and the key in base64.
    pub secret: &'a SecretString,
}

/// Why a message did not arrive, in words that do not repeat the URL or the answer's body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The URL is not allowed, or not any more.
    #[error(transparent)]
    Refused(#[from] WebhookRefused),
    /// The receiver answered with a status other than 200 to 299; redirects are not followed.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// There was no answer.
    #[error("the receiver did not answer: {0}")]
    NoAnswer(&'static str),
    /// The stored secret is no key.
    #[error("the webhook's secret is no key; set the webhook again with a new secret")]
    SecretUnusable,
}

/// Sends webhooks. Never to an address that is not on the public internet, unless the deployment names it.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Whether messages may be sent to `url` now. Looks its host up, and sends nothing.
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
