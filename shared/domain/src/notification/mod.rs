//! Notifications: what the people of an account, and their programs, are told.
//!
//! A notification is put into the ledger by the very transaction that makes what it tells come true. So it is in the
//! account's inbox from that moment on, once, whatever dies. Announcing it gives every other channel that the account has
//! a [`delivery::Delivery`] of its own.

pub mod channel;
pub mod delivery;
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

/// The most people of whom a notification remembers that they have read it; an account has few super admins.
const MOST_READERS: usize = 100;

/// What happened. Holds no property value, no token and no link that works by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A backup has its archive.
    BackupCompleted {
        backup_id: BackupId,
        bytes: u64,
        /// Until when it can be downloaded.
        expires_at: Timestamp,
        /// Whether any column is sensitive.
        contains_sensitive_data: bool,
        /// What it does not hold.
        #[serde(default, skip_serializing_if = "Shortfalls::is_empty")]
        shortfalls: Shortfalls,
        /// It is short and does not count against the plan: another one may be made at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        another_allowed: bool,
    },
    /// A backup ended without an archive.
    BackupFailed { backup_id: BackupId, failure: Failure },
    /// An archive can be downloaded for two days more.
    BackupExpiring {
        backup_id: BackupId,
        /// Until when it can be downloaded.
        expires_at: Timestamp,
    },
    /// A run of the schedule started no backup.
    ScheduleSkipped {
        failure: Failure,
        /// When the next run is due; None where the schedule was switched off.
        next_run_at: Option<Timestamp>,
    },
    /// A restore has written what could be written.
    RestoreCompleted {
        restore_id: RestoreId,
        /// The import's name, `Data restore – Deal`.
        name: String,
        /// Values that were restored.
        values_restored: u64,
        /// Values that were not, or of which it is unknown.
        values_not_restored: u64,
        /// Whole records that were not: they are gone, or could not be read.
        #[serde(default)]
        records_not_restored: u64,
    },
    /// Somebody stopped a restore while it was writing.
    RestoreStopped { restore_id: RestoreId, name: String },
    /// A restore, or its plan, could not go on.
    RestoreFailed {
        restore_id: RestoreId,
        /// What it is known by.
        name: String,
        /// Whether it had begun to write, so that there is an import.
        has_written: bool,
        failure: Failure,
    },
    /// A message was set aside after its function had failed on it too often.
    DeadLetters {
        /// What the message is about: a step of a backup or a restore, as in `Work`.
        step: String,
        /// The backup or the restore.
        run_id: String,
    },
    /// A notification could not be delivered by one of its channels.
    DeliveryGivenUp {
        undelivered_id: NotificationId,
        channel: Channel,
        /// Why the last attempt failed.
        reason: String,
    },
}

/// What a backup does not hold, as far as a notification tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shortfalls {
    /// Labels of objects that the backup before this one held and this one lacks, in whole or in part.
    pub newly_missing: Vec<String>,
    /// Labels of the other objects that it does not hold at all.
    pub not_offered: Vec<String>,
    /// Labels of objects of which values were not shown, or properties not listed.
    pub without_values: Vec<String>,
    /// Labels of objects of which records could not be read.
    pub without_records: Vec<String>,
    /// Labels of objects of which records that changed meanwhile may be missing.
    pub unordered: Vec<String>,
    /// Labels of objects with fewer records than the CRM counts, for a reason that is not known.
    pub short: Vec<String>,
}

impl Shortfalls {
    /// Whether the backup holds everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// From what is missing, and from the labels of objects that are short.
    pub fn of(gaps: &[Gap], short: impl IntoIterator<Item = String>) -> Self {
        let mut told = Self { short: short.into_iter().collect(), ..Self::default() };
        for gap in gaps {
            let list = match &gap.missing {
                _ if gap.in_last_backup => &mut told.newly_missing,
                Missing::Object => &mut told.not_offered,
                Missing::Properties { .. } | Missing::Values { .. } => &mut told.without_values,
                Missing::Records { .. } => &mut told.without_records,
                Missing::MovedRecords => &mut told.unordered,
            };
            if !list.contains(&gap.label) {
                list.push(gap.label.clone());
            }
        }
        told
    }
}

/// Something that an account is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub account_id: AccountId,
    /// The notification; also the id of its deliveries and of its entry in the audit log.
    pub notification_id: NotificationId,
    pub at: Timestamp,
    pub event: Event,
    /// Who asked for what it is about, if anybody did; gets the e-mail.
    pub requester: Option<Requester>,
    /// Subjects of those who have read it.
    #[serde(default)]
    pub read_by: BTreeSet<String>,
    /// When every channel had got its delivery.
    pub announced_at: Option<Timestamp>,
    /// When announcing was last queued.
    pub queued_at: Timestamp,
}

impl Notification {
    /// A notification of `event` at `now`. `about` is the random part of the id of what it is about: telling the same
    /// twice makes the same notification.
    pub fn new(
        account_id: AccountId,
        about: [u8; 10],
        event: Event,
        requester: Option<Requester>,
        now: Timestamp,
    ) -> Self {
        let mut random = about;
        // Two events about one thing at the same millisecond are two notifications.
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

    /// A notification that `work` was set aside. Its id comes from what the work is for: however often its messages are
    /// found, each backup and each restore is told of once.
    pub fn of_dead_letter(work: &Work, now: Timestamp) -> Self {
        let (made_at, about) = work.run_stamp();
        let event = Event::DeadLetters { step: work.slug().to_owned(), run_id: work.run_id().to_owned() };
        let found = Self::new(work.account_id().clone(), about, event, None, made_at);
        Self { at: now, queued_at: now, ..found }
    }

    /// Its name.
    pub fn reference(&self) -> NotificationRef {
        NotificationRef { account_id: self.account_id.clone(), notification_id: self.notification_id.clone() }
    }

    /// The message to deliver-notifications.
    pub fn work(&self) -> Work {
        Work::Announce { notification: self.reference() }
    }

    /// Every channel that it is to go by has its delivery.
    ///
    /// # Errors
    /// [`Refused`] when that was so before.
    pub fn announced(&self, now: Timestamp) -> Result<Self, Refused> {
        if self.announced_at.is_some() {
            return Err(Refused::new("announcing a notification", "it was announced before"));
        }
        Ok(Self { announced_at: Some(now), ..self.clone() })
    }

    /// Announcing it was queued again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { queued_at: now, ..self.clone() }
    }

    /// Whether `subject` has read it.
    pub fn is_read_by(&self, subject: &str) -> bool {
        self.read_by.contains(subject)
    }

    /// `subject` has read it, or takes that back.
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

    /// Whether it is kept no longer. The ledger forgets late, so the time counts and not the presence.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.at + KEPT_FOR <= now
    }

    /// Since when announcing it should have been done; None once it is.
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
