//! Backups of an account that fail one after another for the same reason.
//!
//! A failed backup does not count against the plan, so a program could repeat it for ever, and each failure is an e-mail
//! to several people. After [`MOST_IN_A_ROW`] failures of one kind the next backup has to wait. Connecting the account
//! again, which is what most of these failures ask for, ends the wait.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// How many backups in a row may fail for the same reason before further ones pause.
pub const MOST_IN_A_ROW: u32 = 5;

/// How long after the latest failure backups pause. One that fails after the pause begins another one.
pub const PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// The latest failures of an account's backups, all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedInARow {
    /// Why the latest one failed.
    pub failure: Failure,
    /// How many backups in a row failed for a reason of this kind.
    pub times: u32,
    /// When the latest one failed.
    pub at: Timestamp,
}

impl FailedInARow {
    /// The failures after one more, because of `failure` at `now`.
    pub fn with(before: Option<&Self>, failure: &Failure, now: Timestamp) -> Self {
        let same = before.filter(|before| before.failure.kind == failure.kind);
        Self { failure: failure.clone(), times: same.map_or(0, |before| before.times).saturating_add(1), at: now }
    }

    /// Until when backups pause. None if they do not.
    pub fn paused_until(&self) -> Option<Timestamp> {
        (self.times >= MOST_IN_A_ROW).then(|| self.at + PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn after(kinds: &[FailureKind]) -> FailedInARow {
        let fail = |before: Option<FailedInARow>, kind: &FailureKind| {
            Some(FailedInARow::with(before.as_ref(), &Failure::new(kind.clone(), "No."), NOW))
        };
        kinds.iter().fold(None, fail).expect("one at least")
    }

    #[test]
    fn five_failures_of_one_kind_pause_backups_for_an_hour() {
        use FailureKind::{CrmTokenRefused as Refused, CrmUnavailable as Down};
        assert_eq!(after(&[Refused, Refused, Refused, Refused]).paused_until(), None);
        assert_eq!(after(&[Down, Refused, Refused, Refused, Refused]).paused_until(), None, "another kind in between");
        assert_eq!(after(&[Refused, Refused, Refused, Refused, Refused]).paused_until(), Some(NOW + PAUSE));
        let again = FailedInARow::with(
            Some(&after(&[Refused, Refused, Refused, Refused, Refused])),
            &Failure::new(Refused, "No."),
            NOW + PAUSE,
        );
        assert_eq!(again.paused_until(), Some(NOW + PAUSE * 2), "the one after the pause");
    }
}
