//! Writes a slice of a confirmed plan: reads the planned records again, puts the pre-image of exactly the values that it
//! is about to write, updates what still differs, and compares what the CRM returned.

mod batch;
mod commit;
mod planned;
mod write;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use domain::ports::crm::Crm;
use domain::ports::ledger::{self, Key};
use domain::restore::outcome::{DROP_AFTER, OutcomeCounts, ValueOutcome};
use domain::restore::plan::PlannedRecord;
use domain::restore::slice::{Position, RestoreSlice};
use domain::restore::{DroppedProperty, Restore, RestoreEvent, RestoreState, WRITE_MARGIN};
use futures_util::stream;
use jiff::Timestamp;

use self::planned::PlannedRecords;
use super::definition::Definition;
use super::{Ending, RestoreUsage, RestoreWork, pipeline};
use crate::run::{Run, StepError};

/// A hundred planned records.
struct PlannedBatch {
    /// Its place among the batches of the slice.
    number: u64,
    /// Where the slice stands once it is written.
    to: Position,
    records: Vec<PlannedRecord>,
}

/// What became of a batch.
struct WrittenBatch {
    to: Position,
    outcomes: Vec<ValueOutcome>,
    counts: OutcomeCounts,
}

/// One run's work on a slice.
struct Application<'a> {
    work: &'a RestoreWork,
    restore: &'a Restore,
    definition: &'a Definition,
    key: &'a Key,
    /// The slice as it was when the run began.
    slice: &'a RestoreSlice,
    lease: u32,
    lease_ends: Timestamp,
    crm: &'a dyn Crm,
    refusals: Mutex<Refusals>,
}

/// What the CRM keeps refusing.
struct Refusals {
    times: BTreeMap<String, u32>,
    dropped: HashSet<u16>,
}

impl RestoreWork {
    /// Writes what is left of the slice at `key`. An error comes with whether everything that was begun is committed.
    pub(super) async fn apply(
        &self,
        restore: &Restore,
        key: &Key,
        (lease, lease_ends): (u32, Timestamp),
        run: &Run,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, (StepError, bool)> {
        // Until the first batch is begun, nothing is.
        let begun = async {
            let definition = Definition::of(&*self.reader, restore).await?;
            let slice = ledger::load::<RestoreSlice>(self.ledger(), key).await?.ok_or(StepError::TakenOver)?.record;
            let session = self.sessions.open(&restore.account_id, restore.api_version, run).await?;
            Ok::<_, StepError>((definition, slice, session))
        };
        let (definition, slice, session) = begun.await.map_err(|error| (error, true))?;
        let refusals = Refusals { times: slice.outcome.refusals.clone(), dropped: HashSet::new() };
        let application = Application {
            work: self,
            restore,
            definition: &definition,
            key,
            slice: &slice,
            lease,
            lease_ends,
            crm: &*session.crm,
            refusals: Mutex::new(refusals),
        };
        let done = application.through(run, usage).await;
        usage.gate = session.gate.usage();
        done
    }
}

impl Application<'_> {
    async fn through(&self, run: &Run, usage: &mut RestoreUsage) -> Result<Ending, (StepError, bool)> {
        let planned = PlannedRecords::from(self.work, self.restore, self.slice);
        let batches = stream::unfold(planned, async |mut planned| {
            if self.work.now() >= run.ends {
                return None;
            }
            let batch = planned.next_batch().await.transpose()?;
            Some((batch, planned))
        });
        pipeline::run(batches, |batch| self.write_batch(batch), |results| self.commit_all(results, usage)).await
    }

    /// Checks that this run may still write: its lease lasts for longer than a write can take, and nobody has stopped the
    /// restore. Takes over which properties others have dropped.
    async fn may_write(&self) -> Result<(), StepError> {
        self.check_lease()?;
        let restore = self.work.load(&self.restore.reference()).await?.record;
        if restore.state != RestoreState::Applying {
            return Err(StepError::TakenOver);
        }
        if !restore.dropped.is_empty() {
            let dropped = (0_u16..).zip(&self.definition.properties);
            let dropped = dropped.filter(|(_, property)| restore.has_dropped(&property.name)).map(|(place, _)| place);
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).dropped.extend(dropped);
        }
        self.check_lease()
    }

    fn check_lease(&self) -> Result<(), StepError> {
        if self.lease_ends.duration_since(self.work.now()) < WRITE_MARGIN { Err(StepError::TakenOver) } else { Ok(()) }
    }

    fn is_dropped(&self, property: u16) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).dropped.contains(&property)
    }

    /// Counts a refusal of a property. After too many equal ones the property is dropped from the whole restore.
    async fn refused(&self, property: u16, code: &str, counts: &mut OutcomeCounts) -> Result<(), StepError> {
        let Some(definition) = self.definition.properties.get(usize::from(property)) else { return Ok(()) };
        let refusal = format!("{} {code}", definition.name);
        *counts.refusals.entry(refusal.clone()).or_default() += 1;
        let drop = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            let times = refusals.times.entry(refusal).or_default();
            *times += 1;
            *times >= DROP_AFTER && refusals.dropped.insert(property)
        };
        if drop {
            let dropped = DroppedProperty { property: definition.name.clone(), code: code.to_owned() };
            tracing::warn!(restore.id = %self.restore.restore_id, property = dropped.property, code, "restore.property-dropped");
            self.work.apply_event(&self.restore.reference(), RestoreEvent::PropertyDropped(dropped)).await?;
        }
        Ok(())
    }
}
