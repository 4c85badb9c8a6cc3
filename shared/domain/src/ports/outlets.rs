//! Outlets of notifications besides webhooks: e-mail, and an event bus for customers' own automation. Both deliver at
//! least once.

use async_trait::async_trait;
use jiff::Timestamp;

/// An e-mail in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    /// Each line ends with `\n`.
    pub text: String,
}

/// A domain event on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEvent {
    /// The event's title, such as `Backup Completed`.
    pub detail_type: String,
    pub at: Timestamp,
    pub detail: String,
}

/// A message was not sent. The text names no address and quotes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutletError {
    /// A retry can help. The message may have been sent.
    #[error("not delivered: {0}")]
    Unavailable(String),
    /// A retry would be refused too, such as a message to an address that the service does not accept.
    #[error("refused: {0}")]
    Refused(String),
}

/// Sends e-mails in plain text.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends `mail`. Its subject arrives as one line.
    ///
    /// # Errors
    /// [`OutletError`].
    async fn send(&self, mail: &Mail) -> Result<(), OutletError>;
}

/// Publishes events on the deployment's event bus.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Publishes `event`.
    ///
    /// # Errors
    /// [`OutletError`].
    async fn publish(&self, event: &BusEvent) -> Result<(), OutletError>;
}
