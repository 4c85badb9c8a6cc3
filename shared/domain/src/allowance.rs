//! Whether an account may start a backup now.
//!
//! One item per account, changed in the same transaction as the backup that takes or frees it, so of two requests at
//! the same moment one wins. At most one backup of an account runs at a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::ids::{AccountId, BackupId};
use crate::ports::ledger::{Key, Record};

/// Who holds the account's right to run a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    /// The account.
    pub account_id: AccountId,
    /// The backup that is running.
    pub running: Option<BackupId>,
}

impl Allowance {
    /// Nothing is running.
    pub fn free(account_id: AccountId) -> Self {
        Self { account_id, running: None }
    }

    /// Takes the allowance for `backup`.
    ///
    /// # Errors
    /// The backup that is running, when there is one.
    pub fn take(&self, backup: &BackupId) -> Result<Self, BackupId> {
        match &self.running {
            Some(running) => Err(running.clone()),
            None => Ok(Self { running: Some(backup.clone()), ..self.clone() }),
        }
    }

    /// Gives the allowance back when `backup` has ended.
    ///
    /// # Errors
    /// [`Refused`] when it no longer names this backup; then there is nothing to give back.
    pub fn give_back(&self, backup: &BackupId) -> Result<Self, Refused> {
        if self.running.as_ref() == Some(backup) {
            Ok(Self { running: None, ..self.clone() })
        } else {
            Err(Refused::new("giving the allowance back", "it names another backup"))
        }
    }

    /// The ledger's key of an account's allowance.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(format!("ACCOUNT#{account_id}"), "ALLOWANCE")
    }
}

impl Record for Allowance {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }
}

/// Remembers for a day which backup a request with an Idempotency-Key has made, so that repeating it makes no second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotentRequest {
    /// The account.
    pub account_id: AccountId,
    /// The client's key, 1 to 255 visible ASCII characters.
    pub idempotency_key: String,
    /// What the first request made.
    pub backup_id: BackupId,
    /// When it may be forgotten.
    pub forget_at: Timestamp,
}

impl IdempotentRequest {
    /// The ledger's key of a client's key.
    pub fn key_of(account_id: &AccountId, idempotency_key: &str) -> Key {
        Key::new(format!("ACCOUNT#{account_id}"), format!("IDEMPOTENCY#{idempotency_key}"))
    }
}

impl Record for IdempotentRequest {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id, &self.idempotency_key)
    }
    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.forget_at)
    }
}
