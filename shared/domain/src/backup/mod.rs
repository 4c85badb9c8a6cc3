//! A backup: one run, from the request to its archive.
//!
//! ```text
//! queued ─▶ discovering ─▶ exporting ─▶ assembling ─▶ completed        any of the first four ─▶ failed | cancelled
//! ```
//! The last three never change again. Of a backup that has ended it is only noted that what it needed while it ran is
//! removed, that its account was told of the archive's end, and that somebody has deleted the archive. That an archive has
//! expired is not a state but a matter of the time.

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

/// How long an archive can be downloaded. The bucket's lifecycle rule says the same.
pub const ARCHIVE_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A backup that is not done by then fails.
pub const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(6 * 24);

/// How often recover-stalled looks at a backup whose objects are being exported: in each of its rounds.
const EXPORT_CHECK_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Where a backup is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupState {
    /// Accepted; nobody has started.
    Queued,
    /// Object types and properties are being listed.
    Discovering,
    /// Records are being read.
    Exporting,
    /// The archive is being laid out.
    Assembling,
    /// The archive can be downloaded until it expires.
    Completed,
    /// It ended without an archive, for a reason that it names.
    Failed,
    Cancelled,
}

impl BackupState {
    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// The layout that an assembly has settled on; a rerun continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assembly {
    /// The lease number of the run that settled it; part of the archive's key.
    pub attempt: u32,
    /// The unfinished upload, or None where the archive is small enough for one write.
    pub upload_id: Option<UploadId>,
    /// The time that the manifest states as `completedAt`, fixed so that a rerun makes the same bytes.
    pub planned_at: Timestamp,
}

/// A finished archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// The zip in object storage.
    pub storage_key: String,
    /// The manifest beside it.
    pub manifest_key: String,
    /// Which bytes the zip has.
    pub etag: ETag,
    pub bytes: u64,
    /// From then on it cannot be downloaded.
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

/// How long before its end an account is told that an archive expires.
pub const EXPIRY_NOTICE: SignedDuration = SignedDuration::from_hours(2 * 24);

/// An archive that somebody did not want to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    pub at: Timestamp,
    pub by: Requester,
}

/// One run of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    pub account_id: AccountId,
    pub backup_id: BackupId,
    /// The CRM's own id of the account.
    pub portal_id: u64,
    /// The CRM API's version that it was read with.
    pub api_version: ApiVersion,
    /// When it was asked for.
    pub created_at: Timestamp,
    pub created_by: Requester,
    pub state: BackupState,
    /// Who does the step that only one run may do (discovery, assembly).
    pub leasing: Leasing,
    /// When such a step or the sweeping was last queued, or the export last checked.
    pub queued_at: Timestamp,
    /// Objects that are not exported, plus one while discovery goes on.
    pub open_objects: u32,
    /// Whether any column is sensitive, once discovered.
    pub contains_sensitive_data: Option<bool>,
    /// The layout of the archive, once settled.
    pub assembly: Option<Assembly>,
    /// The archive, once completed.
    pub archive: Option<Archive>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// When it reached its last state.
    pub ended_at: Option<Timestamp>,
    /// When what is not needed any more was removed.
    pub swept_at: Option<Timestamp>,
    /// Set when somebody has deleted the archive.
    #[serde(default)]
    pub deletion: Option<Deletion>,
    /// When the account was told that the archive is about to expire.
    #[serde(default)]
    pub expiry_told_at: Option<Timestamp>,
    /// What discovery found that it cannot hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

impl Backup {
    /// A backup that was just accepted.
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

    /// Its name.
    pub fn reference(&self) -> BackupRef {
        BackupRef { account_id: self.account_id.clone(), backup_id: self.backup_id.clone() }
    }

    /// The message for its next step that is not a chunk's or an object's, if it is at one.
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

    /// Since when its next step should have been worked on; None when nobody should.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.work().map(|_| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    /// The archive, while it can be downloaded and restored from.
    ///
    /// # Errors
    /// [`NoArchive`]. A deleted archive counts as deleted also after it would have expired.
    pub fn usable_archive(&self, now: Timestamp) -> Result<&Archive, NoArchive> {
        let completed = self.archive.as_ref().filter(|_| self.state == BackupState::Completed);
        let archive = completed.ok_or(NoArchive::NotCompleted(self.state))?;
        if let Some(deletion) = &self.deletion {
            return Err(NoArchive::Deleted(deletion.at));
        }
        if archive.expires_at <= now { Err(NoArchive::Expired(archive.expires_at)) } else { Ok(archive) }
    }

    /// When the account is to be told that the archive is about to expire; None once it was told, and where there is no
    /// archive to lose.
    pub fn expiry_notice_at(&self) -> Option<Timestamp> {
        let archive = self.archive.as_ref().filter(|_| self.expiry_told_at.is_none() && self.deletion.is_none());
        archive.map(|archive| archive.expires_at - EXPIRY_NOTICE)
    }

    /// Sort-key prefix of all backups of an account; they list in order of creation.
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
