//! The plan of a restore in the API's answers.

use domain::restore::plan::PropertyCounts;
use domain::restore::property::RestoredProperty;
use serde::Serialize;
use workflows::restore::review::{PlanReview, Sample, SampleValue, Warning};

/// A plan for review by users.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanRepresentation<'a> {
    records: RecordCounts,
    values: ValueCounts,
    properties: Vec<PropertyRepresentation<'a>>,
    samples: Vec<SampleRepresentation<'a>>,
    warnings: Vec<WarningRepresentation<'a>>,
    calls: u64,
    estimated_seconds: u64,
    skipped: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordCounts {
    read: u64,
    changed: u64,
    unchanged: u64,
    not_found: u64,
    merged: u64,
    unreadable: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValueCounts {
    set: u64,
    cleared: u64,
    cannot_be_set: u64,
    edited_since: u64,
    not_shown: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PropertyRepresentation<'a> {
    name: &'a str,
    label: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    restorable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    changed: u64,
    set: u64,
    cleared: u64,
    cannot_be_set: u64,
    not_shown: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleRepresentation<'a> {
    record_id: String,
    values: Vec<SampleValueRepresentation<'a>>,
    more_values: usize,
}

#[derive(Serialize)]
struct SampleValueRepresentation<'a> {
    property: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

#[derive(Serialize)]
struct WarningRepresentation<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<&'a str>,
    sentence: &'a str,
}

impl<'a> PlanRepresentation<'a> {
    pub(crate) fn of(review: &'a PlanReview) -> Self {
        let PlanReview { plan, properties, samples, warnings, estimate } = review;
        let counts = &plan.counts;
        Self {
            records: RecordCounts {
                read: counts.read,
                changed: counts.changed,
                unchanged: counts.unchanged,
                not_found: counts.not_found,
                merged: counts.merged,
                unreadable: counts.unreadable,
            },
            values: ValueCounts {
                set: counts.values(|property| property.set),
                cleared: counts.values(|property| property.cleared),
                cannot_be_set: counts.values(|property| property.cannot_be_set),
                edited_since: counts.values(|property| property.edited_since),
                not_shown: counts.values(|property| property.not_shown),
            },
            properties: properties.iter().map(PropertyRepresentation::of).collect(),
            samples: samples.iter().map(SampleRepresentation::of).collect(),
            warnings: warnings.iter().map(WarningRepresentation::of).collect(),
            calls: plan.calls,
            estimated_seconds: estimate.as_secs() + u64::from(estimate.subsec_nanos() > 0),
            skipped: plan.skipped_key.is_some(),
        }
    }
}

impl<'a> PropertyRepresentation<'a> {
    fn of((property, counts): &'a (RestoredProperty, PropertyCounts)) -> Self {
        let (reason, detail) = property.reason().unzip();
        Self {
            name: &property.name,
            label: &property.label,
            kind: &property.kind,
            restorable: property.is_restorable(),
            reason,
            detail,
            changed: counts.set + counts.cleared,
            set: counts.set,
            cleared: counts.cleared,
            cannot_be_set: counts.cannot_be_set,
            not_shown: counts.not_shown,
        }
    }
}

impl<'a> SampleRepresentation<'a> {
    fn of(sample: &'a Sample) -> Self {
        let values = sample.values.iter().map(SampleValueRepresentation::of).collect();
        // A text, because ids exceed the numbers that JavaScript represents exactly.
        Self { record_id: sample.record_id.to_string(), values, more_values: sample.more_values }
    }
}

impl<'a> SampleValueRepresentation<'a> {
    fn of(value: &'a SampleValue) -> Self {
        Self { property: &value.property, before: present(&value.before), after: present(&value.after) }
    }
}

/// An empty value is shown as null, as the CRM does.
fn present(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

impl<'a> WarningRepresentation<'a> {
    fn of(warning: &'a Warning) -> Self {
        Self { kind: warning.kind, property: warning.property.as_deref(), sentence: &warning.sentence }
    }
}
