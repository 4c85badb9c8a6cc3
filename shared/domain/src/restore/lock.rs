//! The restore lock: at most one restore of an account writes at a time.
//!
//! The transaction that confirms a restore takes the lock. The transaction that ends it frees the lock, after all runs
//! that may still write have ended. The CRM cannot check a fencing token. A late run writes nothing because its lease
//! on a slice has run out before another run takes over (see [`WRITE_MARGIN`](crate::lease::WRITE_MARGIN)).

use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::account::Account;
use crate::ids::{AccountId, RestoreId};
use crate::ports::ledger::{Key, Record};

/// Which restore of an account may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreLock {
    pub account_id: AccountId,
    pub held_by: Option<RestoreId>,
}

impl RestoreLock {
    /// The lock while no restore writes.
    pub fn free(account_id: AccountId) -> Self {
        Self { account_id, held_by: None }
    }

    /// Takes the lock for `restore`.
    ///
    /// # Errors
    /// The restore that holds the lock.
    pub fn take(&self, restore: &RestoreId) -> Result<Self, RestoreId> {
        match &self.held_by {
            Some(holder) => Err(holder.clone()),
            None => Ok(Self { held_by: Some(restore.clone()), ..self.clone() }),
        }
    }

    /// Frees the lock when `restore` has ended.
    ///
    /// # Errors
    /// [`Refused`] if this restore does not hold it; then there is nothing to free.
    pub fn release(&self, restore: &RestoreId) -> Result<Self, Refused> {
        if self.held_by.as_ref() == Some(restore) {
            Ok(Self { held_by: None, ..self.clone() })
        } else {
            Err(Refused::new("freeing the restore lock", "this restore does not hold it"))
        }
    }

    /// The ledger's key of an account's lock.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(Account::partition(account_id), "RESTORE-LOCK")
    }
}

impl Record for RestoreLock {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_restore_holds_the_lock_until_it_frees_it_itself() {
        let id = |n| RestoreId::new(jiff::Timestamp::UNIX_EPOCH, [n; 10]);
        let free = RestoreLock::free(AccountId::parse("42").expect("digits"));
        let held = free.take(&id(1)).expect("free");
        assert_eq!(held.take(&id(2)), Err(id(1)));
        assert!(held.release(&id(2)).is_err() && free.release(&id(1)).is_err());
        assert_eq!(held.release(&id(1)), Ok(free));
    }
}
