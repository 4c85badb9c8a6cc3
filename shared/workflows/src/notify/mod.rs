//! Notifies people and programs of events.
//!
//! The transaction that makes an event true also puts the [`Notification`] into the ledger, and [`announce_soon`]
//! follows. Then deliver-notifications creates a delivery for every channel ([`Notify::announce`]) and makes the
//! deliveries ([`Notify::deliver`]). If a message is lost, recover-stalled sends it again.

mod announce;
mod deliver;
mod email;
pub mod inbox;
mod payload;

use std::sync::Arc;
use std::time::Duration;

use domain::notification::Notification;
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use domain::ports::outlets::{EventBus, Mailer};
use domain::ports::queue::WorkQueue;
use domain::ports::secrets::WebhookSecrets;
use domain::ports::webhook::Webhooks;
use jiff::SignedDuration;

/// Announces and delivers notifications.
#[derive(Clone)]
pub struct Notify {
    pub ledger: Arc<dyn Ledger>,
    /// Receives messages about further attempts.
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
    pub bus: Arc<dyn EventBus>,
    /// E-mail. None if the deployment has no sender address.
    pub mailer: Option<Arc<dyn Mailer>>,
    pub webhooks: Arc<dyn Webhooks>,
    /// The signing secrets of webhooks.
    pub secrets: Arc<dyn WebhookSecrets>,
    /// The base URL of the API, without a trailing slash. Links in e-mails begin with it.
    pub api_url: String,
    /// The first pause between two attempts.
    pub first_pause: Duration,
    /// How long the audit log keeps its entries.
    pub audit_kept_for: SignedDuration,
}

/// Queues the announcement of a notification that is in the ledger.
pub(crate) async fn announce_soon(queue: &dyn WorkQueue, notification: &Notification) {
    if let Err(error) = queue.send(&[notification.work()], Duration::ZERO).await {
        let id = &notification.notification_id;
        tracing::warn!(%error, notification.id = %id, "notification.announcement-not-queued");
    }
}

#[cfg(test)]
mod tests;
