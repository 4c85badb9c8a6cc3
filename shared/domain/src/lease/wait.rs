//! What an item waits for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What an item waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// When to look again.
    pub until: Timestamp,
    pub reason: WaitReason,
}

/// Why an item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// The share of the CRM's calls per day is used up.
    DailyLimit,
    /// The CRM asked for a pause, or the next free slot is far away.
    RateLimit,
    /// The CRM does not answer.
    CrmUnavailable,
    /// The run has got on, and its time was over before the work was; another run goes on at once.
    RunOver,
    /// A service of the deployment does not answer, or refuses.
    ServiceUnavailable,
    /// The CRM's counts lag behind its records, and are asked for again.
    CountsLag,
    /// A run that may still write has not ended.
    RunsEnding,
}

impl WaitReason {
    /// What it is, and what to do, for people who wait.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::DailyLimit => {
                "The calls that the CRM allows in a day are used up, by backups and by other apps of the account. It goes \
                 on by itself; `callShare` says what share of them backups may use."
            }
            Self::RateLimit => {
                "The calls that the CRM allows within ten seconds are used up, or it asks for a pause. It goes on by itself."
            }
            Self::CrmUnavailable => {
                "The CRM does not answer, or not usefully. What was read is kept, and it goes on by itself once the CRM \
                 answers."
            }
            Self::RunsEnding => "A run was cut off. Another one takes over in a moment.",
            // None of the others is the CRM's doing.
            _ => "A service of the deployment is busy or does not answer. It goes on by itself.",
        }
    }

    /// Whether a run that ends with such a wait counts as an attempt.
    pub const fn is_fruitless(self) -> bool {
        matches!(self, Self::ServiceUnavailable)
    }
}
