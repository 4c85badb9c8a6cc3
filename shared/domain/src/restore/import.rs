//! An import: a restore that has written to the CRM and ended, as users see it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::OutcomeCounts;
use super::plan::PropertyCounts;
use super::{DroppedProperty, Restore, RestoreState};
use crate::Failure;
use crate::account::{Account, Requester};
use crate::ids::{AccountId, ObjectType, RestoreId};
use crate::ports::ledger::{Key, Record};

/// How much a restore has not restored. Notification and import use these numbers, and errors.csv has a row for each
/// item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRestored {
    /// Whole records that no longer exist or could not be read.
    pub records: u64,
    /// Values that the plan left unchanged, that were not written, that were not tried, or that were perhaps not
    /// written.
    pub values: u64,
}

impl NotRestored {
    /// Whether a record or a value was not restored.
    pub const fn is_any(self) -> bool {
        self.records + self.values > 0
    }
}

/// A restore that has written and ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    pub account_id: AccountId,
    /// Also the import's id.
    pub restore_id: RestoreId,
    /// The name that users see, such as `Data restore – Deal`.
    pub name: String,
    pub object_type: ObjectType,
    /// Completed, stopped or failed.
    pub state: RestoreState,
    pub created_by: Requester,
    pub created_at: Timestamp,
    pub confirmed_by: Option<Requester>,
    pub confirmed_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    /// Records that no longer existed when the plan was made.
    pub records_gone: u64,
    /// Records that could not be read when the plan was made.
    #[serde(default)]
    pub records_unreadable: u64,
    /// Values that the plan left unchanged.
    pub values_skipped: u64,
    /// Planned values that were not tried because the restore was stopped or failed.
    #[serde(default)]
    pub values_not_tried: u64,
    pub outcome: OutcomeCounts,
    pub dropped: Vec<DroppedProperty>,
    pub failure: Option<Failure>,
    /// The CSV of records and values that were not restored, if there are any.
    pub errors_key: Option<String>,
    /// A sentence for people: why there is no such CSV although records or values were not restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_missing: Option<String>,
}

impl Import {
    /// The name of the import that `restore` becomes.
    pub fn name_of(restore: &Restore) -> String {
        let what = if restore.is_undo() { "Undo of data restore" } else { "Data restore" };
        format!("{what} – {}", restore.label)
    }

    /// How much was not restored.
    pub fn not_restored(&self) -> NotRestored {
        NotRestored {
            records: self.records_gone + self.records_unreadable,
            values: self.values_skipped
                + self.outcome.values_failed
                + self.outcome.values_unclear
                + self.values_not_tried,
        }
    }

    /// The import of `restore`, which ended at `now`.
    pub fn of(restore: &Restore, outcome: &OutcomeCounts, errors_key: Option<String>, now: Timestamp) -> Self {
        let counts = restore.plan.as_ref().map(|plan| &plan.counts);
        let confirmation = restore.confirmation.as_ref();
        let planned = counts.map_or(0, |counts| counts.values(|property| property.set + property.cleared));
        Self {
            account_id: restore.account_id.clone(),
            restore_id: restore.restore_id.clone(),
            name: Self::name_of(restore),
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
            values_not_tried: planned.saturating_sub(outcome.values_with_outcome()),
            // Only needed to drop properties while it runs.
            outcome: OutcomeCounts { refusals: BTreeMap::new(), ..outcome.clone() },
            dropped: restore.dropped.clone(),
            failure: restore.failure.clone(),
            errors_key,
            errors_missing: None,
        }
    }

    /// Sort-key prefix of all imports of an account. They list in order of their restores' creation.
    pub const PREFIX: &'static str = "IMPORT#";

    /// The ledger's key of an import.
    pub fn key_of(account_id: &AccountId, restore_id: &RestoreId) -> Key {
        Key::new(Account::partition(account_id), format!("{}{restore_id}", Self::PREFIX))
    }
}

impl Record for Import {
    fn key(&self) -> Key {
        Self::key_of(&self.account_id, &self.restore_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::outcome::reasons;
    use crate::restore::plan::PlanCounts;
    use crate::restore::slice::{OutcomeFile, PlanSegment, RestoreSlice};
    use crate::restore::tests::planned;
    use crate::restore::{MOST_NAME_BYTES, MOST_PROPERTIES, RestoreSource};

    fn with(counts: PlanCounts) -> Restore {
        let mut restore = planned(1);
        restore.plan.as_mut().expect("planned").counts = counts;
        restore
    }

    /// D6: a notification said "not restored: 0" next to an errors.csv with rows, and an undo was listed as a restore.
    #[test]
    fn notification_and_import_count_unrestored_values_in_the_same_way() {
        let property =
            PropertyCounts { set: 10, cleared: 2, cannot_be_set: 3, not_shown: 1, ..PropertyCounts::default() };
        let counts =
            PlanCounts { not_found: 2, merged: 1, unreadable: 1, properties: vec![property], ..PlanCounts::default() };
        let restore = with(counts);
        let outcome = OutcomeCounts {
            values_restored: 5,
            values_failed: 2,
            values_unclear: 1,
            already_right: 1,
            refusals: BTreeMap::from([("0 X".to_owned(), 7)]),
            ..OutcomeCounts::default()
        };
        let import = Import::of(&restore, &outcome, None, restore.created_at);
        assert_eq!(import.not_restored(), NotRestored { records: 4, values: 10 });
        assert_eq!((import.values_not_tried, import.outcome.refusals.len()), (3, 0));
        assert_eq!(import.name, format!("Data restore – {}", restore.label));
        let source = RestoreSource::Undo { restore_id: restore.restore_id.clone(), include_edited: false };
        let undo = Restore { source, ..restore };
        assert_eq!(Import::name_of(&undo), format!("Undo of data restore – {}", undo.label));
    }

    /// D12: the records of a restore with the most properties fit into the ledger, which takes 400 KiB for each.
    #[test]
    fn the_largest_restore_fits_into_the_ledger() {
        const LONGEST_ITEM: usize = 400 * 1024;
        let names = MOST_PROPERTIES;
        let name = |nth: usize| format!("{nth:0width$}", width = MOST_NAME_BYTES / names);
        let each = PropertyCounts {
            present: 9_999_999,
            set: 9_999_999,
            cleared: 9_999_999,
            cannot_be_set: 9_999_999,
            edited_since: 0,
            not_shown: 9_999_999,
        };
        let counts = PlanCounts { properties: vec![each; names], ..PlanCounts::default() };
        let dropped = |nth| DroppedProperty { property: name(nth), code: reasons::UNIQUE_VALUE_TAKEN.to_owned() };
        let restore = Restore {
            properties: (0..names).map(name).collect(),
            dropped: (0..names).map(dropped).collect(),
            ..with(counts.clone())
        };
        let refusals = (0..names).map(|nth| (format!("{nth} PROPERTY_DOESNT_EXIST"), 1_000)).collect();
        let outcome = OutcomeCounts { refusals, ..OutcomeCounts::default() };
        let waiting = RestoreSlice::waiting(&restore.reference(), 99, 0, 500_000, restore.created_at);
        let slice = RestoreSlice {
            plan: counts,
            outcome: outcome.clone(),
            segments: vec![PlanSegment { attempt: 9, changed: 4_000, skips: true }; 500],
            outcomes: vec![OutcomeFile { attempt: 9, failures: true }; 500],
            told_beyond: vec![9_999_999; 60],
            ..waiting
        };
        let import = Import::of(&restore, &outcome, None, restore.created_at);
        let sizes = [serde_json::to_vec(&restore), serde_json::to_vec(&slice), serde_json::to_vec(&import)];
        let sizes = sizes.map(|json| json.expect("JSON").len());
        assert!(sizes.iter().all(|size| *size < LONGEST_ITEM), "{sizes:?}");
    }
}
