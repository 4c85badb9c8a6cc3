//! Where every value of a restore's plan has gone.

use std::collections::{BTreeMap, BTreeSet};

use domain::restore::Restore;
use domain::restore::outcome::{Fate, ValueOutcome};
use domain::restore::plan::{PlannedRecord, PropertyCounts};
use domain::restore::slice::RestoreSlice;
use domain::storage_keys;
use domain::work::RestoreRef;

use super::World;

/// A row of a report without its values: record, property (empty where the row is about a whole record).
type Row = (String, String);

/// What a plan holds.
#[derive(Default)]
struct Planned {
    /// What is to be written.
    values: Vec<Row>,
    /// What is left as it is: a row for each value, and for each record that is gone or was not read.
    left: Vec<Row>,
}

/// What became of it by the outcomes.
#[derive(Default)]
struct Outcomes {
    restored: Vec<Row>,
    failed: usize,
    unclear: usize,
}

impl World {
    /// R6: every value of the plan of a restore that has ended is in exactly one of restored, right already, skipped,
    /// failed, unclear and not tried, in the counts of its import and in the rows of its errors.csv alike. Nothing is
    /// asked of a restore that has not written.
    ///
    /// # Panics
    /// When it is not so.
    pub async fn assert_accounted(&self, restore: &RestoreRef) {
        let Some(import) = self.import(restore).await else { return };
        let (record, slices) = (self.restore(restore).await, self.slices(restore).await);
        let (planned, outcomes) = self.plan_and_outcomes(&record, &slices).await;
        let plan = record.plan.expect("an import has a plan");
        let struck = format!("after {:?}", self.settings.faults.struck());

        let values: BTreeSet<Row> = planned.values.iter().cloned().collect();
        assert_eq!(values.len(), planned.values.len(), "each value is planned once {struck}");
        assert_eq!(values.len() as u64, plan.counts.values(|counts| counts.set + counts.cleared), "{struck}");
        let left_values = planned.left.iter().filter(|row| !row.1.is_empty()).count() as u64;
        assert_eq!(left_values, plan.counts.values(PropertyCounts::left), "{struck}");
        assert_eq!(left_values, import.values_skipped, "skipped {struck}");
        assert_eq!(planned.left.len() as u64 - left_values, import.records_gone + import.records_unreadable);
        let mut skipped = match &plan.skipped_key {
            Some(key) => rows(&self.report(key).await),
            None => Vec::new(),
        };
        assert_eq!(sorted(&mut skipped), sorted(&mut planned.left.clone()), "skipped.csv {struck}");

        let errors = self.errors(restore).await;
        let code = |line: &Vec<String>, code: &str| line[4].starts_with(&format!("{code}:"));
        let count = |wanted: &str| errors.iter().filter(|line| code(line, wanted)).count() as u64;
        let listed = import.not_restored();
        assert_eq!(listed.values + listed.records, errors.len() as u64, "rows of errors.csv {struck}");
        assert_eq!(listed.is_any(), import.errors_key.is_some(), "{struck}");
        assert_eq!(count("NOT_TRIED"), import.values_not_tried, "not tried {struck}");
        assert_eq!(count("UNCLEAR"), import.outcome.values_unclear, "unclear {struck}");
        assert_eq!(outcomes.unclear as u64, import.outcome.values_unclear, "unclear {struck}");
        assert_eq!(outcomes.failed as u64, import.outcome.values_failed, "failed {struck}");
        assert_eq!(outcomes.restored.len() as u64, import.outcome.values_restored, "restored {struck}");

        let mut all: BTreeMap<Row, i64> = BTreeMap::new();
        for row in rows(&errors) {
            *all.entry(row).or_default() += 1;
        }
        for row in &planned.left {
            *all.entry(row.clone()).or_default() -= 1;
        }
        let wrong: Vec<_> = all.iter().filter(|(_, times)| !(0..=1).contains(*times)).take(3).collect();
        assert!(wrong.is_empty(), "{wrong:?} lack a row in errors.csv, or have two {struck}");
        let not_written: BTreeSet<Row> = all.into_iter().filter(|(_, times)| *times > 0).map(|(row, _)| row).collect();
        let restored: BTreeSet<Row> = outcomes.restored.iter().cloned().collect();
        assert_eq!(restored.len(), outcomes.restored.len(), "no value has two outcomes {struck}");
        let strange: Vec<_> = not_written.union(&restored).filter(|row| !values.contains(*row)).take(3).collect();
        assert!(strange.is_empty(), "{strange:?} were not planned {struck}");
        let both: Vec<_> = not_written.intersection(&restored).take(3).collect();
        assert!(both.is_empty(), "{both:?} are restored, and listed as not {struck}");
        let right = (values.len() - not_written.len() - restored.len()) as u64;
        assert_eq!(right, import.outcome.already_right, "right already {struck}");
    }

    async fn plan_and_outcomes(&self, restore: &Restore, slices: &[RestoreSlice]) -> (Planned, Outcomes) {
        let (mut planned, mut outcomes) = (Planned::default(), Outcomes::default());
        let reference = restore.reference();
        let row = |id: &dyn ToString, place: u16| (id.to_string(), restore.properties[usize::from(place)].clone());
        for slice in slices {
            for (place, segment) in (0_u32..).zip(&slice.segments) {
                let key = storage_keys::plan_segment(&reference, slice.number, place, segment.attempt);
                for record in self.lines::<PlannedRecord>(&key).await {
                    planned.values.extend(record.differences.iter().map(|value| row(&record.id, value.property)));
                    let skipped = record.skipped.iter().map(|skipped| skipped.difference.property);
                    let places = skipped.chain(record.not_shown.iter().copied());
                    planned.left.extend(places.map(|place| row(&record.id, place)));
                    let whole = record.gone.is_some() || record.unreadable;
                    planned.left.extend(whole.then(|| (record.id.to_string(), String::new())));
                }
            }
            for (place, file) in (0_u32..).zip(&slice.outcomes) {
                let key = storage_keys::outcome(&reference, slice.number, place, file.attempt);
                for outcome in self.lines::<ValueOutcome>(&key).await {
                    match outcome.fate {
                        Fate::Written { .. } => outcomes.restored.push(row(&outcome.id, outcome.property)),
                        Fate::Failed { .. } => outcomes.failed += 1,
                        Fate::Unclear => outcomes.unclear += 1,
                    }
                }
            }
        }
        (planned, outcomes)
    }

    async fn lines<T: serde::de::DeserializeOwned>(&self, key: &str) -> Vec<T> {
        let bytes = self.stored.read(key, None).await.expect("it is in storage");
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
    }
}

fn rows(lines: &[Vec<String>]) -> Vec<Row> {
    lines.iter().map(|line| (line[0].clone(), line[1].clone())).collect()
}

fn sorted(rows: &mut [Row]) -> &[Row] {
    rows.sort();
    rows
}
