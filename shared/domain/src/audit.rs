//! The audit log: who did or tried what, when, from where, and what came of it. Entries are created and never changed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::Requester;
use crate::ids::{AccountId, AuditEntryId};
use crate::notification::{Event, Notification};
use crate::ports::ledger::{AUDIT_PARTITIONS, Key, Record};

/// The longest target that an entry repeats, in bytes: ids have 36, and a request can name anything.
const LONGEST_TARGET: usize = 128;

/// The longest subject, address or sentence of an entry, in bytes.
const LONGEST_TEXT: usize = 1_024;

/// The start of a scheduled backup, for whoever has switched the schedule on.
pub const START_SCHEDULED_BACKUP: &str = "start-scheduled-backup";

/// Somebody is about to change a secret. Secrets are not in the ledger, so the change of one and the entry of the request cannot
/// be made together: this one comes first. Where no other follows, nobody knows whether the secret has changed.
pub const SECRET_CHANGE_BEGUN: &str = "secret-change-begun";

/// The actions of entries that are no operation of the API.
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

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    Succeeded,
    /// It was not allowed or made no sense; nothing has changed.
    Refused,
    /// It went wrong on our side or in the CRM.
    Failed,
}

impl AuditOutcome {
    /// As it is stored.
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
    /// What webhooks are signed with.
    WebhookSecret,
}

impl Secret {
    /// As entries name it.
    const fn slug(self) -> &'static str {
        match self {
            Self::CrmToken => "crmToken",
            Self::WebhookSecret => "webhookSecret",
        }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The account it is about.
    pub account_id: AccountId,
    pub entry_id: AuditEntryId,
    pub at: Timestamp,
    /// Who: the `sub` claim; None for what the deployment did by itself.
    pub subject: Option<String>,
    /// Their e-mail address, where the sign-in names one.
    pub email: Option<String>,
    /// From which address; None for what the deployment did by itself.
    pub source_address: Option<String>,
    /// What, such as `create-backup` (an operation of the API) or `backup-completed` (an event).
    pub action: String,
    /// The backup, the restore or what else it was about; of an account or a schedule, what was changed.
    pub target: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Why, where it was refused or failed: a stable word for programs and a sentence.
    pub reason: Option<Reason>,
    /// When the ledger may forget it.
    pub forget_at: Timestamp,
}

/// Why something was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    pub kind: String,
    /// A sentence for people.
    pub sentence: String,
}

impl Reason {
    fn within_bounds(self) -> Self {
        Self { kind: cut(&self.kind, LONGEST_TARGET), sentence: cut(&self.sentence, LONGEST_TEXT) }
    }
}

/// `text` if it has no more than `most` bytes; its beginning and `…` otherwise, which is as long at most.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - '…'.len_utf8());
    format!("{}…", &text[..end])
}

/// Something that somebody does or tries, of which the outcome is still open. Whatever carries it out puts the entry into the
/// ledger together with what it changes, so there is neither one without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The account it is about.
    pub account_id: AccountId,
    /// The id that its entry will have.
    pub entry_id: AuditEntryId,
    /// When it was made.
    pub at: Timestamp,
    pub by: Requester,
    pub source_address: Option<String>,
    /// What it is, as the API's operations are named.
    pub action: &'static str,
    /// How long its entry is kept.
    pub kept_for: SignedDuration,
}

impl Act {
    /// The entry of an act that did what it was meant to do, to `target`.
    pub fn succeeded(&self, target: impl Into<Option<String>>) -> AuditEntry {
        self.entry(target.into(), AuditOutcome::Succeeded, None)
    }

    /// The entry of an act that came to nothing.
    pub fn ended(&self, target: Option<String>, outcome: AuditOutcome, reason: Reason) -> AuditEntry {
        self.entry(target, outcome, Some(reason))
    }

    /// The entry of [`SECRET_CHANGE_BEGUN`]. It has an id of its own, the same every time, that lists just before the act's.
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
        }
    }
}

impl AuditEntry {
    /// The entry of what the deployment did by itself, as a notification tells it; None for what only reminds of
    /// something. It names who had asked for it.
    pub fn of(notification: &Notification, kept_for: SignedDuration) -> Option<Self> {
        let failed = |failure: &crate::Failure| {
            let reason = Reason { kind: failure.kind.clone(), sentence: failure.sentence.clone() };
            (AuditOutcome::Failed, Some(reason))
        };
        let (target, (outcome, reason)) = match &notification.event {
            Event::BackupCompleted { backup_id, .. } => (Some(backup_id.to_string()), (AuditOutcome::Succeeded, None)),
            Event::BackupFailed { backup_id, failure } => (Some(backup_id.to_string()), failed(failure)),
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
        })
    }

    /// The partition of an account's entries; they list in order of time.
    pub fn partition(account_id: &AccountId) -> String {
        format!("{AUDIT_PARTITIONS}{account_id}")
    }
}

impl Record for AuditEntry {
    fn key(&self) -> Key {
        Key::new(Self::partition(&self.account_id), self.entry_id.as_str())
    }

    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.forget_at)
    }
}

/// Which entries of an account are asked for. What is None or empty excludes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    pub actions: BTreeSet<String>,
    /// Only what somebody with this subject or e-mail address (in whatever case) did.
    pub person: Option<String>,
    pub outcome: Option<AuditOutcome>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether `entry` is asked for at `now`; what should be forgotten is not, since the ledger forgets late.
    pub fn takes(&self, entry: &AuditEntry, now: Timestamp) -> bool {
        let is_person = |person: &String| {
            entry.subject.as_ref() == Some(person)
                || entry.email.as_ref().is_some_and(|email| email.to_lowercase() == person.to_lowercase())
        };
        entry.forget_at > now
            && (self.actions.is_empty() || self.actions.contains(&entry.action))
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
    fn a_filter_takes_what_fits_all_of_it() {
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
        assert!(!times(NOW, NOW).takes(&entry, NOW), "the end is not part of it");
    }

    #[test]
    fn the_begin_of_a_change_of_a_secret_lists_just_before_its_end() {
        let act = act();
        let end = act.succeeded("crmConnection, webhook".to_owned());
        let begins = [Secret::CrmToken, Secret::WebhookSecret].map(|secret| act.begins_to_change(secret));
        let targets = begins.each_ref().map(|entry| entry.target.as_deref());
        assert_eq!(targets, [Some("crmToken"), Some("webhookSecret")]);
        assert!(begins[0].entry_id < begins[1].entry_id && begins[1].entry_id < end.entry_id);
        assert_eq!(begins[0].entry_id.created_at(), end.entry_id.created_at());
        assert!(begins.iter().all(|entry| entry.at == end.at && OWN_ACTIONS.contains(&entry.action.as_str())));
    }

    /// D7: whatever a request names, and however long the sentence about it is.
    #[test]
    fn an_entry_is_small_whatever_was_sent() {
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
    fn an_event_of_the_deployment_is_audited_once_under_its_requester() {
        let failure = crate::Failure::new("crm-token-refused", "Connect again.");
        let backup_id = crate::ids::BackupId::new(NOW, [3; 10]);
        let event = Event::BackupFailed { backup_id: backup_id.clone(), failure };
        let account = AccountId::parse("42").expect("digits");
        let notification = Notification::new(account, backup_id.random(), event, Some(act().by), NOW);
        let kept_for = SignedDuration::from_hours(24);
        let entry = AuditEntry::of(&notification, kept_for).expect("an end");
        assert_eq!(entry, AuditEntry::of(&notification, kept_for).expect("the same"));
        assert_eq!((entry.action.as_str(), entry.outcome), ("backup-failed", AuditOutcome::Failed));
        assert!(OWN_ACTIONS.contains(&entry.action.as_str()));
        assert_eq!((entry.subject.as_deref(), entry.source_address), (Some("user-1"), None));
        assert_eq!(entry.reason.map(|reason| reason.kind).as_deref(), Some("crm-token-refused"));
    }
}
