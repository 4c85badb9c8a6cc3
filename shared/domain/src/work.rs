//! Work: messages between the functions. Each only names an item to look at.

use serde::{Deserialize, Serialize};

use crate::chunk::ChunkKey;
use crate::ids::{AccountId, BackupId, ObjectType};

/// Names a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRef {
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The backup.
    pub backup_id: BackupId,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Work {
    /// discover-objects: find the account's object types and make the first chunks.
    Discover {
        /// Which backup.
        backup: BackupRef,
    },
    /// export-chunk: read one id range of one object.
    Export {
        /// Which backup.
        backup: BackupRef,
        /// Which chunk.
        chunk: ChunkKey,
    },
    /// export-chunk: all chunks of the object seem to be done; check it and count it off.
    CloseObject {
        /// Which backup.
        backup: BackupRef,
        /// Which object.
        object_type: ObjectType,
    },
    /// assemble-archive: lay the archive out and complete the backup.
    Assemble {
        /// Which backup.
        backup: BackupRef,
    },
    /// assemble-archive: the backup has ended; delete its segments and unfinished uploads.
    Sweep {
        /// Which backup.
        backup: BackupRef,
    },
}

impl Work {
    /// The backup that the work is for.
    pub fn backup(&self) -> &BackupRef {
        match self {
            Self::Discover { backup }
            | Self::Export { backup, .. }
            | Self::CloseObject { backup, .. }
            | Self::Assemble { backup }
            | Self::Sweep { backup } => backup,
        }
    }
}
