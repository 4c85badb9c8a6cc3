//! The results of a restore's writes: the lines of its pre-images and outcomes in object storage, and its counts.
//!
//! A *pre-image* is stored before a batch is written, in one blob for each attempt. An *outcome* is stored after
//! batches were written and before the ledger counts them. An undo is made of outcomes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::Document;
use crate::ids::RecordId;

/// One value that a run is about to write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreImage {
    pub id: RecordId,
    /// The property, by its place in the restore's list.
    pub property: u16,
    /// The value that is about to be overwritten. Empty is null.
    pub before: String,
    /// The value that is about to be written.
    pub target: String,
    /// Whether the run stores a [`Clearing`] before it clears a value. Earlier versions did not, so any value that they
    /// began may be cleared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clearings_noted: bool,
}

impl Document for PreImage {}

/// A value that a run is about to clear before it writes the target: a stage that only goes forward, or a unique value
/// that another record gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clearing {
    pub id: RecordId,
    /// The property, by its place in the restore's list.
    pub property: u16,
}

impl Document for Clearing {}

/// The value that an undo restores. `found` are the values that the runs found before they wrote, the oldest first. It
/// is the latest one that this restore did not make itself (`is_own`), or the first one if it made all.
pub fn overwritten<'a>(found: &[&'a str], is_own: impl Fn(&str) -> bool) -> &'a str {
    let foreign = found.iter().rev().find(|value| !is_own(value));
    foreign.or(found.first()).copied().unwrap_or_default()
}

impl Document for ValueOutcome {}

/// The result of one value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueOutcome {
    pub id: RecordId,
    /// The property, by its place in the restore's list.
    pub property: u16,
    /// The value just before this restore overwrote it.
    pub before: String,
    /// The value that was to be written.
    pub target: String,
    pub fate: Fate,
}

/// The outcomes of a batch that a run wrote but could not commit, because the batch before it failed or the ledger
/// refused. They count until a later run begins the batch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UncommittedBatch {
    /// Its place among the batches of the slice.
    pub batch: u64,
    pub outcomes: Vec<ValueOutcome>,
    pub counts: OutcomeCounts,
}

impl Document for UncommittedBatch {}

/// How the write of a value ended.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Fate {
    Written {
        /// The value that the CRM returned, if it is not exactly the one that was sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// A run died and may have written it.
    Unclear,
    /// It was not written.
    Failed {
        /// The CRM's error code, or one of [`reasons`].
        code: String,
        /// A sentence for people. It may quote values.
        message: String,
        /// The present value, if it is neither the one before nor the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now: Option<String>,
    },
}

/// Error codes of values that were not written, besides the CRM's own.
pub mod reasons {
    /// The record was deleted since the plan.
    pub const RECORD_GONE: &str = "RECORD_GONE";
    /// The record was merged into another since the plan.
    pub const RECORD_MERGED: &str = "RECORD_MERGED";
    /// The CRM accepted the write but did not make it.
    pub const WRITE_IGNORED: &str = "WRITE_IGNORED";
    /// The CRM did not show the value, so the value that would be overwritten is unknown.
    pub const NOT_SHOWN: &str = "NOT_SHOWN";
    /// The CRM has the record but could not return it.
    pub const UNREADABLE: &str = "UNREADABLE";
    /// A user has edited the value since the restore that is undone.
    pub const EDITED_SINCE: &str = "EDITED_SINCE";
    /// Another record has this unique value.
    pub const UNIQUE_VALUE_TAKEN: &str = "UNIQUE_VALUE_TAKEN";
    /// The property was dropped after [`super::DROP_AFTER`] equal refusals.
    pub const PROPERTY_DROPPED: &str = "PROPERTY_DROPPED";
}

/// The total weight of refusals with one code that drops a property from the restore.
pub const DROP_AFTER: u32 = 50;

/// The weight of a refusal against the whole property. 0 if it is about the value alone. `alone` is whether the CRM
/// refused this value and no other with it, so that the refusal is certainly about this one.
pub fn weight(code: &str, alone: bool) -> u32 {
    let about_property = ["READ_ONLY_VALUE", "PROPERTY_DOESNT_EXIST"].contains(&code);
    let about_value = code.starts_with("INVALID_") || code.contains("REQUIRED");
    match (about_property, about_value) {
        (true, _) if alone => DROP_AFTER.div_ceil(3),
        (_, true) => 0,
        _ => 1,
    }
}

/// Whether refusals with this code are about the property and not about a value.
pub fn is_about_property(code: &str) -> bool {
    weight(code, true) > 1
}

impl ValueOutcome {
    /// The record's present value as far as this restore knows. None if the restore left it unchanged.
    pub fn after(&self) -> Option<&str> {
        match &self.fate {
            Fate::Written { after } => Some(after.as_deref().unwrap_or(&self.target)),
            Fate::Unclear => Some(&self.target),
            Fate::Failed { now, .. } => now.as_deref(),
        }
    }

    /// Whether it was not written.
    pub const fn has_failed(&self) -> bool {
        matches!(self.fate, Fate::Failed { .. })
    }

    /// Whether the report has to list it: it was not written, or perhaps not.
    pub const fn belongs_in_report(&self) -> bool {
        matches!(self.fate, Fate::Failed { .. } | Fate::Unclear)
    }
}

/// Counts of the outcomes of a restore or of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeCounts {
    /// Planned records that were processed.
    pub records_done: u64,
    /// Records with at least one written value and no failed one.
    pub records_restored: u64,
    /// Records with a value that was not written.
    pub records_failed: u64,
    pub values_restored: u64,
    pub values_failed: u64,
    /// Values that a run may have written before it died, in a restore that ended before another run looked again.
    #[serde(default)]
    pub values_unclear: u64,
    /// Values that a user had set to the target since the plan.
    pub already_right: u64,
    /// Values that a user had changed since the plan, with any outcome.
    pub drifted_values: u64,
    /// Refusals by property and code, for dropping properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<String, u32>,
}

impl OutcomeCounts {
    /// Adds the counts of another part of the same restore.
    pub fn add(&mut self, other: &Self) {
        self.records_done += other.records_done;
        self.records_restored += other.records_restored;
        self.records_failed += other.records_failed;
        self.values_restored += other.values_restored;
        self.values_failed += other.values_failed;
        self.values_unclear += other.values_unclear;
        self.already_right += other.already_right;
        self.drifted_values += other.drifted_values;
        for (refusal, times) in &other.refusals {
            *self.refusals.entry(refusal.clone()).or_default() += times;
        }
    }

    /// Values whose outcome is known, or known to be unclear.
    pub const fn values_with_outcome(&self) -> u64 {
        self.values_restored + self.values_failed + self.values_unclear + self.already_right
    }

    /// Adds the outcomes of one record.
    pub fn count(&mut self, outcomes: &[ValueOutcome]) {
        let failed = outcomes.iter().filter(|outcome| outcome.has_failed()).count() as u64;
        let unclear = outcomes.iter().filter(|outcome| outcome.fate == Fate::Unclear).count() as u64;
        let written = outcomes.len() as u64 - failed - unclear;
        self.values_failed += failed;
        self.values_unclear += unclear;
        self.values_restored += written;
        if failed > 0 {
            self.records_failed += 1;
        } else if written > 0 && unclear == 0 {
            self.records_restored += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(fate: Fate) -> ValueOutcome {
        ValueOutcome { id: RecordId(7), property: 0, before: "a".into(), target: "b".into(), fate }
    }

    #[test]
    fn the_value_afterwards_is_the_one_that_the_crm_returned() {
        assert_eq!(outcome(Fate::Written { after: None }).after(), Some("b"));
        assert_eq!(outcome(Fate::Written { after: Some("B".into()) }).after(), Some("B"));
        assert_eq!(outcome(Fate::Unclear).after(), Some("b"));
        let failed = outcome(Fate::Failed { code: "X".into(), message: "x".into(), now: None });
        assert_eq!(failed.after(), None);
        let half = outcome(Fate::Failed { code: "X".into(), message: "x".into(), now: Some(String::new()) });
        assert_eq!(half.after(), Some(""), "cleared, and then not set");
    }

    #[test]
    fn an_undo_restores_the_latest_value_that_the_restore_did_not_make() {
        let ours = |value: &str| ["t", "T", ""].contains(&value);
        assert_eq!(overwritten(&["a"], ours), "a");
        assert_eq!(overwritten(&["a", "t", "", "T"], ours), "a");
        assert_eq!(overwritten(&["a", "t", "edited", "T"], ours), "edited");
        assert_eq!(overwritten(&["", "t"], ours), "");
        assert_eq!(overwritten(&[], ours), "");
    }

    /// D11, R5: a refused value does not count against the property. Three refusals show that a property cannot be
    /// written.
    #[test]
    fn refusals_of_the_property_weigh_more_than_refusals_of_a_value() {
        assert!(
            ["INVALID_OPTION", "INVALID_EMAIL", "MISSING_REQUIRED_PROPERTY"].iter().all(|code| weight(code, true) == 0)
        );
        assert!(3 * weight("READ_ONLY_VALUE", true) >= DROP_AFTER && 2 * weight("READ_ONLY_VALUE", true) < DROP_AFTER);
        assert_eq!((weight("READ_ONLY_VALUE", false), weight("SOMETHING_NEW", true)), (1, 1));
        assert!(is_about_property("PROPERTY_DOESNT_EXIST") && !is_about_property("SOMETHING_NEW"));
    }

    #[test]
    fn a_record_is_restored_if_no_value_failed() {
        let (written, failed) = (
            outcome(Fate::Written { after: None }),
            outcome(Fate::Failed { code: "X".into(), message: "x".into(), now: None }),
        );
        let mut counts = OutcomeCounts::default();
        counts.count(&[written.clone(), written.clone()]);
        counts.count(&[written, failed]);
        counts.count(&[]);
        let shown = (counts.records_restored, counts.records_failed, counts.values_restored, counts.values_failed);
        assert_eq!(shown, (1, 1, 3, 1));
    }
}
