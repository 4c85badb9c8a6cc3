//! The notifications about backups and restores, and their entries in the audit log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::account::Requester;
use domain::audit::{Act, AuditEntry};
use domain::backup::BackupState;
use domain::ids::AuditEntryId;
use domain::notification::{Event, Notification};
use domain::ports::clock::Clock;
use domain::ports::ledger;
use domain::restore::{RestoreSource, RestoreState};
use domain::work::{BackupRef, RestoreRef};
use in_memory::faults::Worker;
use in_memory::{MemoryDeadLetters, MemoryEventBus, MemoryWebhookSecrets, MemoryWebhooks};
use jiff::SignedDuration;
use secrecy::SecretString;
use workflows::notify::Notify;

use super::{World, random};

/// How long the audit log keeps its entries.
const AUDIT_KEPT_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The first pause between two attempts to deliver a notification.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// Where notifications leave a world, and where messages lie that were set aside.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    pub(super) bus: Arc<MemoryEventBus>,
    pub(super) webhooks: Arc<MemoryWebhooks>,
    pub(super) secrets: Arc<MemoryWebhookSecrets>,
    pub(super) dead_letters: Arc<MemoryDeadLetters>,
}

/// No webhook of these worlds is ever set.
pub(super) fn new_webhook_secret() -> SecretString {
    SecretString::from("whsec_")
}

/// The backup or the restore that an event is about; None for other events.
fn about(event: &Event) -> Option<&str> {
    match event {
        Event::BackupCompleted { backup_id, .. }
        | Event::BackupFailed { backup_id, .. }
        | Event::BackupExpiring { backup_id, .. } => Some(backup_id.as_str()),
        Event::RestoreCompleted { restore_id, .. }
        | Event::RestoreStopped { restore_id, .. }
        | Event::RestoreFailed { restore_id, .. } => Some(restore_id.as_str()),
        _ => None,
    }
}

impl World {
    pub(super) fn notify(&self, worker: &Arc<Worker>) -> Notify {
        Notify {
            ledger: worker.wrap(self.ledger.clone()),
            queue: worker.wrap(self.queue.clone()),
            clock: self.clock.clone(),
            bus: worker.wrap(self.outlets.bus.clone()),
            mailer: None,
            webhooks: worker.wrap(self.outlets.webhooks.clone()),
            secrets: worker.wrap(self.outlets.secrets.clone()),
            api_url: "https://backup.test".to_owned(),
            first_pause: FIRST_PAUSE,
            audit_kept_for: AUDIT_KEPT_FOR,
        }
    }

    /// What the one person of these worlds does now, as the audit log calls it.
    pub fn act(&self, action: &'static str) -> Act {
        let at = self.clock.now();
        Act {
            account_id: self.account.clone(),
            entry_id: AuditEntryId::new(at, random()),
            at,
            by: Requester { subject: "somebody".to_owned(), email: None },
            source_address: None,
            action,
            kept_for: AUDIT_KEPT_FOR,
        }
    }

    /// The account's inbox, oldest first.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn notifications(&self) -> Vec<Notification> {
        let partition = format!("ACCOUNT#{}", self.account);
        let found = ledger::list::<Notification>(&*self.ledger, &partition, Notification::PREFIX).await;
        found.expect("the ledger answers").into_iter().map(|loaded| loaded.record).collect()
    }

    /// The account's audit log, oldest first.
    ///
    /// # Panics
    /// When the ledger does not answer.
    pub async fn audit_log(&self) -> Vec<AuditEntry> {
        let found = ledger::list::<AuditEntry>(&*self.ledger, &AuditEntry::partition(&self.account), "").await;
        found.expect("the ledger answers").into_iter().map(|loaded| loaded.record).collect()
    }

    /// The audit log has one entry for the request of a backup and one for its end. A notification was sent about the
    /// end unless a person cancelled it.
    ///
    /// # Panics
    /// When that is not so, or the backup has not ended.
    pub async fn assert_backup_told(&self, backup: &BackupRef) {
        let (id, state) = (backup.backup_id.as_str(), self.backup(backup).await.state);
        let (end, is_notified) = match state {
            BackupState::Completed => ("backup-completed", true),
            BackupState::Failed => ("backup-failed", true),
            BackupState::Cancelled => ("cancel-backup", false),
            state => panic!("it has not ended: {state:?}"),
        };
        self.assert_told(id, is_notified.then_some(end).as_slice()).await;
        self.assert_in_audit_log_once(id, &["create-backup", end]).await;
    }

    /// The same of a restore, and of its confirmation and its stop.
    ///
    /// # Panics
    /// When it is not so, or the restore has not ended.
    pub async fn assert_restore_told(&self, restore: &RestoreRef) {
        let (id, record) = (restore.restore_id.as_str(), self.restore(restore).await);
        let request = match record.source {
            RestoreSource::Backup { .. } => "create-restore",
            RestoreSource::Undo { .. } => "undo-restore",
        };
        let (end, is_notified) = match record.state {
            RestoreState::Completed => ("restore-completed", true),
            RestoreState::Stopped => ("restore-stopped", true),
            RestoreState::Failed => ("restore-failed", true),
            RestoreState::Cancelled => ("cancel-restore", false),
            state => panic!("it has not ended: {state:?}"),
        };
        self.assert_told(id, is_notified.then_some(end).as_slice()).await;
        let mut actions = vec![request, end];
        actions.extend(record.confirmation.is_some().then_some("confirm-restore"));
        actions.extend((record.state == RestoreState::Stopped).then_some("stop-restore"));
        self.assert_in_audit_log_once(id, &actions).await;
    }

    /// There is one notification of the end of a completed backup, and then one that its archive is about to expire.
    ///
    /// # Panics
    /// When that is not so.
    pub async fn assert_expiry_told(&self, backup: &BackupRef) {
        self.assert_told(backup.backup_id.as_str(), &["backup-completed", "backup-expiring"]).await;
    }

    /// The notifications about `id` are these `events`, each once in the inbox and at least once on the bus.
    async fn assert_told(&self, id: &str, events: &[&str]) {
        let struck = self.settings.faults.struck();
        let notifications = self.notifications().await;
        let of_id: Vec<_> = notifications.iter().filter(|found| about(&found.event) == Some(id)).collect();
        let words: Vec<_> = of_id.iter().map(|notification| notification.event.slug()).collect();
        assert_eq!(words, events, "events of {id} after {struck:?}");
        let published = self.outlets.bus.published();
        for notification in of_id {
            let (id, title) = (notification.notification_id.as_str(), notification.event.title());
            let is_it = |detail: &str| detail.contains(&format!(r#""notificationId":"{id}""#));
            let on_bus = published.iter().any(|event| event.detail_type == title && is_it(&event.detail));
            assert!(on_bus, "'{title}' is not on the bus after {struck:?}");
        }
    }

    /// Of everything that was done with `id`, the audit log has one entry; `actions` are among it.
    async fn assert_in_audit_log_once(&self, id: &str, actions: &[&str]) {
        let log = self.audit_log().await;
        let found: Vec<_> = log.iter().filter(|entry| entry.target.as_deref() == Some(id)).collect();
        let found: Vec<_> = found.into_iter().map(|entry| entry.action.as_str()).collect();
        let distinct: BTreeSet<_> = found.iter().copied().collect();
        let is_complete = actions.iter().all(|action| distinct.contains(action));
        let struck = self.settings.faults.struck();
        assert!(is_complete && distinct.len() == found.len(), "{found:?} of {id} after {struck:?}");
    }
}
