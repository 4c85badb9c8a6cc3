//! The ways by which notifications leave the deployment.

use serde::{Deserialize, Serialize};

/// How a notification leaves the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The deployment's event bus.
    EventBus,
    /// E-mail to the requester and to the account's addresses.
    Email,
    /// The account's own server.
    Webhook,
}

impl Channel {
    /// As it stands in keys.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::EventBus => "event-bus",
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }

    /// As it stands in sentences.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::EventBus => "the event bus",
            Self::Email => "e-mail",
            Self::Webhook => "webhook",
        }
    }
}
