//! Permission to call the CRM. The client asks before every single request, so no call escapes the budget.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::budget::CallKind;
use crate::lease::WaitReason;

/// Admits calls to one account's CRM.
#[async_trait]
pub trait CallGate: Send + Sync {
    /// Returns when the call may be sent.
    ///
    /// # Errors
    /// [`GateClosed`] when that would be later than this run may last.
    async fn admit(&self, kind: CallKind) -> Result<(), GateClosed>;

    /// The CRM has refused a call for the limit that `policy` names: no call that draws on it is sent before `pause` is
    /// over.
    async fn refused(&self, policy: RefusedPolicy, pause: SignedDuration);

    /// The CRM said how many calls are left today, for all apps of the account.
    async fn daily_remaining(&self, remaining: u32);
}

/// Which limit the CRM named when it refused a call with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedPolicy {
    /// The limit per ten seconds, or one that was not named.
    Rate,
    /// The limit of searches, which no other call draws on.
    Searches,
    /// The limit per day.
    Daily,
}

/// No call may be sent while this run lasts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no call may be sent before {until}")]
pub struct GateClosed {
    /// When to look again.
    pub until: Timestamp,
    /// Which limit is used up.
    pub reason: WaitReason,
}
