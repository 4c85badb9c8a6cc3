//! Examples of all events, for tests of their texts and of their documentation.

use jiff::Timestamp;

use super::channel::Channel;
use super::{Event, Shortfalls};
use crate::ids::{BackupId, NotificationId, RestoreId};
use crate::{Failure, FailureKind};

/// 22 November 2026, 17:00 UTC.
const AT: i64 = 1_795_366_800;

/// Examples of every event, and of every form in which its texts differ.
pub fn every_event() -> Vec<Event> {
    std::iter::successors(after(None), |event| after(Some(event))).collect()
}

/// The example after `event`, or the first one. The match names every variant, so an event without an example does not
/// compile.
fn after(event: Option<&Event>) -> Option<Event> {
    let at = Timestamp::from_second(AT).unwrap_or_default();
    let (backup_id, restore_id) = (BackupId::new(at, [1; 10]), RestoreId::new(at, [2; 10]));
    let failure = Failure::new(FailureKind::CrmTokenRefused, "Connect again.");
    let name = "Data restore – Deal".to_owned();
    let Some(event) = event else {
        return Some(Event::BackupCompleted {
            backup_id,
            bytes: 1,
            expires_at: at,
            contains_sensitive_data: true,
            shortfalls: Shortfalls { short: vec!["Deal".to_owned()], ..Shortfalls::default() },
            another_allowed: true,
        });
    };
    Some(match event {
        Event::BackupCompleted { .. } => Event::BackupFailed { backup_id, failure, paused_until: None },
        Event::BackupFailed { paused_until: None, .. } => {
            Event::BackupFailed { backup_id, failure, paused_until: Some(at) }
        }
        Event::BackupFailed { paused_until: Some(_), .. } => Event::BackupExpiring { backup_id, expires_at: at },
        Event::BackupExpiring { .. } => Event::ScheduleSkipped { failure, next_run_at: Some(at) },
        Event::ScheduleSkipped { next_run_at: Some(_), .. } => Event::ScheduleSkipped { failure, next_run_at: None },
        Event::ScheduleSkipped { next_run_at: None, .. } => Event::RestoreCompleted {
            restore_id,
            name,
            values_restored: 1,
            values_not_restored: 0,
            records_not_restored: 0,
        },
        Event::RestoreCompleted { .. } => Event::RestoreStopped { restore_id, name },
        Event::RestoreStopped { .. } => Event::RestoreFailed { restore_id, name, has_written: false, failure },
        Event::RestoreFailed { has_written: false, .. } => {
            Event::RestoreFailed { restore_id, name, has_written: true, failure }
        }
        Event::RestoreFailed { has_written: true, .. } => {
            Event::DeadLetters { step: "export".to_owned(), run_id: backup_id.to_string() }
        }
        Event::DeadLetters { .. } => {
            let (undelivered_id, reason) = (NotificationId::new(at, [3; 10]), "refused".to_owned());
            Event::DeliveryGivenUp { undelivered_id, channel: Channel::Email, reason }
        }
        Event::DeliveryGivenUp { .. } => return None,
    })
}
