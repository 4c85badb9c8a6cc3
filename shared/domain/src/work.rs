//! Work: messages between the functions. A message names an item and holds nothing else.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::ids::ChunkKey;
use crate::ids::{AccountId, BackupId, NotificationId, ObjectType, RestoreId};
use crate::notification::channel::Channel;

/// How long the ledger keeps a backup's chunks and segments after the backup's creation, so that operators can look
/// into failures.
pub const WORK_KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The ids of a backup and its account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRef {
    pub account_id: AccountId,
    pub backup_id: BackupId,
}

/// The ids of a restore and its account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRef {
    pub account_id: AccountId,
    pub restore_id: RestoreId,
}

/// The ids of a notification and its account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRef {
    pub account_id: AccountId,
    pub notification_id: NotificationId,
}

/// A message to a function: one item to work on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Work {
    /// discover-objects: find the account's object types and make the first chunks.
    Discover { backup: BackupRef },
    /// export-chunk: read one id range of one object.
    Export { backup: BackupRef, chunk: ChunkKey },
    /// export-chunk: all chunks of the object seem to be done; check this and close the object.
    CloseObject { backup: BackupRef, object_type: ObjectType },
    /// assemble-archive: lay the archive out and complete the backup.
    Assemble { backup: BackupRef },
    /// assemble-archive: the backup has ended; delete its segments and unfinished uploads, and the archive unless it is
    /// kept.
    Sweep { backup: BackupRef },
    /// restore-chunk: do the restore's next step: begin the plan, sum it up, or conclude.
    Restore { restore: RestoreRef },
    /// restore-chunk: plan or apply one slice.
    RestoreSlice { restore: RestoreRef, slice: u32 },
    /// deliver-notifications: create a delivery for every channel.
    Announce { notification: NotificationRef },
    /// deliver-notifications: deliver the notification by one channel.
    Deliver { notification: NotificationRef, channel: Channel },
}

impl Document for Work {}

impl Work {
    /// The account whose work it is.
    pub fn account_id(&self) -> &AccountId {
        match self {
            Self::Discover { backup }
            | Self::Export { backup, .. }
            | Self::CloseObject { backup, .. }
            | Self::Assemble { backup }
            | Self::Sweep { backup } => &backup.account_id,
            Self::Restore { restore } | Self::RestoreSlice { restore, .. } => &restore.account_id,
            Self::Announce { notification } | Self::Deliver { notification, .. } => &notification.account_id,
        }
    }

    /// The id of the backup, restore or notification.
    pub fn run_id(&self) -> &str {
        match self {
            Self::Discover { backup }
            | Self::Export { backup, .. }
            | Self::CloseObject { backup, .. }
            | Self::Assemble { backup }
            | Self::Sweep { backup } => backup.backup_id.as_str(),
            Self::Restore { restore } | Self::RestoreSlice { restore, .. } => restore.restore_id.as_str(),
            Self::Announce { notification } | Self::Deliver { notification, .. } => {
                notification.notification_id.as_str()
            }
        }
    }

    /// When the backup, restore or notification was created, to the second, and the random part of its id.
    pub fn run_stamp(&self) -> (Timestamp, [u8; 10]) {
        match self {
            Self::Discover { backup }
            | Self::Export { backup, .. }
            | Self::CloseObject { backup, .. }
            | Self::Assemble { backup }
            | Self::Sweep { backup } => (backup.backup_id.created_at(), backup.backup_id.random()),
            Self::Restore { restore } | Self::RestoreSlice { restore, .. } => {
                (restore.restore_id.created_at(), restore.restore_id.random())
            }
            Self::Announce { notification } | Self::Deliver { notification, .. } => {
                (notification.notification_id.created_at(), notification.notification_id.random())
            }
        }
    }

    /// The kind of work, as in the stored message.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Discover { .. } => "discover",
            Self::Export { .. } => "export",
            Self::CloseObject { .. } => "close-object",
            Self::Assemble { .. } => "assemble",
            Self::Sweep { .. } => "sweep",
            Self::Restore { .. } => "restore",
            Self::RestoreSlice { .. } => "restore-slice",
            Self::Announce { .. } => "announce",
            Self::Deliver { .. } => "deliver",
        }
    }
}
