//! The texts of notifications, and the API paths in them.

use super::channel::Channel;
use super::{Event, Notification, Shortfalls};

impl Event {
    /// The stable slug for programs, as it is stored.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::BackupCompleted { .. } => "backup-completed",
            Self::BackupFailed { .. } => "backup-failed",
            Self::BackupExpiring { .. } => "backup-expiring",
            Self::ScheduleSkipped { .. } => "schedule-skipped",
            Self::RestoreCompleted { .. } => "restore-completed",
            Self::RestoreStopped { .. } => "restore-stopped",
            Self::RestoreFailed { .. } => "restore-failed",
            Self::DeadLetters { .. } => "dead-letters",
            Self::DeliveryGivenUp { .. } => "delivery-given-up",
        }
    }

    /// The name on the event bus, in title case as is usual there.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::BackupCompleted { .. } => "Backup Completed",
            Self::BackupFailed { .. } => "Backup Failed",
            Self::BackupExpiring { .. } => "Backup Expiring",
            Self::ScheduleSkipped { .. } => "Schedule Skipped",
            Self::RestoreCompleted { .. } => "Restore Completed",
            Self::RestoreStopped { .. } => "Restore Stopped",
            Self::RestoreFailed { .. } => "Restore Failed",
            Self::DeadLetters { .. } => "Dead Letters",
            Self::DeliveryGivenUp { .. } => "Delivery Given Up",
        }
    }

    /// The subject of an e-mail.
    pub fn subject(&self) -> &'static str {
        match self {
            Self::BackupCompleted { shortfalls, .. } if !shortfalls.newly_missing.is_empty() => {
                "Warning: the backup lacks data that the last one held"
            }
            Self::BackupCompleted { shortfalls, .. } if !shortfalls.is_empty() => {
                "Backup completed, but some data is missing"
            }
            Self::BackupCompleted { .. } => "Backup completed",
            Self::BackupFailed { .. } => "Backup failed",
            Self::BackupExpiring { .. } => "Backup expires in two days",
            Self::ScheduleSkipped { next_run_at: Some(_), .. } => "Scheduled backup skipped",
            Self::ScheduleSkipped { next_run_at: None, .. } => "Scheduled backups switched off",
            Self::RestoreCompleted { .. } => "Restore completed",
            Self::RestoreStopped { .. } => "Restore stopped",
            Self::RestoreFailed { .. } => "Restore failed",
            Self::DeadLetters { .. } => "A backup or restore needs the operator",
            Self::DeliveryGivenUp { .. } => "A notification was not delivered",
        }
    }

    /// Makes the ids of different events differ, and of different channels that gave up one notification at one moment.
    pub(super) const fn number(&self) -> u8 {
        match self {
            Self::BackupCompleted { .. } => 1,
            Self::BackupFailed { .. } => 2,
            Self::BackupExpiring { .. } => 3,
            Self::ScheduleSkipped { .. } => 4,
            Self::RestoreCompleted { .. } => 5,
            Self::RestoreStopped { .. } => 6,
            Self::RestoreFailed { .. } => 7,
            Self::DeadLetters { .. } => 8,
            Self::DeliveryGivenUp { channel: Channel::EventBus, .. } => 9,
            Self::DeliveryGivenUp { channel: Channel::Email, .. } => 10,
            Self::DeliveryGivenUp { channel: Channel::Webhook, .. } => 11,
        }
    }

    /// What happened and what to do, in a few sentences.
    pub fn sentence(&self) -> String {
        match self {
            Self::BackupCompleted {
                bytes, expires_at, contains_sensitive_data, shortfalls, another_allowed, ..
            } => {
                let sensitive = if *contains_sensitive_data { " It contains sensitive data." } else { "" };
                let repeat = if *another_allowed { REPEAT } else { "" };
                let (size, lacks) = (size(*bytes), shortfalls.sentences());
                let what = if lacks.is_empty() {
                    format!("The backup is complete ({size}) and")
                } else {
                    format!("{lacks}The archive ({size})")
                };
                format!("{what} can be downloaded until {expires_at:.0}.{sensitive}{repeat}")
            }
            Self::BackupFailed { failure, paused_until: None, .. } => {
                format!(
                    "The backup failed. {} It does not count against the plan: you can start another one at once.",
                    failure.sentence
                )
            }
            Self::BackupFailed { failure, paused_until: Some(until), .. } => {
                format!(
                    "The backup failed. {} Several backups in a row have failed for this reason, so backups pause. You \
                     can start the next one at {until:.0}, or as soon as the account is connected again. A scheduled \
                     one starts by itself.",
                    failure.sentence
                )
            }
            Self::BackupExpiring { expires_at, .. } => {
                format!("The backup can be downloaded until {expires_at:.0}. Then it is deleted.")
            }
            Self::ScheduleSkipped { failure, next_run_at: Some(next) } => {
                format!("A scheduled backup was skipped. {} The next one is due at {next:.0}.", failure.sentence)
            }
            Self::ScheduleSkipped { failure, next_run_at: None } => {
                format!("Scheduled backups were switched off. {}", failure.sentence)
            }
            Self::RestoreCompleted { name, values_restored, values_not_restored, records_not_restored, .. } => {
                let records = match records_not_restored {
                    0 => String::new(),
                    records => format!(" Records that no longer exist or could not be read: {records}."),
                };
                format!(
                    "{name}. Values restored: {values_restored}; not restored: {values_not_restored}.{records} \
                     The import shows the details."
                )
            }
            Self::RestoreStopped { name, .. } => {
                format!("{name} was stopped. The values that it had written stay, and are listed as an import.")
            }
            Self::RestoreFailed { name, failure, has_written: true, .. } => format!(
                "{name} failed. The values that it had written stay, and are listed as an import. {}",
                failure.sentence
            ),
            Self::RestoreFailed { name, failure, has_written: false, .. } => {
                format!("{name} could not be planned. Nothing was changed. {}", failure.sentence)
            }
            Self::DeadLetters { step, run_id } => {
                let what = if step.starts_with("restore") { "restore" } else { "backup" };
                format!(
                    "Part of {what} {run_id} failed five times, and its message was set aside. The {what} continues by \
                     itself if possible. Ask the operator of the deployment to look into it, as described in the runbook \
                     (docs/operator.md, \"Dead letters\")."
                )
            }
            Self::DeliveryGivenUp { channel, reason, .. } => {
                let remedy = match channel {
                    Channel::EventBus => "Ask the operator of the deployment to check the bus",
                    Channel::Email => "Check the addresses in notificationTargets.email",
                    Channel::Webhook => "Check notificationTargets.webhook",
                };
                let by = channel.phrase();
                format!("A notification could not be delivered by {by}: {reason}. It is in the inbox. {remedy}.")
            }
        }
    }
}

/// The hint after a short backup.
const REPEAT: &str =
    " Because it is incomplete, it does not count against the plan: you can start another one at once.";

/// How many labels are listed at most.
const MOST_LABELS: usize = 20;

impl Shortfalls {
    /// A sentence for each kind of shortfall, the most urgent first. Each ends with a space.
    fn sentences(&self) -> String {
        let parts = [
            (
                &self.newly_missing,
                "WARNING: The last backup held",
                "; this one could not read all of it. Check the token's scopes",
            ),
            (&self.without_records, "Some records could not be read:", ""),
            (&self.without_values, "The CRM did not show some values or properties:", ""),
            (&self.unordered, "Records that changed during the backup may be missing:", ""),
            (&self.short, "The backup has fewer records than the CRM counts:", ""),
            (&self.not_offered, "Not in the backup, because the token cannot read it in the CRM:", ""),
        ];
        let parts = parts.into_iter().filter(|(labels, ..)| !labels.is_empty());
        let sentences = parts.map(|(labels, begin, end)| format!("{begin} {}{end}. ", listed(labels)));
        let sentences: String = sentences.collect();
        if sentences.is_empty() { sentences } else { sentences + "The backup and its manifest list the details. " }
    }
}

fn listed(labels: &[String]) -> String {
    let named = labels.iter().take(MOST_LABELS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match labels.len().saturating_sub(MOST_LABELS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A number of bytes for people, such as `1.2 MB`.
fn size(bytes: u64) -> String {
    let (unit, divisor) = match bytes {
        0..1_000_000 => ("kB", 1_000),
        1_000_000..1_000_000_000 => ("MB", 1_000_000),
        _ => ("GB", 1_000_000_000),
    };
    // Rounded up, so that no archive is shown as empty.
    let tenths = bytes.div_ceil(divisor / 10);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

impl Notification {
    /// The API's path to the backup, restore or notification that it is about. For a file it is the route that makes a
    /// fresh link, never a link.
    pub fn path(&self) -> Option<String> {
        let rest = match &self.event {
            Event::BackupCompleted { backup_id, .. } | Event::BackupExpiring { backup_id, .. } => {
                format!("/backups/{backup_id}/download")
            }
            Event::BackupFailed { backup_id, .. } => format!("/backups/{backup_id}"),
            Event::ScheduleSkipped { .. } => "/backup-schedule".to_owned(),
            Event::RestoreCompleted { restore_id, .. }
            | Event::RestoreStopped { restore_id, .. }
            | Event::RestoreFailed { restore_id, has_written: true, .. } => format!("/imports/{restore_id}"),
            Event::RestoreFailed { restore_id, has_written: false, .. } => format!("/restores/{restore_id}"),
            Event::DeliveryGivenUp { undelivered_id, .. } => format!("/notifications/{undelivered_id}"),
            Event::DeadLetters { .. } => return None,
        };
        Some(format!("/accounts/{}{rest}", self.account_id))
    }
}
