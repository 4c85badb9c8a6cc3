//! Whether an account may start a backup now.
//!
//! One item per account, changed in the same transaction as the backup that takes or frees it, so of two requests at
//! the same moment one wins. At most one backup of an account runs at a time, and only one that completes uses the
//! allowance up: after that the account's plan says how long the next one has to wait. A backup that fails or is cancelled
//! gives it back as it was. So does one that is short, once: it can be repeated at once, and the repetition counts, short or
//! not. What no repetition mends would otherwise lift the plan's limit.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Refused;
use crate::ids::{AccountId, BackupId, RestoreId};
use crate::ports::ledger::{Key, Record};

/// Who holds the account's right to run a backup, and when it was last used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    pub account_id: AccountId,
    /// The backup that is running.
    pub running: Option<BackupId>,
    /// When the running one was asked for.
    #[serde(default)]
    pub running_since: Option<Timestamp>,
    /// When the latest backup that completed and counts was asked for.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
    /// The latest backup that completed was short and does not count; the next one does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
}

/// Why the allowance is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAllowed {
    /// A backup is running. If it completes, the next one may be made then, or at once if that is past.
    Running {
        running: BackupId,
        /// When the next one may be made at the earliest.
        next_at: Timestamp,
    },
    /// It is too early; the next one may be made then.
    TooEarly(Timestamp),
}

impl Allowance {
    /// Nothing is running, and nothing ever was.
    pub fn free(account_id: AccountId) -> Self {
        Self { account_id, running: None, running_since: None, used_at: None, repeats: false }
    }

    /// Takes the allowance for `backup`, asked for at `now`, under a plan with this interval.
    ///
    /// # Errors
    /// [`NotAllowed`], and nothing is changed.
    pub fn take(&self, backup: &BackupId, interval: SignedDuration, now: Timestamp) -> Result<Self, NotAllowed> {
        if let Some(running) = &self.running {
            let next_at = self.running_since.unwrap_or_else(|| running.created_at()) + interval;
            return Err(NotAllowed::Running { running: running.clone(), next_at });
        }
        match self.next_at(interval) {
            Some(next_at) if next_at > now => Err(NotAllowed::TooEarly(next_at)),
            _ => Ok(Self { running: Some(backup.clone()), running_since: Some(now), ..self.clone() }),
        }
    }

    /// When the next backup may be made, if none is running: None if at any time.
    pub fn next_at(&self, interval: SignedDuration) -> Option<Timestamp> {
        self.used_at.filter(|_| !interval.is_zero()).map(|used_at| used_at + interval)
    }

    /// Gives the allowance back as it was before, when `backup` has ended without an archive.
    ///
    /// # Errors
    /// [`Refused`] when it no longer names this backup; then there is nothing to give back.
    pub fn give_back(&self, backup: &BackupId) -> Result<Self, Refused> {
        if self.running.as_ref() == Some(backup) {
            Ok(Self { running: None, running_since: None, ..self.clone() })
        } else {
            Err(Refused::new("giving the allowance back", "it names another backup"))
        }
    }

    /// Uses the allowance up, when `backup` has completed. One that is short leaves it as it was, unless it repeats another
    /// one that was.
    ///
    /// # Errors
    /// [`Refused`] when it no longer names this backup.
    pub fn use_up(&self, backup: &BackupId, is_short: bool) -> Result<Self, Refused> {
        let freed = self.give_back(backup)?;
        if is_short && !self.repeats {
            return Ok(Self { repeats: true, ..freed });
        }
        let used_at = Some(self.running_since.unwrap_or_else(|| backup.created_at()));
        Ok(Self { used_at, repeats: false, ..freed })
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

/// Remembers for a day what a request with an Idempotency-Key has made, so that repeating it makes no second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotentRequest {
    pub account_id: AccountId,
    /// The client's key, 1 to 255 visible ASCII characters.
    pub idempotency_key: String,
    /// The backup that the first request made; of a request about a restore see [`Self::no_backup`].
    pub backup_id: BackupId,
    /// What else the first request did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreAct>,
    /// When it may be forgotten.
    pub forget_at: Timestamp,
}

/// A request about a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreAct {
    /// What it was, as the API's operations are named.
    pub action: String,
    /// The restore that it has made or changed.
    pub restore_id: RestoreId,
}

impl IdempotentRequest {
    /// The ledger's key of a client's key.
    pub fn key_of(account_id: &AccountId, idempotency_key: &str) -> Key {
        Key::new(format!("ACCOUNT#{account_id}"), format!("IDEMPOTENCY#{idempotency_key}"))
    }

    /// What stands for the backup in the note of a request about a restore: an id that no backup has. Functions of the
    /// version before cannot read a note without one.
    pub fn no_backup(restore: &RestoreId) -> BackupId {
        BackupId::new(restore.created_at(), restore.random())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);
    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn backup(nth: u8) -> BackupId {
        BackupId::new(NOW, [nth; 10])
    }

    fn free() -> Allowance {
        Allowance::free(AccountId::parse("42").expect("digits"))
    }

    #[test]
    fn a_completed_backup_uses_the_allowance_up_for_the_plans_interval_from_its_request_on() {
        let taken = free().take(&backup(1), DAY, NOW).expect("free");
        let used = taken.use_up(&backup(1), false).expect("it runs");
        let early = used.take(&backup(2), DAY, NOW + DAY - SignedDuration::from_nanos(1));
        assert_eq!(early, Err(NotAllowed::TooEarly(NOW + DAY)));
        assert!(used.take(&backup(2), DAY, NOW + DAY).is_ok());
        assert!(used.take(&backup(2), SignedDuration::ZERO, NOW).is_ok(), "a plan without an interval");
        assert!(used.take(&backup(2), DAY * 7, NOW + DAY).is_err(), "a change of the plan counts at once");
    }

    #[test]
    fn a_running_backup_keeps_the_allowance_and_others_learn_until_when() {
        let taken = free().take(&backup(1), DAY, NOW).expect("free");
        let refused = taken.take(&backup(2), DAY, NOW + DAY * 3);
        assert_eq!(refused, Err(NotAllowed::Running { running: backup(1), next_at: NOW + DAY }));
        assert!(taken.give_back(&backup(2)).is_err() && taken.use_up(&backup(2), false).is_err());
    }

    #[test]
    fn a_short_backup_can_be_repeated_once() {
        let run = |before: &Allowance, nth: u8, is_short: bool| {
            let now = NOW + SignedDuration::from_mins(nth.into());
            before.take(&backup(nth), DAY, now)?.use_up(&backup(nth), is_short).map_err(|_| NotAllowed::TooEarly(now))
        };
        let short = run(&free(), 1, true).expect("free");
        assert_eq!(short.next_at(DAY), None, "it does not count");
        for is_short in [true, false] {
            let repeated = run(&short, 2, is_short).expect("at once");
            let counted_from = NOW + SignedDuration::from_mins(2);
            assert_eq!(
                run(&repeated, 3, false),
                Err(NotAllowed::TooEarly(counted_from + DAY)),
                "the repetition counts"
            );
            let later = repeated.take(&backup(4), DAY, counted_from + DAY).expect("a day later");
            let short_again = later.use_up(&backup(4), true).expect("it runs");
            assert_eq!(short_again.used_at, repeated.used_at, "a new one can be repeated again");
        }
        let failed = short.take(&backup(2), DAY, NOW).expect("at once").give_back(&backup(2)).expect("it runs");
        assert_eq!(failed, short, "a repetition that fails can be repeated");
    }

    /// D2: functions of the version before wrote notes of backups only, and still read those of today.
    #[test]
    fn notes_of_requests_can_be_read_by_the_version_before_and_its_own_by_this_one() {
        let before = format!(
            r#"{{"accountId":"42","idempotencyKey":"k","backupId":"{}","forgetAt":"2027-01-16T08:00:00Z"}}"#,
            backup(1)
        );
        let read: IdempotentRequest = serde_json::from_str(&before).expect("readable");
        assert_eq!((&read.backup_id, &read.restore), (&backup(1), &None));
        assert_eq!(serde_json::to_string(&read).expect("JSON"), before);
        let restore_id = RestoreId::new(NOW, [2; 10]);
        let act = RestoreAct { action: "create-restore".into(), restore_id: restore_id.clone() };
        let of_restore =
            IdempotentRequest { backup_id: IdempotentRequest::no_backup(&restore_id), restore: Some(act), ..read };
        let stored = serde_json::to_value(&of_restore).expect("JSON");
        assert!(stored["backupId"].as_str().is_some_and(|id| BackupId::parse(id).is_ok()));
    }

    proptest! {
        /// Whatever came before, a backup that ends without an archive leaves the allowance as it was.
        #[test]
        fn a_failed_backup_leaves_no_trace(hours in 0_i64..400, used in any::<bool>()) {
            let before = Allowance { used_at: used.then_some(NOW), ..free() };
            let now = NOW + SignedDuration::from_hours(hours);
            if let Ok(taken) = before.take(&backup(1), DAY, now) {
                prop_assert_eq!(taken.give_back(&backup(1)).expect("it runs"), before);
            } else {
                prop_assert!(used && hours < 24);
            }
        }
    }
}
