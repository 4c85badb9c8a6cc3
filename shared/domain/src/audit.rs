//! The audit log: who did or tried what, when, from where, and with which outcome. Entries are created and never
//! changed, with one exception.
//!
//! The exception are strangers: people who have no right to an account and send requests about it. Anybody who can sign
//! in could fill the log of every account with them. So all refused requests of a stranger in a minute have one entry,
//! which is about the first of them and counts the others. It is in a partition of its own, so that neither the list nor
//! the export nor the writes of the account's own entries wait for it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::Requester;
use crate::ids::{AccountId, AuditEntryId};
use crate::notification::{Event, Notification};
use crate::ports::ledger::{AUDIT_PARTITIONS, Key, Record, STRANGER_PARTITIONS};

/// The most requests that an entry about a stranger counts. Further ones in the same minute write nothing.
pub const MOST_COUNTED: u32 = 100;

/// The longest target of an entry, in bytes. An id has 36. The changes of an account or a schedule have more.
const LONGEST_TARGET: usize = 128;

/// The longest subject, address or sentence of an entry, in bytes.
const LONGEST_TEXT: usize = 1_024;

/// The start of a scheduled backup, for the person who switched the schedule on.
pub const START_SCHEDULED_BACKUP: &str = "start-scheduled-backup";

/// A request is about to change a secret. Secrets are not in the ledger, so this entry is created before the secret
/// changes, and the entry of the request after it. If the second entry is missing, it is unknown whether the secret has
/// changed.
pub const SECRET_CHANGE_BEGUN: &str = "secret-change-begun";

/// The actions that are not operations of the API.
pub const OWN_ACTIONS: [&str; 8] = [
    START_SCHEDULED_BACKUP,
    SECRET_CHANGE_BEGUN,
    "backup-completed",
    "backup-failed",
    "restore-completed",
    "restore-stopped",
    "restore-failed",
    "schedule-skipped",
];

/// The outcome of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    Succeeded,
    /// It was not allowed, or its request was invalid. Nothing has changed.
    Refused,
    /// The service or the CRM failed.
    Failed,
}

impl AuditOutcome {
    /// The slug, as it is stored.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A secret that a request can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The token of the CRM connection.
    CrmToken,
    /// The signing key of the webhook.
    WebhookSecret,
}

impl Secret {
    /// The name in the entry's target.
    const fn slug(self) -> &'static str {
        match self {
            Self::CrmToken => "crmToken",
            Self::WebhookSecret => "webhookSecret",
        }
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    pub account_id: AccountId,
    pub entry_id: AuditEntryId,
    pub at: Timestamp,
    /// The person's `sub` claim. None if the deployment acted by itself.
    pub subject: Option<String>,
    /// The person's e-mail address, if the sign-in has one.
    pub email: Option<String>,
    /// The network address of the request. None if the deployment acted by itself.
    pub source_address: Option<String>,
    /// An operation of the API, such as `create-backup`, or an event, such as `backup-completed`.
    pub action: String,
    /// The id of the backup, restore or other item, in the form of an id also if there is no such item. For an account or
    /// a schedule: what was changed.
    pub target: Option<String>,
    pub outcome: AuditOutcome,
    /// Why it was refused or failed.
    pub reason: Option<Reason>,
    /// When the ledger may delete it.
    pub forget_at: Timestamp,
    /// Only of an entry about a stranger: how many of their requests were refused in this minute, up to
    /// [`MOST_COUNTED`]. The rest of the entry is about the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
}

/// Why an act was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    pub kind: String,
    pub sentence: String,
}

impl Reason {
    fn within_bounds(self) -> Self {
        Self { kind: cut(&self.kind, LONGEST_TARGET), sentence: cut(&self.sentence, LONGEST_TEXT) }
    }
}

/// `text` if it has at most `most` bytes. Otherwise its beginning and `…`, within that length.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - '…'.len_utf8());
    format!("{}…", &text[..end])
}

/// A person's request whose outcome is still open. The use case creates its entry in the transaction that makes the
/// change, so there is never one without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub account_id: AccountId,
    /// The id of its future entry.
    pub entry_id: AuditEntryId,
    pub at: Timestamp,
    pub by: Requester,
    pub source_address: Option<String>,
    /// The slug of the API's operation.
    pub action: &'static str,
    /// How long its entry is kept.
    pub kept_for: SignedDuration,
}

impl Act {
    /// The entry of an act that succeeded.
    pub fn succeeded(&self, target: impl Into<Option<String>>) -> AuditEntry {
        self.entry(target.into(), AuditOutcome::Succeeded, None)
    }

    /// The entry of an act that was refused or failed.
    pub fn ended(&self, target: Option<String>, outcome: AuditOutcome, reason: Reason) -> AuditEntry {
        self.entry(target, outcome, Some(reason))
    }

    /// The entry of [`SECRET_CHANGE_BEGUN`]. Its id is derived from the act's, and lists just before it.
    pub fn begins_to_change(&self, secret: Secret) -> AuditEntry {
        let before = match secret {
            Secret::CrmToken => 2,
            Secret::WebhookSecret => 1,
        };
        AuditEntry {
            entry_id: self.entry_id.before(before),
            action: SECRET_CHANGE_BEGUN.to_owned(),
            ..self.entry(Some(secret.slug().to_owned()), AuditOutcome::Succeeded, None)
        }
    }

    fn entry(&self, target: Option<String>, outcome: AuditOutcome, reason: Option<Reason>) -> AuditEntry {
        AuditEntry {
            account_id: self.account_id.clone(),
            entry_id: self.entry_id.clone(),
            at: self.at,
            subject: Some(cut(&self.by.subject, LONGEST_TEXT)),
            email: self.by.email.as_deref().map(|email| cut(email, LONGEST_TEXT)),
            source_address: self.source_address.as_deref().map(|address| cut(address, LONGEST_TARGET)),
            action: self.action.to_owned(),
            target: target.map(|target| cut(&target, LONGEST_TARGET)),
            outcome,
            reason: reason.map(Reason::within_bounds),
            forget_at: self.at + self.kept_for,
            requests: None,
        }
    }
}

impl AuditEntry {
    /// The entry of an event, from its notification. It names the person who requested the backup or restore. None for
    /// reminders and for troubles of the deployment.
    pub fn of(notification: &Notification, kept_for: SignedDuration) -> Option<Self> {
        let failed = |failure: &crate::Failure| {
            let reason = Reason { kind: failure.kind.to_string(), sentence: failure.sentence.clone() };
            (AuditOutcome::Failed, Some(reason))
        };
        let (target, (outcome, reason)) = match &notification.event {
            Event::BackupCompleted { backup_id, .. } => (Some(backup_id.to_string()), (AuditOutcome::Succeeded, None)),
            Event::BackupFailed { backup_id, failure, .. } => (Some(backup_id.to_string()), failed(failure)),
            Event::RestoreCompleted { restore_id, .. } | Event::RestoreStopped { restore_id, .. } => {
                (Some(restore_id.to_string()), (AuditOutcome::Succeeded, None))
            }
            Event::RestoreFailed { restore_id, failure, .. } => (Some(restore_id.to_string()), failed(failure)),
            Event::ScheduleSkipped { failure, .. } => (None, failed(failure)),
            Event::BackupExpiring { .. } | Event::DeadLetters { .. } | Event::DeliveryGivenUp { .. } => return None,
        };
        let requester = notification.requester.as_ref();
        Some(Self {
            account_id: notification.account_id.clone(),
            entry_id: AuditEntryId::new(notification.at, notification.notification_id.random()),
            at: notification.at,
            subject: requester.map(|requester| requester.subject.clone()),
            email: requester.and_then(|requester| requester.email.clone()),
            source_address: None,
            action: notification.event.slug().to_owned(),
            target,
            outcome,
            reason: reason.map(Reason::within_bounds),
            forget_at: notification.at + kept_for,
            requests: None,
        })
    }

    /// The partition of an account's entries. They list in order of time.
    pub fn partition(account_id: &AccountId) -> String {
        format!("{AUDIT_PARTITIONS}{account_id}")
    }

    /// The partition of the entries about strangers. They list in order of their minutes.
    pub fn stranger_partition(account_id: &AccountId) -> String {
        format!("{STRANGER_PARTITIONS}{account_id}")
    }

    /// The entry as the first one about a stranger in its minute. Its id is derived from the minute and the subject, so
    /// it is the same for all requests that it counts.
    #[must_use]
    pub fn of_stranger(self) -> Self {
        let subject = self.subject.as_deref().unwrap_or_default();
        let entry_id = AuditEntryId::new(minute_of(self.at), hashed(subject));
        Self { entry_id, requests: Some(1), ..self }
    }

    /// An entry about a stranger after one more request. None if it counts no further ones.
    pub fn with_one_more(&self) -> Option<Self> {
        let requests = self.requests.filter(|requests| *requests < MOST_COUNTED)?;
        Some(Self { requests: Some(requests + 1), ..self.clone() })
    }
}

impl Record for AuditEntry {
    fn key(&self) -> Key {
        let partition = if self.requests.is_some() { Self::stranger_partition } else { Self::partition };
        Key::new(partition(&self.account_id), self.entry_id.as_str())
    }

    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.forget_at)
    }
}

/// The beginning of the minute of `at`.
pub fn minute_of(at: Timestamp) -> Timestamp {
    let second = at.as_second().div_euclid(60) * 60;
    Timestamp::from_second(second).unwrap_or(at)
}

/// FNV-1a of a text, in ten bytes. Ids of stored entries depend on it, so it never changes.
fn hashed(text: &str) -> [u8; 10] {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let first = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let second = text.bytes().fold(step(first, 0), step);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    bytes[8..].copy_from_slice(&second.to_be_bytes()[..2]);
    bytes
}

/// Selects entries of an account. A field that is None or empty excludes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    pub actions: BTreeSet<String>,
    /// A subject, or an e-mail address in any case.
    pub person: Option<String>,
    pub outcome: Option<AuditOutcome>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Whether to select among the entries about strangers, instead of all others.
    pub strangers: bool,
}

impl AuditFilter {
    /// Whether the filter selects `entry` at `now`. Entries past their time are not selected: the ledger deletes late.
    pub fn takes(&self, entry: &AuditEntry, now: Timestamp) -> bool {
        let is_person = |person: &String| {
            entry.subject.as_ref() == Some(person)
                || entry.email.as_ref().is_some_and(|email| email.to_lowercase() == person.to_lowercase())
        };
        entry.forget_at > now
            && (self.actions.is_empty() || self.actions.contains(&entry.action))
            && entry.requests.is_some() == self.strangers
            && self.person.as_ref().is_none_or(is_person)
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn act() -> Act {
        Act {
            account_id: AccountId::parse("42").expect("digits"),
            entry_id: AuditEntryId::new(NOW, [1; 10]),
            at: NOW,
            by: Requester { subject: "user-1".into(), email: Some("Ada@example.com".into()) },
            source_address: Some("203.0.113.7".into()),
            action: "create-backup",
            kept_for: SignedDuration::from_hours(400 * 24),
        }
    }

    #[test]
    fn a_filter_selects_entries_that_match_all_its_fields() {
        let entry = act().succeeded("b-1".to_owned());
        let all = AuditFilter::default();
        assert!(all.takes(&entry, NOW));
        assert!(!all.takes(&entry, entry.forget_at), "it should be forgotten");
        let by = |person: &str| AuditFilter { person: Some(person.into()), ..AuditFilter::default() };
        assert!(by("user-1").takes(&entry, NOW) && by("ada@EXAMPLE.com").takes(&entry, NOW));
        assert!(!by("USER-1").takes(&entry, NOW) && !by("ada").takes(&entry, NOW));
        let action = |action: &str| AuditFilter { actions: [action.to_owned()].into(), ..AuditFilter::default() };
        assert!(action("create-backup").takes(&entry, NOW) && !action("cancel-backup").takes(&entry, NOW));
        let times = |from, until| AuditFilter { from: Some(from), until: Some(until), ..AuditFilter::default() };
        let later = NOW + SignedDuration::from_secs(1);
        assert!(times(NOW, later).takes(&entry, NOW) && !times(later, later).takes(&entry, NOW));
        assert!(!times(NOW, NOW).takes(&entry, NOW), "the end is excluded");
    }

    #[test]
    fn the_begin_of_a_secrets_change_lists_just_before_its_end() {
        let act = act();
        let end = act.succeeded("crmConnection, webhook".to_owned());
        let begins = [Secret::CrmToken, Secret::WebhookSecret].map(|secret| act.begins_to_change(secret));
        let targets = begins.each_ref().map(|entry| entry.target.as_deref());
        assert_eq!(targets, [Some("crmToken"), Some("webhookSecret")]);
        assert!(begins[0].entry_id < begins[1].entry_id && begins[1].entry_id < end.entry_id);
        assert_eq!(begins[0].entry_id.created_at(), end.entry_id.created_at());
        assert!(begins.iter().all(|entry| entry.at == end.at && OWN_ACTIONS.contains(&entry.action.as_str())));
    }

    /// D7: a request can name long texts.
    #[test]
    fn an_entry_is_small_even_if_the_request_was_not() {
        let long = "ä€😀".repeat(10_000);
        let by = Requester { subject: long.clone(), email: Some(long.clone()) };
        let reason = Reason { kind: "input-invalid".into(), sentence: long.clone() };
        let entry = Act { by, source_address: Some(long.clone()), ..act() };
        let entry = entry.ended(Some(long.clone()), AuditOutcome::Refused, reason);
        assert!(serde_json::to_vec(&entry).expect("JSON").len() < 4_096);
        let target = entry.target.expect("cut");
        assert!(target.len() <= 128 && target.ends_with('…') && long.starts_with(target.trim_end_matches('…')));
        let short = act().succeeded("b-1".to_owned());
        assert_eq!((short.target.as_deref(), short.subject.as_deref()), (Some("b-1"), Some("user-1")));
    }

    #[test]
    fn requests_of_a_stranger_in_a_minute_are_counted_in_one_entry() {
        let refused = |at, subject: &str| {
            let by = Requester { subject: subject.to_owned(), email: None };
            let reason = Reason { kind: "forbidden".into(), sentence: "No.".into() };
            let act = Act { at, by, entry_id: AuditEntryId::new(at, [9; 10]), ..act() };
            act.ended(None, AuditOutcome::Refused, reason).of_stranger()
        };
        let second = |seconds| NOW + SignedDuration::from_secs(seconds);
        let first = refused(second(1), "eve");
        assert_eq!(first.key(), refused(second(59), "eve").key());
        assert_ne!(first.key(), refused(second(60), "eve").key());
        assert_ne!(first.key(), refused(second(1), "mallory").key());
        assert_eq!(first.entry_id.created_at(), NOW);
        let mut counted = first.clone();
        let mut changes = 0;
        while let Some(next) = counted.with_one_more() {
            (counted, changes) = (next, changes + 1);
        }
        assert_eq!((counted.requests, changes), (Some(MOST_COUNTED), MOST_COUNTED - 1));
        assert_eq!(AuditEntry { requests: first.requests, ..counted }, first, "only the count changes");
        let strangers = AuditFilter { strangers: true, ..AuditFilter::default() };
        assert!(strangers.takes(&first, NOW) && !AuditFilter::default().takes(&first, NOW));
        assert_eq!(act().succeeded(None).with_one_more(), None);
    }

    /// Entries are stored under ids made of these bytes.
    #[test]
    fn the_bytes_of_a_subject_stay_the_same() {
        assert_eq!(hashed("eve"), [195, 10, 244, 24, 240, 105, 254, 69, 59, 167]);
        assert_ne!(hashed("eve"), hashed("eva"));
    }

    #[test]
    fn an_event_has_one_entry_which_names_the_requester() {
        let failure = crate::Failure::new(crate::FailureKind::CrmTokenRefused, "Connect again.");
        let backup_id = crate::ids::BackupId::new(NOW, [3; 10]);
        let event = Event::BackupFailed { backup_id: backup_id.clone(), failure, paused_until: None };
        let account = AccountId::parse("42").expect("digits");
        let notification = Notification::new(account, backup_id.random(), event, Some(act().by), NOW);
        let kept_for = SignedDuration::from_hours(24);
        let entry = AuditEntry::of(&notification, kept_for).expect("an end");
        assert_eq!(entry, AuditEntry::of(&notification, kept_for).expect("the same"));
        assert_eq!(entry.forget_at, NOW + kept_for);
        assert_eq!((entry.action.as_str(), entry.outcome), ("backup-failed", AuditOutcome::Failed));
        assert!(OWN_ACTIONS.contains(&entry.action.as_str()));
        assert_eq!((entry.subject.as_deref(), entry.source_address), (Some("user-1"), None));
        assert_eq!(entry.reason.map(|reason| reason.kind).as_deref(), Some("crm-token-refused"));
    }
}
