//! The plan of a restore: the present and the target values of each record. It is made once, shown to people, and
//! carried out unchanged. The execution compares again with the same functions.

mod counts;

use serde::{Deserialize, Serialize};

pub use self::counts::{PlanCounts, PropertyCounts};
use super::difference::{Difference, ValuePair, differences};
use super::property::RestoredProperty;
use crate::format::Document;
use crate::ids::RecordId;

/// The target values of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    pub id: RecordId,
    /// At most one value for each property.
    pub values: Vec<WantedValue>,
}

/// The target value of one property.
#[derive(Clone, PartialEq, Eq)]
pub struct WantedValue {
    /// The property, by its place in the restore's list.
    pub property: u16,
    /// The value to restore. Empty clears the property.
    pub target: String,
    /// Restore the value only if the record still has one of these. So an undo leaves later edits alone.
    pub only_over: Option<Vec<String>>,
}

impl Document for PlannedRecord {}

/// A record that differs from its target values, or that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRecord {
    pub id: RecordId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Differences that are left unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// Places of properties whose values the CRM did not show. They are unknown, so they are neither compared nor
    /// written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_shown: Vec<u16>,
    /// Set if the record no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// The CRM has the record but could not return it, so it is not compared.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unreadable: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over by reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Why a record no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    Deleted,
    /// It was merged into another record.
    Merged {
        into: RecordId,
    },
}

/// A difference that is left unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    #[serde(flatten)]
    pub difference: Difference,
    pub why: WhySkipped,
}

/// Why a difference is left unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhySkipped {
    /// The target is no longer among the property's options.
    CannotBeSet,
    /// A user has edited it since the restore that is undone.
    EditedSince,
}

impl PlannedRecord {
    fn unchanged(id: RecordId) -> Self {
        Self { id, differences: Vec::new(), skipped: Vec::new(), not_shown: Vec::new(), gone: None, unreadable: false }
    }

    /// A record that no longer exists.
    pub fn gone(id: RecordId, gone: Gone) -> Self {
        Self { gone: Some(gone), ..Self::unchanged(id) }
    }

    /// A record that the CRM has but could not return.
    pub fn unreadable(id: RecordId) -> Self {
        Self { unreadable: true, ..Self::unchanged(id) }
    }

    /// Compares a record with its target values. `current` returns the present value of a property by its place: empty
    /// for null, None if the CRM did not show it.
    pub fn compare<'a>(
        properties: &[RestoredProperty],
        wanted: &'a Wanted,
        current: impl Fn(u16) -> Option<&'a str>,
    ) -> Self {
        let restorable = wanted.values.iter().filter_map(|value| {
            let property = properties.get(usize::from(value.property))?;
            property.is_restorable().then_some((property, value))
        });
        let pairs = restorable.clone().filter_map(|(property, value)| {
            Some(ValuePair {
                property: value.property,
                comparison: property.comparison,
                current: current(value.property)?,
                target: &value.target,
            })
        });
        let mut record = Self::unchanged(wanted.id);
        let hidden = restorable.clone().filter(|(_, value)| current(value.property).is_none());
        record.not_shown = hidden.map(|(_, value)| value.property).collect();
        for difference in differences(pairs) {
            let found = restorable.clone().find(|(_, value)| value.property == difference.property);
            match found.and_then(|(property, value)| why_skipped(property, value, &difference)) {
                Some(why) => record.skipped.push(Skipped { difference, why }),
                None => record.differences.push(difference),
            }
        }
        record
    }

    /// Whether there is nothing to write and nothing to report.
    pub fn is_unchanged(&self) -> bool {
        self.differences.is_empty() && !self.leaves_anything()
    }

    /// Whether anything is left unchanged and has to be reported.
    pub fn leaves_anything(&self) -> bool {
        !self.skipped.is_empty() || !self.not_shown.is_empty() || self.gone.is_some() || self.unreadable
    }
}

fn why_skipped(property: &RestoredProperty, value: &WantedValue, difference: &Difference) -> Option<WhySkipped> {
    let ours = |over: &Vec<String>| over.iter().any(|own| property.comparison.same(own, &difference.before));
    let edited = value.only_over.as_ref().is_some_and(|over| !ours(over));
    if edited {
        Some(WhySkipped::EditedSince)
    } else if !property.takes(&difference.target) {
        Some(WhySkipped::CannotBeSet)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::difference::Comparison;

    fn property(options: &[&str]) -> RestoredProperty {
        RestoredProperty {
            name: "p".into(),
            label: "P".into(),
            kind: "string".into(),
            obstacle: None,
            values_unknown: false,
            comparison: Comparison::Exact,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            forward_only: false,
            side_effect: None,
        }
    }

    fn wanted(targets: &[&str]) -> Wanted {
        let value = |(place, target): (usize, &&str)| WantedValue {
            property: u16::try_from(place).expect("few"),
            target: (*target).to_owned(),
            only_over: None,
        };
        Wanted { id: RecordId(7), values: targets.iter().enumerate().map(value).collect() }
    }

    #[test]
    fn differences_are_planned_and_values_that_cannot_be_set_are_reported() {
        let mut read_only = property(&[]);
        read_only.obstacle = Some(crate::restore::property::Obstacle::ReadOnly);
        let properties = [property(&[]), property(&["a"]), property(&["a"]), read_only, property(&[])];
        let wanted = wanted(&["new", "b", "a", "x", "same"]);
        let current = ["old", "a", "", "y", "same"];

        let record = PlannedRecord::compare(&properties, &wanted, |place| Some(current[usize::from(place)]));

        let planned: Vec<_> = record.differences.iter().map(|d| (d.property, d.before.as_str())).collect();
        assert_eq!(planned, [(0, "old"), (2, "")]);
        assert_eq!(record.skipped.len(), 1);
        assert_eq!((record.skipped[0].difference.property, record.skipped[0].why), (1, WhySkipped::CannotBeSet));
        let mut counts = PlanCounts::of(5);
        counts.count(&record, [0, 1, 3, 4]);
        assert_eq!((counts.read, counts.changed, counts.unchanged), (1, 1, 0));
        assert_eq!(counts.values(|property| property.set), 2);
        assert!(counts.skips());
    }

    #[test]
    fn an_undo_leaves_later_edits_alone() {
        let mut wanted = wanted(&["before", "before", "before"]);
        for value in &mut wanted.values {
            value.only_over = Some(vec!["ours".to_owned(), "also ours".to_owned()]);
        }
        let current = ["ours", "theirs", "before"];
        let properties = [property(&[]), property(&[]), property(&[])];
        let record = PlannedRecord::compare(&properties, &wanted, |place| Some(current[usize::from(place)]));
        assert_eq!(record.differences.iter().map(|d| d.property).collect::<Vec<_>>(), [0]);
        assert_eq!(
            record.skipped.iter().map(|s| (s.difference.property, s.why)).collect::<Vec<_>>(),
            [(1, WhySkipped::EditedSince)]
        );
    }

    /// A2, A3: a value that the CRM does not show is unknown. It neither equals an empty target nor differs from it.
    #[test]
    fn values_that_are_not_shown_are_reported_and_not_compared() {
        let properties = [property(&[]), property(&[]), property(&[])];
        let wanted = wanted(&["", "new", "new"]);
        let current = [None, None, Some("old")];

        let record = PlannedRecord::compare(&properties, &wanted, |place| current[usize::from(place)]);

        assert_eq!(record.not_shown, [0, 1]);
        assert_eq!(record.differences.iter().map(|d| d.property).collect::<Vec<_>>(), [2]);
        let mut counts = PlanCounts::of(3);
        counts.count(&record, [2]);
        counts.count(&PlannedRecord::unreadable(RecordId(8)), []);
        assert_eq!((counts.read, counts.changed, counts.unchanged, counts.unreadable), (2, 1, 0, 1));
        assert_eq!(counts.values(|property| property.not_shown), 2);
        assert_eq!((counts.values(PropertyCounts::left), counts.records_left()), (2, 1));
    }

    #[test]
    fn a_planned_record_is_read_as_it_was_written() {
        let difference = Difference { property: 1, before: "a\n".into(), target: String::new() };
        for record in [
            PlannedRecord { differences: vec![difference.clone()], ..PlannedRecord::gone(RecordId(7), Gone::Deleted) },
            PlannedRecord {
                skipped: vec![Skipped { difference, why: WhySkipped::EditedSince }],
                gone: Some(Gone::Merged { into: RecordId(9) }),
                ..PlannedRecord::gone(RecordId(7), Gone::Deleted)
            },
            PlannedRecord { not_shown: vec![1, 3], ..PlannedRecord::unreadable(RecordId(7)) },
        ] {
            let json = serde_json::to_string(&record).expect("JSON");
            assert!(!json.contains('\n'));
            assert_eq!(serde_json::from_str::<PlannedRecord>(&json).expect("JSON"), record);
        }
        let earlier: PlanCounts = serde_json::from_str(
            r#"{"read":1,"changed":0,"unchanged":1,"notFound":0,"merged":0,"properties":[{"present":1}]}"#,
        )
        .expect("as stored before");
        assert_eq!((earlier.unreadable, earlier.properties[0].not_shown), (0, 0));
    }
}
