//! The channels by which notifications leave the deployment.

use serde::{Deserialize, Serialize};

/// One way out for notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The deployment's event bus.
    EventBus,
    /// E-mail, to the requester and the account's addresses.
    Email,
    /// The account's own server.
    Webhook,
}

impl Channel {
    /// The slug in the ledger's keys.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::EventBus => "event-bus",
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }

    /// The words for sentences.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::EventBus => "the event bus",
            Self::Email => "e-mail",
            Self::Webhook => "webhook",
        }
    }
}
