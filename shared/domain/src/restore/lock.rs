//! The restore lock: at most one restore of an account writes at a time.
//!
//! It is taken in the transaction that confirms a restore and freed in the one that ends it, after every run that may
//! still write has ended. The CRM cannot check a fencing token, so what keeps a late run from writing is that its
//! lease on a slice has run out before anybody else takes over (see [`super::WRITE_MARGIN`]).

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
    /// The restore that may write.
    pub held_by: Option<RestoreId>,
}

impl RestoreLock {
    /// Nobody may write.
    pub fn free(account_id: AccountId) -> Self {
        Self { account_id, held_by: None }
    }

    /// Takes the lock for `restore`.
    ///
    /// # Errors
    /// The restore that holds it, when there is one.
    pub fn take(&self, restore: &RestoreId) -> Result<Self, RestoreId> {
        match &self.held_by {
            Some(holder) => Err(holder.clone()),
            None => Ok(Self { held_by: Some(restore.clone()), ..self.clone() }),
        }
    }

    /// Frees the lock when `restore` has ended.
    ///
    /// # Errors
    /// [`Refused`] when another restore, or none, holds it; then there is nothing to free.
    pub fn release(&self, restore: &RestoreId) -> Result<Self, Refused> {
        if self.held_by.as_ref() == Some(restore) {
            Ok(Self { held_by: None, ..self.clone() })
        } else {
            Err(Refused::new("freeing the restore lock", "another restore holds it"))
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
