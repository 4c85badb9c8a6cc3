//! Sums up a plan: counts, samples, and a report of the values that it leaves unchanged.

use domain::format::Document;
use domain::ids::RecordId;
use domain::restore::plan::{PlanCounts, PlannedRecord};
use domain::restore::slice::RestoreSlice;
use domain::restore::{Plan, Restore, RestoreEvent};
use domain::storage_keys;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::report::{Kind, ReportRequest, Reported, skipped};
use super::{Ending, RestoreWork, dispatch};
use crate::run::{Run, StepError};
use crate::stored_json;

/// Records in a plan's samples, with their values before and after.
const SAMPLES: usize = 20;
/// Characters of a value in a sample.
const SAMPLE_CHARS: usize = 200;
/// Values of a record in a sample. Together with the characters of a value this limits the size of the answer with all
/// samples: at most 10 MB for API Gateway and 6 MB for Lambda.
const SAMPLE_VALUES: usize = 50;

/// A record before and after the restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub record_id: RecordId,
    /// Some of the values that would change.
    pub values: Vec<SampleValue>,
    /// How many more values would change.
    pub more_values: usize,
}

/// The samples of a plan, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

impl Document for Samples {}

/// A value before and after the restore. Long ones are cut.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleValue {
    pub property: String,
    /// The present value. Empty if it has none.
    pub before: String,
    /// The value afterwards. Empty if it has none.
    pub after: String,
}

impl std::fmt::Debug for SampleValue {
    // Property values must not be in logs or panics.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleValue").field("property", &self.property).finish_non_exhaustive()
    }
}

impl RestoreWork {
    /// Makes the plan of a restore whose slices are all compared, within the run's time.
    pub(super) async fn sum_up(&self, restore: &Restore, lease: u32, run: &Run) -> Result<Ending, StepError> {
        let reference = restore.reference();
        let definition = Definition::of(&*self.reader, restore).await?;
        let slices = dispatch::slices(self.ledger(), &reference).await?;
        let slices = if restore.report.is_none() {
            self.arranged(restore, &definition, slices, lease).await?
        } else {
            // An earlier run has arranged them, and has already reported some of them.
            slices.into_iter().map(|slice| slice.record).collect()
        };
        let (properties, sources) = (&definition.properties, skipped(&reference, &slices));
        let wanted = ReportRequest { kind: Kind::Skipped, restore, lease, properties, sources };
        let skipped_key = match self.report(&wanted, run.ends).await? {
            Reported::Nothing => None,
            Reported::Made(key) => Some(key),
            Reported::RunOver => return Ok(Ending::RunOver),
        };
        let mut counts = PlanCounts::of(definition.properties.len());
        for slice in &slices {
            counts.add(&slice.plan);
        }
        let samples = self.samples(restore, &definition, &slices).await?;
        let samples_key = storage_keys::plan_samples(&reference, lease);
        stored_json::write(&*self.writer, &samples_key, &Samples(samples)).await?;
        let to_apply = slices.iter().filter(|slice| slice.has_changes());
        let plan = Plan {
            slices_to_apply: u32::try_from(to_apply.count()).unwrap_or(u32::MAX),
            // Each batch is read once more and then written.
            calls: slices.iter().map(|slice| slice.batches() * 2).sum(),
            counts,
            samples_key,
            skipped_key,
            made_at: self.now(),
        };
        self.apply_event(&reference, RestoreEvent::Planned { lease, plan }).await?;
        tracing::info!(restore.id = %reference.restore_id, "restore.planned");
        Ok(Ending::Finished)
    }

    /// The first records that would change.
    async fn samples(
        &self,
        restore: &Restore,
        definition: &Definition,
        slices: &[RestoreSlice],
    ) -> Result<Vec<Sample>, StepError> {
        let mut samples = Vec::new();
        for slice in slices {
            for (number, segment) in (0_u32..).zip(&slice.segments).filter(|(_, segment)| segment.changed > 0) {
                let key = storage_keys::plan_segment(&restore.reference(), slice.number, number, segment.attempt);
                let records: Vec<PlannedRecord> = stored_json::read_lines(&*self.reader, &key).await?;
                let changed = records.iter().filter(|record| !record.differences.is_empty());
                samples.extend(changed.map(|record| sample(record, definition)).take(SAMPLES - samples.len()));
                if samples.len() >= SAMPLES {
                    return Ok(samples);
                }
            }
        }
        Ok(samples)
    }
}

fn sample(record: &PlannedRecord, definition: &Definition) -> Sample {
    let values = record.differences.iter().filter_map(|difference| {
        let property = definition.properties.get(usize::from(difference.property))?;
        Some(SampleValue {
            property: property.name.clone(),
            before: cut(&difference.before),
            after: cut(&difference.target),
        })
    });
    let more_values = record.differences.len().saturating_sub(SAMPLE_VALUES);
    Sample { record_id: record.id, values: values.take(SAMPLE_VALUES).collect(), more_values }
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(SAMPLE_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_earlier_versions_are_read() {
        golden::check::<Samples>("plan-samples", &[]);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(cut("kurz"), "kurz");
        assert_eq!(cut(&"ü".repeat(SAMPLE_CHARS)), "ü".repeat(SAMPLE_CHARS));
        assert_eq!(cut(&"ü".repeat(SAMPLE_CHARS + 1)), format!("{}…", "ü".repeat(SAMPLE_CHARS)));
    }
}
