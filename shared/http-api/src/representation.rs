//! Times, waits and backups in the API's answers.

use domain::Failure;
use domain::account::Requester;
use domain::backup::{Backup, BackupState, Deletion, NoArchive};
use domain::ids::{AccountId, BackupId};
use domain::lease::WaitReason;
use jiff::Timestamp;
use serde::Serialize;
use workflows::backup::read::Waiting;

/// A time as answers contain it: to the millisecond. Old records were stored with more digits.
pub fn shown(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// Why a backup or a restore waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitRepresentation {
    until: Timestamp,
    reason: WaitReason,
    sentence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl WaitRepresentation {
    /// The wait, with a reason for programs and a sentence for people.
    pub fn of(Waiting { until, reason, since }: Waiting) -> Self {
        Self { until: shown(until), reason, sentence: reason.sentence(), since: since.map(shown) }
    }
}

/// A backup as its account's super admins see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRepresentation<'a> {
    account_id: &'a AccountId,
    backup_id: &'a BackupId,
    portal_id: u64,
    api_version: &'static str,
    created_at: Timestamp,
    created_by: &'a Requester,
    state: StateRepresentation,
    /// Unknown until the backup has discovered the account's properties.
    contains_sensitive_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveRepresentation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<DeletionRepresentation<'a>>,
}

/// A backup's state as users see it, which includes that its archive was deleted or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum StateRepresentation {
    Own(BackupState),
    Shown(&'static str),
}

impl StateRepresentation {
    fn of(backup: &Backup, now: Timestamp) -> Self {
        match backup.usable_archive(now) {
            Err(NoArchive::Deleted(_)) => Self::Shown("deleted"),
            Err(NoArchive::Expired(_)) => Self::Shown("expired"),
            Ok(_) | Err(NoArchive::NotCompleted(_)) => Self::Own(backup.state),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ArchiveRepresentation<'a> {
    bytes: u64,
    /// The `ETag` of the download.
    etag: &'a str,
    expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DeletionRepresentation<'a> {
    at: Timestamp,
    by: &'a Requester,
}

impl<'a> BackupRepresentation<'a> {
    /// `backup` as it looks at `now`.
    pub fn of(backup: &'a Backup, now: Timestamp) -> Self {
        let archive = backup.archive.as_ref();
        Self {
            account_id: &backup.account_id,
            backup_id: &backup.backup_id,
            portal_id: backup.portal_id,
            api_version: backup.api_version.as_str(),
            created_at: shown(backup.created_at),
            created_by: &backup.created_by,
            state: StateRepresentation::of(backup, now),
            contains_sensitive_data: backup.contains_sensitive_data,
            archive: archive.map(|archive| ArchiveRepresentation {
                bytes: archive.bytes,
                etag: &archive.etag.0,
                expires_at: shown(archive.expires_at),
            }),
            failure: backup.failure.as_ref(),
            ended_at: backup.ended_at.map(shown),
            deletion: backup.deletion.as_ref().map(|Deletion { at, by }| DeletionRepresentation { at: shown(*at), by }),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::account::ApiVersion;
    use domain::work::BackupRef;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_queued_backup_has_only_the_members_that_are_known() {
        let now: Timestamp = "2026-11-22T17:00:00Z".parse().expect("a time");
        let account_id = AccountId::parse("42").expect("an id");
        let backup_id = BackupId::new(now, [7; 10]);
        let by = Requester { subject: "user-1".into(), email: None };
        let reference = BackupRef { account_id, backup_id: backup_id.clone() };
        let backup = Backup::accepted(reference, 7, ApiVersion::V2026_09, by, now);
        assert_eq!(
            serde_json::to_value(BackupRepresentation::of(&backup, now)).expect("JSON"),
            json!({
                "accountId": "42",
                "backupId": backup_id.as_str(),
                "portalId": 7,
                "apiVersion": "2026-09",
                "createdAt": "2026-11-22T17:00:00Z",
                "createdBy": {"subject": "user-1", "email": null},
                "state": "queued",
                "containsSensitiveData": null,
            })
        );
    }
}
