//! Where notifications leave the deployment, apart from webhooks: e-mail, and an event bus that customers hang their own
//! automation on. Both deliver at least once.

use async_trait::async_trait;
use jiff::Timestamp;

/// An e-mail in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    /// Lines that end with `\n`.
    pub text: String,
}

/// A domain event on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEvent {
    /// What happened, such as `Backup Completed`.
    pub detail_type: String,
    pub at: Timestamp,
    pub detail: String,
}

/// Something did not leave. The text names no address and quotes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutletError {
    /// Trying again can help; it may have left.
    #[error("not delivered: {0}")]
    Unavailable(String),
    /// It will be refused again, as an address that the service does not take.
    #[error("refused: {0}")]
    Refused(String),
}

/// Sends e-mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends `mail`. Its subject arrives as one line.
    ///
    /// # Errors
    /// [`OutletError`].
    async fn send(&self, mail: &Mail) -> Result<(), OutletError>;
}

/// Publishes domain events.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Publishes `event`.
    ///
    /// # Errors
    /// [`OutletError`].
    async fn publish(&self, event: &BusEvent) -> Result<(), OutletError>;
}
