//! The call gate: permission for calls to the CRM. The client asks before every request, so all calls count in the
//! budget.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::budget::CallKind;
use crate::lease::WaitReason;

/// Admits calls to one account's CRM.
#[async_trait]
pub trait CallGate: Send + Sync {
    /// Waits until the call may be sent.
    ///
    /// # Errors
    /// [`GateClosed`] if that would be after the end of this run.
    async fn admit(&self, kind: CallKind) -> Result<(), GateClosed>;

    /// Records that the CRM refused a call because of the limit `policy`. No call that counts against it is sent during
    /// `pause`.
    async fn refused(&self, policy: RefusedPolicy, pause: SignedDuration);

    /// Records the CRM's figure of the calls left today for all apps of the account.
    async fn daily_remaining(&self, remaining: u32);
}

/// The limit that the CRM named when it refused a call with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedPolicy {
    /// The limit per ten seconds, or an unnamed one.
    Rate,
    /// The limit of searches.
    Searches,
    /// The limit per day.
    Daily,
}

/// No call may be sent while this run lasts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no call may be sent before {until}")]
pub struct GateClosed {
    pub until: Timestamp,
    pub reason: WaitReason,
}
