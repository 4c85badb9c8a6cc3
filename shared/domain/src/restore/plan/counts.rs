//! Counts of a plan.

use serde::{Deserialize, Serialize};

use super::{Gone, PlannedRecord, WhySkipped};

/// Counts of a plan, or of a slice of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanCounts {
    pub read: u64,
    /// Records with values to write.
    pub changed: u64,
    /// Records that equal their target values.
    pub unchanged: u64,
    pub not_found: u64,
    pub merged: u64,
    /// Records that the CRM has but could not return.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// By the property's place in the restore's list.
    pub properties: Vec<PropertyCounts>,
}

/// Counts of one property. Zeros are not stored, because a restore of a thousand properties has many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyCounts {
    /// Records with a value at present.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub present: u64,
    /// Values to be set.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub set: u64,
    /// Values to be cleared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cleared: u64,
    /// Values that are no longer options.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cannot_be_set: u64,
    /// Values that users have edited since the restore that is undone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edited_since: u64,
    /// Values that the CRM did not show. It is unknown whether they differ.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_shown: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl PlanCounts {
    /// Zeros for this number of properties.
    pub fn of(properties: usize) -> Self {
        Self { properties: vec![PropertyCounts::default(); properties], ..Self::default() }
    }

    /// Counts a compared record. `present` are the places of the properties that have values at present.
    pub fn count(&mut self, record: &PlannedRecord, present: impl IntoIterator<Item = u16>) {
        self.read += 1;
        match record.gone {
            Some(Gone::Deleted) => self.not_found += 1,
            Some(Gone::Merged { .. }) => self.merged += 1,
            None if record.unreadable => self.unreadable += 1,
            None if record.differences.is_empty() => self.unchanged += 1,
            None => self.changed += 1,
        }
        for place in present {
            self.at(place, |counts| counts.present += 1);
        }
        for difference in &record.differences {
            self.at(difference.property, |counts| {
                if difference.target.is_empty() {
                    counts.cleared += 1;
                } else {
                    counts.set += 1;
                }
            });
        }
        for skipped in &record.skipped {
            self.at(skipped.difference.property, |counts| match skipped.why {
                WhySkipped::CannotBeSet => counts.cannot_be_set += 1,
                WhySkipped::EditedSince => counts.edited_since += 1,
            });
        }
        for place in &record.not_shown {
            self.at(*place, |counts| counts.not_shown += 1);
        }
    }

    fn at(&mut self, place: u16, change: impl FnOnce(&mut PropertyCounts)) {
        if let Some(counts) = self.properties.get_mut(usize::from(place)) {
            change(counts);
        }
    }

    /// Adds the counts of another part of the same restore.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.not_found += other.not_found;
        self.merged += other.merged;
        self.unreadable += other.unreadable;
        self.properties.resize(self.properties.len().max(other.properties.len()), PropertyCounts::default());
        for (sum, part) in self.properties.iter_mut().zip(&other.properties) {
            sum.present += part.present;
            sum.set += part.set;
            sum.cleared += part.cleared;
            sum.cannot_be_set += part.cannot_be_set;
            sum.edited_since += part.edited_since;
            sum.not_shown += part.not_shown;
        }
    }

    /// The sum of one count over all properties.
    pub fn values(&self, count: impl Fn(&PropertyCounts) -> u64) -> u64 {
        self.properties.iter().map(count).sum()
    }

    /// Whether a difference is left unchanged, or a record cannot be restored.
    pub fn skips(&self) -> bool {
        self.records_left() + self.values(PropertyCounts::left) > 0
    }

    /// Records that no longer exist or cannot be read.
    pub fn records_left(&self) -> u64 {
        self.not_found + self.merged + self.unreadable
    }
}

impl PropertyCounts {
    /// Values that differ, or may differ, and are left unchanged.
    pub const fn left(&self) -> u64 {
        self.cannot_be_set + self.edited_since + self.not_shown
    }

    /// Whether more than a tenth of the present values would be cleared.
    pub fn clears_many(&self) -> bool {
        self.cleared * 10 > self.present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_tenth_cleared_is_many() {
        let counts = |present, cleared| PropertyCounts { present, cleared, ..PropertyCounts::default() };
        assert!(counts(10, 2).clears_many() && counts(1, 1).clears_many());
        assert!(!counts(10, 1).clears_many() && !counts(0, 0).clears_many() && !counts(100, 0).clears_many());
    }
}
