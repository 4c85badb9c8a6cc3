//! Why an item waits, and until when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A pause of an item, and the reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    pub until: Timestamp,
    pub reason: WaitReason,
}

/// Why an item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// The share of the CRM's calls per day is used up.
    DailyLimit,
    /// The CRM asked for a pause, or no call slot is free soon.
    RateLimit,
    /// The CRM does not answer.
    CrmUnavailable,
    /// The run made progress, but its time ended before the work did. Another run continues at once.
    RunOver,
    /// A service of the deployment does not answer, or refuses the call.
    ServiceUnavailable,
    /// The CRM's counts lag behind its records and are read again.
    CountsLag,
    /// A run that may still write has not ended.
    RunsEnding,
}

impl WaitReason {
    /// The reason and the remedy, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::DailyLimit => {
                "Backups and other apps of the account have used up the CRM's calls for today. The work continues by \
                 itself; `callShare` sets the share of the calls that backups may use."
            }
            Self::RateLimit => {
                "The CRM's calls for ten seconds are used up, or the CRM asks for a pause. The work continues by \
                 itself."
            }
            Self::CrmUnavailable => {
                "The CRM does not answer, or its answers cannot be used. The records that were read are kept, and the \
                 work continues by itself once the CRM answers."
            }
            Self::RunsEnding => "A run was interrupted. Another run takes over in a moment.",
            // The other reasons are not about the CRM.
            _ => "A service of the deployment is busy or does not answer. The work continues by itself.",
        }
    }

    /// Whether a run that ends with this wait uses up an attempt.
    pub const fn is_fruitless(self) -> bool {
        matches!(self, Self::ServiceUnavailable)
    }
}
