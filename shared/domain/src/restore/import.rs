//! An import: a restore that has written to the CRM, as its users see it afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::OutcomeCounts;
use super::plan::PropertyCounts;
use super::{DroppedProperty, Restore, RestoreState};
use crate::Failure;
use crate::backup::Requester;
use crate::ids::{AccountId, ObjectType, RestoreId};
use crate::ports::ledger::{Key, Record};

/// A finished restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The account.
    pub account_id: AccountId,
    /// The restore that it was; also the import's id.
    pub restore_id: RestoreId,
    /// What users know it by, `Data restore – Deal`.
    pub name: String,
    /// The object type.
    pub object_type: ObjectType,
    /// How the restore ended: completed, stopped or failed.
    pub state: RestoreState,
    /// Who planned it.
    pub created_by: Requester,
    /// When.
    pub created_at: Timestamp,
    /// Who confirmed it.
    pub confirmed_by: Option<Requester>,
    /// When.
    pub confirmed_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Records that the plan found gone.
    pub records_gone: u64,
    /// Records that the plan found and could not read.
    #[serde(default)]
    pub records_unreadable: u64,
    /// Values that the plan left as they are.
    pub values_skipped: u64,
    /// What became of the rest.
    pub outcome: OutcomeCounts,
    /// Properties that were given up.
    pub dropped: Vec<DroppedProperty>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// The CSV of what was not restored, where there is anything to tell.
    pub errors_key: Option<String>,
}

impl Import {
    /// What users know the import by that a restore of an object with this singular label becomes.
    pub fn name_of(label: &str) -> String {
        format!("Data restore – {label}")
    }

    /// The import that `restore` has become by ending at `now`.
    pub fn of(restore: &Restore, outcome: OutcomeCounts, errors_key: Option<String>, now: Timestamp) -> Self {
        let counts = restore.plan.as_ref().map(|plan| &plan.counts);
        let confirmation = restore.confirmation.as_ref();
        Self {
            account_id: restore.account_id.clone(),
            restore_id: restore.restore_id.clone(),
            name: Self::name_of(&restore.label),
            object_type: restore.object_type.clone(),
            state: restore.state,
            created_by: restore.created_by.clone(),
            created_at: restore.created_at,
            confirmed_by: confirmation.map(|confirmation| confirmation.by.clone()),
            confirmed_at: confirmation.map(|confirmation| confirmation.at),
            ended_at: now,
            records_gone: counts.map_or(0, |counts| counts.not_found + counts.merged),
            records_unreadable: counts.map_or(0, |counts| counts.unreadable),
            values_skipped: counts.map_or(0, |counts| counts.values(PropertyCounts::left)),
            outcome,
            dropped: restore.dropped.clone(),
            failure: restore.failure.clone(),
            errors_key,
        }
    }

    /// Sort-key prefix of all imports of an account; they list in order of their restores' creation.
    pub const PREFIX: &'static str = "IMPORT#";

    /// The ledger's key of an import.
    pub fn key_of(account_id: &AccountId, restore_id: &RestoreId) -> Key {
        Key::new(format!("ACCOUNT#{account_id}"), format!("{}{restore_id}", Self::PREFIX))
    }
}

impl Record for Import {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id, &self.restore_id)
    }
}
