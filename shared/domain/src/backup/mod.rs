//! A backup, from the request to the archive.
//!
//! ```text
//! queued ─▶ discovering ─▶ exporting ─▶ assembling ─▶ completed        any of the first four ─▶ failed | cancelled
//! ```
//! The last three states are final. After the end a backup only records that its working files were removed, that its
//! account was notified of the archive's expiry, and that a user deleted the archive. An expired archive is not a
//! state: it follows from the time.

mod gaps;
mod transitions;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::transitions::BackupEvent;

use crate::Failure;
use crate::account::{Account, ApiVersion, Requester};
use crate::gap::Gap;
use crate::ids::{AccountId, BackupId};
use crate::lease::Leasing;
use crate::lease::QUEUE_GRACE;
use crate::ports::ledger::{Key, Record};
use crate::ports::storage::{ETag, UploadId};
use crate::work::{BackupRef, Work};

/// How long an archive can be downloaded. The bucket's lifecycle rule deletes archives after the same time.
pub const ARCHIVE_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A backup that takes longer fails.
pub const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(6 * 24);

/// How often recover-stalled looks at a backup that exports: in each of its rounds.
const EXPORT_CHECK_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// The state of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupState {
    /// The request is accepted, and no run has started the backup.
    Queued,
    /// Object types and properties are being listed.
    Discovering,
    /// Records are being read.
    Exporting,
    /// The archive is being laid out.
    Assembling,
    /// The archive can be downloaded until it expires.
    Completed,
    /// It ended without an archive, because of its failure.
    Failed,
    Cancelled,
}

impl BackupState {
    /// Whether the state is final.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// The layout that an assembly has decided on. A rerun continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assembly {
    /// The lease of the run that decided on it. Part of the archive's key.
    pub attempt: u32,
    /// The unfinished upload. None if the archive is small enough for one write.
    pub upload_id: Option<UploadId>,
    /// The manifest's `completedAt`, fixed so that a rerun makes the same bytes.
    pub planned_at: Timestamp,
}

/// The archive of a completed backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// The key of the zip.
    pub storage_key: String,
    /// The key of the manifest beside it.
    pub manifest_key: String,
    pub etag: ETag,
    pub bytes: u64,
    pub expires_at: Timestamp,
}

/// Why a backup has no usable archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoArchive {
    /// The backup is running, or ended without an archive.
    #[error("the backup has no archive")]
    NotCompleted(BackupState),
    #[error("the archive was deleted at {0}")]
    Deleted(Timestamp),
    #[error("the archive expired at {0}")]
    Expired(Timestamp),
}

/// How long before an archive expires its account is notified.
pub const EXPIRY_NOTICE: SignedDuration = SignedDuration::from_hours(2 * 24);

/// The deletion of an archive by a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    pub at: Timestamp,
    pub by: Requester,
}

/// A backup of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    pub account_id: AccountId,
    pub backup_id: BackupId,
    /// The CRM's id of the account.
    pub portal_id: u64,
    pub api_version: ApiVersion,
    pub created_at: Timestamp,
    pub created_by: Requester,
    pub state: BackupState,
    /// The leases of the steps that a single run does (discovery, assembly).
    pub leasing: Leasing,
    /// When such a step or the sweep was last queued, or the export last checked.
    pub queued_at: Timestamp,
    /// Objects that are not exported, plus one during discovery.
    pub open_objects: u32,
    /// Known once discovery is finished.
    pub contains_sensitive_data: Option<bool>,
    pub assembly: Option<Assembly>,
    pub archive: Option<Archive>,
    pub failure: Option<Failure>,
    pub ended_at: Option<Timestamp>,
    /// When its working files were removed.
    pub swept_at: Option<Timestamp>,
    #[serde(default)]
    pub deletion: Option<Deletion>,
    /// When the account was notified of the archive's expiry.
    #[serde(default)]
    pub expiry_told_at: Option<Timestamp>,
    /// Gaps that discovery found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

impl Backup {
    /// A newly accepted backup.
    pub fn accepted(
        backup: BackupRef,
        portal_id: u64,
        api_version: ApiVersion,
        created_by: Requester,
        now: Timestamp,
    ) -> Self {
        Self {
            account_id: backup.account_id,
            backup_id: backup.backup_id,
            portal_id,
            api_version,
            created_at: now,
            created_by,
            state: BackupState::Queued,
            leasing: Leasing::default(),
            queued_at: now,
            open_objects: 1,
            contains_sensitive_data: None,
            assembly: None,
            archive: None,
            failure: None,
            ended_at: None,
            swept_at: None,
            deletion: None,
            expiry_told_at: None,
            gaps: Vec::new(),
        }
    }

    /// The ids that name it.
    pub fn reference(&self) -> BackupRef {
        BackupRef { account_id: self.account_id.clone(), backup_id: self.backup_id.clone() }
    }

    /// The message for its next step: discovery, assembly or the sweep. None while its objects are exported.
    pub fn work(&self) -> Option<Work> {
        match self.state {
            BackupState::Queued | BackupState::Discovering => Some(Work::Discover { backup: self.reference() }),
            BackupState::Exporting => None,
            BackupState::Assembling => Some(Work::Assemble { backup: self.reference() }),
            BackupState::Completed | BackupState::Failed | BackupState::Cancelled => {
                self.swept_at.is_none().then(|| Work::Sweep { backup: self.reference() })
            }
        }
    }

    /// Since when its next step has been overdue. None if it has no such step.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.work().map(|_| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    /// The archive, while it can be downloaded and restored from.
    ///
    /// # Errors
    /// [`NoArchive`]. A deleted archive counts as deleted even after its expiry.
    pub fn usable_archive(&self, now: Timestamp) -> Result<&Archive, NoArchive> {
        let completed = self.archive.as_ref().filter(|_| self.state == BackupState::Completed);
        let archive = completed.ok_or(NoArchive::NotCompleted(self.state))?;
        if let Some(deletion) = &self.deletion {
            return Err(NoArchive::Deleted(deletion.at));
        }
        if archive.expires_at <= now { Err(NoArchive::Expired(archive.expires_at)) } else { Ok(archive) }
    }

    /// When to notify the account of the archive's expiry. None if it was notified, and if there is no archive.
    pub fn expiry_notice_at(&self) -> Option<Timestamp> {
        let archive = self.archive.as_ref().filter(|_| self.expiry_told_at.is_none() && self.deletion.is_none());
        archive.map(|archive| archive.expires_at - EXPIRY_NOTICE)
    }

    /// Sort-key prefix of all backups of an account. They list in order of creation.
    pub const PREFIX: &'static str = "BACKUP#";

    /// The partition of a backup's objects, chunks and segments.
    pub fn partition(backup_id: &BackupId) -> String {
        format!("BACKUP#{backup_id}")
    }

    /// The ledger's key of a backup.
    pub fn key_of(backup: &BackupRef) -> Key {
        Key::new(Account::partition(&backup.account_id), format!("{}{}", Self::PREFIX, backup.backup_id))
    }
}

impl Record for Backup {
    fn key(&self) -> Key {
        Self::key_of(&self.reference())
    }

    fn due_at(&self) -> Option<Timestamp> {
        match self.state {
            BackupState::Queued | BackupState::Discovering | BackupState::Assembling => {
                Some(self.leasing.due_at(self.queued_at, QUEUE_GRACE))
            }
            BackupState::Exporting => Some(self.queued_at + EXPORT_CHECK_EVERY),
            BackupState::Completed | BackupState::Failed | BackupState::Cancelled => {
                if self.swept_at.is_none() {
                    return Some(self.leasing.due_at(self.queued_at, QUEUE_GRACE));
                }
                self.expiry_notice_at()
            }
        }
    }
}

#[cfg(test)]
mod tests;
