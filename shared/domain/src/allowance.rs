//! Whether an account may start a backup now.
//!
//! Each account has one allowance. It changes in the transaction of the backup that takes or frees it, so one of two
//! simultaneous requests wins. At most one backup of an account runs at a time. Only a backup that completes uses up
//! the allowance, and the account's plan sets how long the next one waits then. A backup that fails or is cancelled
//! gives the allowance back unchanged. A short backup does so too, but only once: it can be repeated at once, and the
//! repetition counts even if it is short. Otherwise an account whose backups are always short would have no limit. After
//! several failures in a row for the same reason, backups pause (see [`failed_in_a_row`](crate::failed_in_a_row)).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::failed_in_a_row::FailedInARow;
use crate::ids::{AccountId, BackupId, RestoreId};
use crate::ports::ledger::{Key, Record};
use crate::{Failure, Refused};

/// An account's right to run a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    pub account_id: AccountId,
    /// The backup that holds it.
    pub running: Option<BackupId>,
    /// When that backup was requested.
    #[serde(default)]
    pub running_since: Option<Timestamp>,
    /// When the latest backup that counts was requested.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
    /// The latest completed backup was short and does not count. The next one does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
    /// The latest backups, if they failed one after another for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedInARow>,
}

/// Why no backup may start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAllowed {
    /// A backup is running. After it completes, the next one may start at `next_at` or later.
    Running { running: BackupId, next_at: Timestamp },
    /// The next backup may start at this time.
    TooEarly(Timestamp),
    /// The latest backups failed for the same reason, so the next one may start at this time.
    Paused(Timestamp, Failure),
}

impl Allowance {
    /// The allowance of an account that has made no backup yet.
    pub fn free(account_id: AccountId) -> Self {
        Self { account_id, running: None, running_since: None, used_at: None, repeats: false, failed: None }
    }

    /// Takes the allowance for `backup`, requested at `now`, under a plan with this interval.
    ///
    /// # Errors
    /// [`NotAllowed`], and nothing is changed.
    pub fn take(&self, backup: &BackupId, interval: SignedDuration, now: Timestamp) -> Result<Self, NotAllowed> {
        if let Some(running) = &self.running {
            let next_at = self.running_since.unwrap_or_else(|| running.created_at()) + interval;
            return Err(NotAllowed::Running { running: running.clone(), next_at });
        }
        if let Some(next_at) = self.next_at(interval).filter(|next_at| *next_at > now) {
            return Err(NotAllowed::TooEarly(next_at));
        }
        match self.failed.as_ref().and_then(|failed| Some((failed.paused_until()?, failed))) {
            Some((until, failed)) if until > now => Err(NotAllowed::Paused(until, failed.failure.clone())),
            _ => Ok(Self { running: Some(backup.clone()), running_since: Some(now), ..self.clone() }),
        }
    }

    /// When the next backup may start if none is running. None if at any time.
    pub fn next_at(&self, interval: SignedDuration) -> Option<Timestamp> {
        self.used_at.filter(|_| !interval.is_zero()).map(|used_at| used_at + interval)
    }

    /// Forgets failures from before the account was connected to its CRM, at `connected_at`.
    #[must_use]
    pub fn connected(&self, connected_at: Timestamp) -> Self {
        let failed = self.failed.clone().filter(|failed| failed.at > connected_at);
        Self { failed, ..self.clone() }
    }

    /// Counts the `failure` of a backup at `now`.
    #[must_use]
    pub fn failed_again(&self, failure: &Failure, now: Timestamp) -> Self {
        Self { failed: Some(FailedInARow::with(self.failed.as_ref(), failure, now)), ..self.clone() }
    }

    /// Gives the allowance back unchanged when `backup` has ended without an archive.
    ///
    /// # Errors
    /// [`Refused`] if another backup holds it; then there is nothing to give back.
    pub fn give_back(&self, backup: &BackupId) -> Result<Self, Refused> {
        if self.running.as_ref() == Some(backup) {
            Ok(Self { running: None, running_since: None, ..self.clone() })
        } else {
            Err(Refused::new("giving the allowance back", "another backup holds it"))
        }
    }

    /// Uses up the allowance when `backup` has completed. A short backup leaves it unchanged, unless it repeats another
    /// short one.
    ///
    /// # Errors
    /// [`Refused`] if another backup holds it.
    pub fn use_up(&self, backup: &BackupId, is_short: bool) -> Result<Self, Refused> {
        let freed = Self { failed: None, ..self.give_back(backup)? };
        if is_short && !self.repeats {
            return Ok(Self { repeats: true, ..freed });
        }
        let used_at = Some(self.running_since.unwrap_or_else(|| backup.created_at()));
        Ok(Self { used_at, repeats: false, ..freed })
    }

    /// The ledger's key of an account's allowance.
    pub fn key_of(account_id: &AccountId) -> Key {
        Key::new(Account::partition(account_id), "ALLOWANCE")
    }
}

impl Record for Allowance {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id)
    }
}

/// The result of a request with an `Idempotency-Key`. It is kept for a day, so that a repeated request makes nothing
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotentRequest {
    pub account_id: AccountId,
    /// The client's key, 1 to 255 visible ASCII characters.
    pub idempotency_key: String,
    /// The backup that the first request made. For a request about a restore see [`Self::no_backup`].
    pub backup_id: BackupId,
    /// The restore that the first request made or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreAct>,
    pub forget_at: Timestamp,
}

/// A request about a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreAct {
    /// The slug of the API's operation.
    pub action: String,
    pub restore_id: RestoreId,
}

impl IdempotentRequest {
    /// The ledger's key of a client's key.
    pub fn key_of(account_id: &AccountId, idempotency_key: &str) -> Key {
        Key::new(Account::partition(account_id), format!("IDEMPOTENCY#{idempotency_key}"))
    }

    /// The `backup_id` of a request about a restore: an id that no backup has. The version before this one cannot read
    /// a record without it.
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
    fn a_completed_backup_uses_up_the_allowance_for_the_plans_interval_from_its_request() {
        let taken = free().take(&backup(1), DAY, NOW).expect("free");
        let used = taken.use_up(&backup(1), false).expect("it runs");
        let early = used.take(&backup(2), DAY, NOW + DAY - SignedDuration::from_nanos(1));
        assert_eq!(early, Err(NotAllowed::TooEarly(NOW + DAY)));
        assert!(used.take(&backup(2), DAY, NOW + DAY).is_ok());
        assert!(used.take(&backup(2), SignedDuration::ZERO, NOW).is_ok(), "a plan without an interval");
        assert!(used.take(&backup(2), DAY * 7, NOW + DAY).is_err(), "a change of the plan counts at once");
    }

    #[test]
    fn while_a_backup_runs_another_request_gets_the_earliest_time() {
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

    #[test]
    fn backups_that_fail_in_a_row_pause_until_an_hour_has_passed_or_the_account_is_connected_again() {
        let failure = Failure::new(crate::FailureKind::CrmTokenRefused, "Connect again.");
        let failed = |times: u8| {
            (0..times).fold(free(), |before, nth| {
                let taken = before.take(&backup(nth), SignedDuration::ZERO, NOW).expect("not paused");
                taken.give_back(&backup(nth)).expect("it runs").failed_again(&failure, NOW)
            })
        };
        let take = |of: &Allowance, now| of.take(&backup(9), SignedDuration::ZERO, now);
        assert!(take(&failed(4), NOW).is_ok());
        let until = NOW + SignedDuration::from_hours(1);
        assert_eq!(take(&failed(5), NOW), Err(NotAllowed::Paused(until, failure.clone())));
        assert!(take(&failed(5), until).is_ok());
        assert!(take(&failed(5).connected(NOW), NOW).is_ok());
        assert!(take(&failed(5).connected(NOW - SignedDuration::from_secs(1)), NOW).is_err(), "connected before them");
        let cancelled = take(&failed(4), NOW).expect("not paused").give_back(&backup(9)).expect("it runs");
        assert!(take(&cancelled.failed_again(&failure, NOW), NOW).is_err(), "one that was cancelled tells nothing");
        let completed = take(&failed(4), NOW).expect("not paused").use_up(&backup(9), false).expect("it runs");
        assert!(take(&completed.failed_again(&failure, NOW), NOW).is_ok(), "one that completed begins anew");
    }

    /// D2: the version before this one stored requests about backups only, and can read today's records.
    #[test]
    fn this_version_and_the_one_before_read_each_others_requests() {
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
        /// A backup that ends without an archive leaves the allowance unchanged.
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
