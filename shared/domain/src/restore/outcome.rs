//! What became of the values of a restore: the lines of its pre-images and outcomes in object storage, and its counts.
//!
//! A *pre-image* is put before a batch is written, one object for each attempt at it. An *outcome* is put after
//! batches were written and before the ledger counts them; it is what an undo is made of.

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
    /// The value that is about to be overwritten; empty is null.
    pub before: String,
    /// The value that is about to be written.
    pub target: String,
    /// The run puts a [`Clearing`] before it clears a value. Earlier versions did not, so whatever they began may be cleared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clearings_noted: bool,
}

impl Document for PreImage {}

/// A value that a run is about to clear on the way to its target: a stage that only goes forward, or a unique value that
/// another record is to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clearing {
    pub id: RecordId,
    /// The property, by its place in the restore's list.
    pub property: u16,
}

impl Document for Clearing {}

/// The value that an undo goes back to: of what all runs have found before they wrote, oldest first, the latest that was
/// not made by this restore itself (`is_own`). If all were, the first.
pub fn overwritten<'a>(found: &[&'a str], is_own: impl Fn(&str) -> bool) -> &'a str {
    let foreign = found.iter().rev().find(|value| !is_own(value));
    foreign.or(found.first()).copied().unwrap_or_default()
}

impl Document for ValueOutcome {}

/// What became of one value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueOutcome {
    pub id: RecordId,
    /// The property, by its place in the restore's list.
    pub property: u16,
    /// The value as it was just before this restore overwrote it.
    pub before: String,
    /// The value that was to be written.
    pub target: String,
    /// What became of it.
    pub fate: Fate,
}

/// What a run knows of a batch that it has written and could not commit, as the one before it had failed or the ledger refused.
/// Counts as long as no later run has begun the batch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UncommittedBatch {
    /// Its place among the batches of the slice.
    pub batch: u64,
    /// What became of its values.
    pub outcomes: Vec<ValueOutcome>,
    /// The same in numbers.
    pub counts: OutcomeCounts,
}

impl Document for UncommittedBatch {}

/// What became of a value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Fate {
    Written {
        /// The value that the CRM returned, where it is not the one that was sent character by character.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// A run died while it may have been writing it.
    Unclear,
    /// It was not written.
    Failed {
        /// A stable word: the CRM's, or one of [`reasons`].
        code: String,
        /// A sentence for people; may quote values.
        message: String,
        /// The value that it has now, where that is neither the one before nor the one that was to be written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now: Option<String>,
    },
}

/// Words for why a value was not written, where the CRM has none.
pub mod reasons {
    /// The record was deleted since the plan.
    pub const RECORD_GONE: &str = "RECORD_GONE";
    /// The record was merged into another since the plan.
    pub const RECORD_MERGED: &str = "RECORD_MERGED";
    /// The CRM accepted the write and did not make it.
    pub const WRITE_IGNORED: &str = "WRITE_IGNORED";
    /// The CRM did not show the value, so nobody knows what would be overwritten.
    pub const NOT_SHOWN: &str = "NOT_SHOWN";
    /// The CRM has the record and could not give it.
    pub const UNREADABLE: &str = "UNREADABLE";
    /// Somebody has edited the value since the restore that is undone.
    pub const EDITED_SINCE: &str = "EDITED_SINCE";
    /// Another record has the value, which only one may have.
    pub const UNIQUE_VALUE_TAKEN: &str = "UNIQUE_VALUE_TAKEN";
    /// The property was dropped after [`super::DROP_AFTER`] equal refusals.
    pub const PROPERTY_DROPPED: &str = "PROPERTY_DROPPED";
}

/// Refusals of one property with one code that weigh so much together drop it from the restore.
pub const DROP_AFTER: u32 = 50;

/// How much a refusal says against the whole property: nothing where it is about the value alone. `alone` when the CRM
/// refused no other value with it, so that there is no doubt which one it is about.
pub fn weight(code: &str, alone: bool) -> u32 {
    let about_property = ["READ_ONLY_VALUE", "PROPERTY_DOESNT_EXIST"].contains(&code);
    let about_value = code.starts_with("INVALID_") || code.contains("REQUIRED");
    match (about_property, about_value) {
        (true, _) if alone => DROP_AFTER.div_ceil(3),
        (_, true) => 0,
        _ => 1,
    }
}

/// Whether refusals with this code are about the property whatever its value is.
pub fn is_about_property(code: &str) -> bool {
    weight(code, true) > 1
}

impl ValueOutcome {
    /// What the record has now as far as this restore knows; None where it left the value as it was.
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

    /// Whether somebody has to be told of it: it was not written, or nobody knows.
    pub const fn is_to_be_told(&self) -> bool {
        matches!(self.fate, Fate::Failed { .. } | Fate::Unclear)
    }
}

/// Counts of what became of the values of a restore, or of a slice of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeCounts {
    /// Planned records that were looked at.
    pub records_done: u64,
    /// Records of which at least one value was written and none failed.
    pub records_restored: u64,
    /// Records of which a value was not written.
    pub records_failed: u64,
    pub values_restored: u64,
    pub values_failed: u64,
    /// Values that a run may have been writing when it died, of a restore that ended before anybody looked again.
    #[serde(default)]
    pub values_unclear: u64,
    /// Values that somebody had set to the target since the plan.
    pub already_right: u64,
    /// Values that somebody had changed since the plan, whatever became of them.
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

    /// Values that somebody has come to.
    pub const fn values_told(&self) -> u64 {
        self.values_restored + self.values_failed + self.values_unclear + self.already_right
    }

    /// Counts the outcomes of one record.
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
    fn what_a_record_has_afterwards_is_what_the_crm_returned() {
        assert_eq!(outcome(Fate::Written { after: None }).after(), Some("b"));
        assert_eq!(outcome(Fate::Written { after: Some("B".into()) }).after(), Some("B"));
        assert_eq!(outcome(Fate::Unclear).after(), Some("b"));
        let failed = outcome(Fate::Failed { code: "X".into(), message: "x".into(), now: None });
        assert_eq!(failed.after(), None);
        let half = outcome(Fate::Failed { code: "X".into(), message: "x".into(), now: Some(String::new()) });
        assert_eq!(half.after(), Some(""), "cleared, and then not set");
    }

    #[test]
    fn an_undo_goes_back_to_the_latest_value_that_was_not_our_own() {
        let ours = |value: &str| ["t", "T", ""].contains(&value);
        assert_eq!(overwritten(&["a"], ours), "a");
        assert_eq!(overwritten(&["a", "t", "", "T"], ours), "a");
        assert_eq!(overwritten(&["a", "t", "edited", "T"], ours), "edited");
        assert_eq!(overwritten(&["", "t"], ours), "");
        assert_eq!(overwritten(&[], ours), "");
    }

    /// D11, R5: a bad value says nothing about the property, and a property that cannot be written is known by three.
    #[test]
    fn refusals_weigh_against_the_property_what_they_say_about_it() {
        assert!(
            ["INVALID_OPTION", "INVALID_EMAIL", "MISSING_REQUIRED_PROPERTY"].iter().all(|code| weight(code, true) == 0)
        );
        assert!(3 * weight("READ_ONLY_VALUE", true) >= DROP_AFTER && 2 * weight("READ_ONLY_VALUE", true) < DROP_AFTER);
        assert_eq!((weight("READ_ONLY_VALUE", false), weight("SOMETHING_NEW", true)), (1, 1));
        assert!(is_about_property("PROPERTY_DOESNT_EXIST") && !is_about_property("SOMETHING_NEW"));
    }

    #[test]
    fn a_record_is_restored_when_no_value_of_it_failed() {
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
