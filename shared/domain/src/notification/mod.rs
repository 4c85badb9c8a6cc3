//! Notifications: messages to the users of an account, and to their programs.
//!
//! The transaction that makes an event true also creates its notification. So the notification is in the account's
//! inbox from that moment, exactly once, even if the run dies. Announcing it creates a [`delivery::Delivery`] for every
//! other channel of the account.

pub mod channel;
pub mod delivery;
pub mod examples;
pub mod mail_hour;
mod wording;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::channel::Channel;
use crate::account::{Account, Requester};
use crate::gap::{Gap, Missing};
use crate::ids::{AccountId, BackupId, NotificationId, RestoreId};
use crate::lease::QUEUE_GRACE;
use crate::ports::ledger::{Key, Record};
use crate::work::{NotificationRef, Work};
use crate::{Failure, Refused};

/// How long the inbox keeps a notification.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How many readers a notification remembers at most. An account has few super admins.
const MOST_READERS: usize = 100;

/// An event of an account. It holds no property value, no token, and no link that works without a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A backup has its archive.
    BackupCompleted {
        backup_id: BackupId,
        bytes: u64,
        expires_at: Timestamp,
        contains_sensitive_data: bool,
        #[serde(default, skip_serializing_if = "Shortfalls::is_empty")]
        shortfalls: Shortfalls,
        /// The backup is short and does not count against the plan: another one may start at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        another_allowed: bool,
    },
    /// A backup ended without an archive.
    BackupFailed {
        backup_id: BackupId,
        failure: Failure,
        /// Until when further backups pause, because several in a row have failed for this reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paused_until: Option<Timestamp>,
    },
    /// An archive expires in two days.
    BackupExpiring { backup_id: BackupId, expires_at: Timestamp },
    /// A run of the schedule started no backup.
    ScheduleSkipped {
        failure: Failure,
        /// When the next run is due. None if the schedule was switched off.
        next_run_at: Option<Timestamp>,
    },
    /// A restore has written all values that could be written.
    RestoreCompleted {
        restore_id: RestoreId,
        /// The import's name, `Data restore – Deal`.
        name: String,
        values_restored: u64,
        /// Values that were not restored, or perhaps not.
        values_not_restored: u64,
        /// Whole records that are gone or could not be read.
        #[serde(default)]
        records_not_restored: u64,
    },
    /// A user stopped a restore while it was writing.
    RestoreStopped { restore_id: RestoreId, name: String },
    /// A restore, or its plan, failed.
    RestoreFailed {
        restore_id: RestoreId,
        name: String,
        /// Whether it had begun to write. Then there is an import.
        has_written: bool,
        failure: Failure,
    },
    /// A message was set aside because its function failed on it too often.
    DeadLetters {
        /// The step of a backup or a restore, as in `Work`.
        step: String,
        run_id: String,
    },
    /// One channel could not deliver a notification.
    DeliveryGivenUp {
        undelivered_id: NotificationId,
        channel: Channel,
        /// Why the last attempt failed.
        reason: String,
    },
}

/// What a backup lacks, as a notification lists it: labels of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shortfalls {
    /// Objects that the backup before this one held and this one lacks, in whole or in part.
    pub newly_missing: Vec<String>,
    /// Other objects that the backup does not hold at all.
    pub not_offered: Vec<String>,
    /// Objects whose values were not all shown, or whose properties were not all listed.
    pub without_values: Vec<String>,
    /// Objects with records that could not be read.
    pub without_records: Vec<String>,
    /// Objects that may lack records that changed during the backup.
    pub unordered: Vec<String>,
    /// Objects with fewer records than the CRM counts, for an unknown reason.
    pub short: Vec<String>,
}

impl Shortfalls {
    /// Whether the backup holds everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sorts the gaps into lists. `short` are the labels of short objects.
    pub fn of(gaps: &[Gap], short: impl IntoIterator<Item = String>) -> Self {
        let mut shortfalls = Self { short: short.into_iter().collect(), ..Self::default() };
        for gap in gaps {
            let list = match &gap.missing {
                _ if gap.in_last_backup => &mut shortfalls.newly_missing,
                Missing::Object => &mut shortfalls.not_offered,
                Missing::Properties { .. } | Missing::Values { .. } => &mut shortfalls.without_values,
                Missing::Records { .. } => &mut shortfalls.without_records,
                Missing::MovedRecords => &mut shortfalls.unordered,
            };
            if !list.contains(&gap.label) {
                list.push(gap.label.clone());
            }
        }
        shortfalls
    }
}

/// A message to the users of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub account_id: AccountId,
    /// Also the id of its deliveries and of its audit entry.
    pub notification_id: NotificationId,
    pub at: Timestamp,
    pub event: Event,
    /// The person who requested the backup or restore, and gets the e-mail.
    pub requester: Option<Requester>,
    /// The subjects of its readers.
    #[serde(default)]
    pub read_by: BTreeSet<String>,
    /// When the deliveries of all channels were created.
    pub announced_at: Option<Timestamp>,
    /// When the announcement was last queued.
    pub queued_at: Timestamp,
}

impl Notification {
    /// A notification of `event` at `now`. `about` is the random part of the id of the backup or restore, so making it
    /// twice makes the same notification.
    pub fn new(
        account_id: AccountId,
        about: [u8; 10],
        event: Event,
        requester: Option<Requester>,
        now: Timestamp,
    ) -> Self {
        let mut random = about;
        // Two events of one backup in one millisecond are two notifications.
        random[9] ^= event.number();
        Self {
            account_id,
            notification_id: NotificationId::new(now, random),
            at: now,
            event,
            requester,
            read_by: BTreeSet::new(),
            announced_at: None,
            queued_at: now,
        }
    }

    /// A notification that `work` was set aside. Its id is derived from the id of the backup or restore, so there is
    /// one notification for each, however many messages are found.
    pub fn of_dead_letter(work: &Work, now: Timestamp) -> Self {
        let (made_at, about) = work.run_stamp();
        let event = Event::DeadLetters { step: work.slug().to_owned(), run_id: work.run_id().to_owned() };
        let found = Self::new(work.account_id().clone(), about, event, None, made_at);
        Self { at: now, queued_at: now, ..found }
    }

    /// The ids that name it.
    pub fn reference(&self) -> NotificationRef {
        NotificationRef { account_id: self.account_id.clone(), notification_id: self.notification_id.clone() }
    }

    /// The message that announces it.
    pub fn work(&self) -> Work {
        Work::Announce { notification: self.reference() }
    }

    /// Records that the deliveries of all channels were created.
    ///
    /// # Errors
    /// [`Refused`] if it was announced before.
    pub fn announced(&self, now: Timestamp) -> Result<Self, Refused> {
        if self.announced_at.is_some() {
            return Err(Refused::new("announcing a notification", "it was announced before"));
        }
        Ok(Self { announced_at: Some(now), ..self.clone() })
    }

    /// Records that the announcement was queued again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { queued_at: now, ..self.clone() }
    }

    /// Whether the person `subject` has read it.
    pub fn is_read_by(&self, subject: &str) -> bool {
        self.read_by.contains(subject)
    }

    /// Marks it as read, or as unread, by `subject`.
    #[must_use]
    pub fn marked(&self, subject: &str, read: bool) -> Self {
        let mut marked = self.clone();
        if read {
            if marked.read_by.len() >= MOST_READERS {
                marked.read_by.pop_first();
            }
            marked.read_by.insert(subject.to_owned());
        } else {
            marked.read_by.remove(subject);
        }
        marked
    }

    /// Whether it is too old to be shown. The ledger deletes late, so a stored notification may be too old.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.at + KEPT_FOR <= now
    }

    /// Since when the announcement has been overdue. None once it is announced.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.due_at()
    }

    /// Sort-key prefix of all notifications of an account; they list in order of creation.
    pub const PREFIX: &'static str = "NOTIFICATION#";

    /// The ledger's key of a notification.
    pub fn key_of(notification: &NotificationRef) -> Key {
        let NotificationRef { account_id, notification_id } = notification;
        Key::new(Account::partition(account_id), format!("{}{notification_id}", Self::PREFIX))
    }
}

impl Record for Notification {
    fn key(&self) -> Key {
        Self::key_of(&self.reference())
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.announced_at.is_none().then(|| self.queued_at + QUEUE_GRACE)
    }

    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.at + KEPT_FOR)
    }
}

#[cfg(test)]
mod tests;
