//! Requests that a client may repeat under its own key, and that are carried out once.
//!
//! The result of the first request is recorded under its key in the same transaction. A request reads that record after
//! everything else, and before it is refused for any reason: if it has read anything that the first request wrote, it
//! also finds the record. If it has read none of it, it loses the race for the commit and begins again.

use std::fmt;

use domain::allowance::{IdempotentRequest, RestoreAct};
use domain::ids::{AccountId, BackupId, RestoreId};
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use jiff::{SignedDuration, Timestamp};

/// How long a client's key is kept.
const KEY_REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A client's key for one request. A request repeated under its key changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A key that is not 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct MalformedKey;

impl IdempotencyKey {
    /// # Errors
    /// [`MalformedKey`].
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(MalformedKey) }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request's key, and the ledger's record of it.
pub(crate) struct Keyed<'a> {
    account: &'a AccountId,
    key: &'a IdempotencyKey,
    noted: Option<Versioned<IdempotentRequest>>,
    now: Timestamp,
}

/// The result of an earlier request with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EarlierRequest<'a> {
    Backup(&'a BackupId),
    /// It created or changed a restore.
    Restore(&'a RestoreAct),
}

impl<'a> Keyed<'a> {
    /// Loads the record of a request's key. None if the request has no key.
    pub(crate) async fn load(
        ledger: &dyn Ledger,
        account: &'a AccountId,
        key: Option<&'a IdempotencyKey>,
        now: Timestamp,
    ) -> Result<Option<Self>, LedgerError> {
        let Some(key) = key else { return Ok(None) };
        let noted = ledger::load(ledger, &IdempotentRequest::key_of(account, &key.0)).await?;
        Ok(Some(Self { account, key, noted, now }))
    }

    /// The earlier request. The ledger deletes late, so an expired record does not count.
    pub(crate) fn earlier(&self) -> Option<EarlierRequest<'_>> {
        let note = self.noted.as_ref().map(|noted| &noted.record).filter(|note| note.forget_at > self.now)?;
        Some(note.restore.as_ref().map_or(EarlierRequest::Backup(&note.backup_id), EarlierRequest::Restore))
    }

    /// Records that the request created `backup`.
    pub(crate) fn note_backup(&self, backup: &BackupId) -> Change {
        self.note(backup.clone(), None)
    }

    /// Records that the request, an `action`, created or changed `restore`.
    pub(crate) fn note_restore(&self, action: &str, restore: &RestoreId) -> Change {
        let act = RestoreAct { action: action.to_owned(), restore_id: restore.clone() };
        self.note(IdempotentRequest::no_backup(restore), Some(act))
    }

    fn note(&self, backup_id: BackupId, restore: Option<RestoreAct>) -> Change {
        let note = IdempotentRequest {
            account_id: self.account.clone(),
            idempotency_key: self.key.0.clone(),
            backup_id,
            restore,
            forget_at: self.now + KEY_REMEMBERED,
        };
        self.noted.as_ref().map_or_else(|| Change::create(&note), |old| Change::replace(old, &note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii_of_limited_length() {
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
        for bad in ["", "a b", "ä", "a\n", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(bad), Err(MalformedKey));
        }
    }
}
