//! The waits of a restore.

use domain::lease::Leasing;
use domain::lease::WaitReason;
use domain::restore::slice::RestoreSlice;
use domain::restore::{Restore, RestoreState};
use jiff::Timestamp;

use crate::backup::read::Waiting;

/// The wait of a restore: that of its own next step, or the earliest of its slices if no run is working on any of them.
pub(super) fn of(restore: &Restore, slices: &[RestoreSlice], now: Timestamp) -> Option<Waiting> {
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

/// A wait to show to people. The moment between two runs does not count as one.
fn to_come(leasing: &Leasing, now: Timestamp) -> Option<Waiting> {
    let between_runs = leasing.lease.is_none()
        && leasing.wait.is_some_and(|wait| matches!(wait.reason, WaitReason::RunOver | WaitReason::RunsEnding));
    Waiting::of_leasing(leasing, now).filter(|_| !between_runs)
}
