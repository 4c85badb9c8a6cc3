//! What a restore waits for.

use domain::budget::WaitReason;
use domain::lease::{Leasing, Wait};
use domain::restore::slice::RestoreSlice;
use domain::restore::{Restore, RestoreState};
use jiff::Timestamp;

/// What a restore waits for: its own next step, or the first of its slices if none of them is being worked on.
pub(super) fn of(restore: &Restore, slices: &[RestoreSlice], now: Timestamp) -> Option<Wait> {
    match restore.state {
        RestoreState::Queued | RestoreState::Summarising | RestoreState::Concluding => to_come(&restore.leasing, now),
        RestoreState::Planning | RestoreState::Applying => {
            let active = slices.iter().filter(|slice| slice.is_active());
            let waits = active.map(|slice| to_come(&slice.leasing, now)).collect::<Option<Vec<_>>>()?;
            waits.into_iter().min_by_key(|wait| wait.until)
        }
        _ => None,
    }
}

/// A wait that people should know of. That one run ends and the next begins is none.
fn to_come(leasing: &Leasing, now: Timestamp) -> Option<Wait> {
    leasing.wait.filter(|wait| {
        let is_trouble = matches!(
            wait.reason,
            WaitReason::DailyLimit
                | WaitReason::RateLimit
                | WaitReason::CrmUnavailable
                | WaitReason::ServiceUnavailable
        );
        is_trouble && wait.until > now
    })
}
