//! The open plans of an account: those that are being made. There are at most [`MOST_OPEN_PLANS`] of them.
//!
//! The record names restores, and says nothing about their states. Whether a plan is still being made is read from its
//! restore. So nothing has to be given back when a plan is made, fails, is cancelled or is gone, and a restore that is
//! named here for too long takes no place. Every request for a plan writes the record in its transaction, so that of
//! two simultaneous requests one fails and reads the other's restore.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LONGEST_RESTORE;
use crate::account::Account;
use crate::ids::{AccountId, RestoreId};
use crate::ports::ledger::{Key, Record};

/// The most plans of an account that are made at the same time. All plans of an account share its calls to the CRM, so
/// more of them would not be ready sooner.
pub const MOST_OPEN_PLANS: usize = 3;

/// The restores of an account whose plans may still be being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPlans {
    pub account_id: AccountId,
    /// In order of their requests.
    pub restores: Vec<RestoreId>,
}

impl OpenPlans {
    /// The named restores whose plan may still be being made at `now`. An older restore has failed, or fails soon.
    pub fn candidates(&self, now: Timestamp) -> impl Iterator<Item = &RestoreId> {
        self.restores.iter().filter(move |restore| may_be_open(restore, now))
    }

    /// The record after a request for the plan of `new`, while the plans of `open` are being made.
    ///
    /// # Errors
    /// `open`, if no further plan may be made now.
    pub fn with(account_id: AccountId, open: Vec<RestoreId>, new: &RestoreId) -> Result<Self, Vec<RestoreId>> {
        if open.len() >= MOST_OPEN_PLANS {
            return Err(open);
        }
        Ok(Self { account_id, restores: open.into_iter().chain([new.clone()]).collect() })
    }

    /// The ledger's key of an account's open plans.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(Account::partition(account_id), "OPEN-PLANS")
    }
}

/// Whether the plan of a restore may still be being made at `now`, as far as its age tells.
pub fn may_be_open(restore: &RestoreId, now: Timestamp) -> bool {
    restore.created_at() + LONGEST_RESTORE > now
}

impl Record for OpenPlans {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn id(nth: u8) -> RestoreId {
        RestoreId::new(NOW, [nth; 10])
    }

    fn account() -> AccountId {
        AccountId::parse("42").expect("digits")
    }

    #[test]
    fn three_plans_are_made_at_the_same_time() {
        let mut open = Vec::new();
        for nth in 1..=3 {
            open = OpenPlans::with(account(), open, &id(nth)).expect("a place").restores;
        }
        assert_eq!(open, [id(1), id(2), id(3)]);
        assert_eq!(OpenPlans::with(account(), open.clone(), &id(4)), Err(open.clone()));
        open.remove(1);
        let after = OpenPlans::with(account(), open, &id(4)).expect("the place of one that is no longer being made");
        assert_eq!(after.restores, [id(1), id(3), id(4)]);
    }

    #[test]
    fn a_restore_that_is_too_old_to_be_planned_takes_no_place() {
        let open = OpenPlans { account_id: account(), restores: vec![id(1)] };
        let late = NOW + LONGEST_RESTORE;
        assert_eq!(open.candidates(late - jiff::SignedDuration::from_secs(1)).count(), 1);
        assert_eq!(open.candidates(late).count(), 0);
    }
}
