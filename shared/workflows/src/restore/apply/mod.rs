//! Writes a slice of a confirmed plan: reads the planned records again, stores the pre-image of exactly the values that
//! it is about to write, updates those that still differ, and compares the values that the CRM returns.

mod batch;
mod commit;
mod finish;
mod planned;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::lease::Leftover;
use domain::ports::crm::Crm;
use domain::ports::crm_batch::{SideEffect, WriteRefusal};
use domain::ports::ledger::{self, Key};
use domain::restore::difference::Difference;
use domain::restore::outcome::{self, DROP_AFTER, OutcomeCounts, ValueOutcome};
use domain::restore::plan::PlannedRecord;
use domain::restore::slice::{Position, RestoreSlice};
use domain::restore::{DroppedProperty, Restore, RestoreEvent, RestoreState};
use futures_util::stream;
use tokio::sync::Semaphore;

use self::planned::PlannedRecords;
use self::write::is_about_uniqueness;
use super::definition::Definition;
use super::room::{Room, Taken};
use super::{Ending, RestoreUsage, RestoreWork, pipeline};
use crate::call_gate::LedgerCallGate;
use crate::held_lease::HeldLease;
use crate::run::{Run, StepError};

struct PlannedBatch {
    number: u64,
    /// The slice's position once it is written.
    to: Position,
    records: Vec<PlannedRecord>,
}

/// The result of writing a batch.
struct WrittenBatch {
    number: u64,
    to: Position,
    outcomes: Vec<ValueOutcome>,
    counts: OutcomeCounts,
}

struct Application<'a> {
    work: &'a RestoreWork,
    restore: &'a Restore,
    definition: &'a Definition,
    key: &'a Key,
    /// The slice when the run began.
    slice: &'a RestoreSlice,
    lease: u32,
    crm: &'a dyn Crm,
    gate: &'a LedgerCallGate,
    refusals: Mutex<WriteRefusals>,
    begun: Mutex<Begun>,
    /// Places for batches in progress: no more than can be read and written soon after each other.
    places: Semaphore,
    room: Room,
}

/// The calls of this time may lie between reading a batch and writing it.
const READ_AHEAD: Duration = Duration::from_secs(5);

fn batches_at_once(gate: &LedgerCallGate) -> usize {
    let calls = gate.calls_within(READ_AHEAD);
    let fits = |batches: &usize| u32::try_from(*batches).is_ok_and(|batches| f64::from(batches) <= calls);
    (1..=pipeline::AT_ONCE).rev().find(fits).unwrap_or(1)
}

#[derive(Debug, Default)]
struct Begun {
    /// All batches of the slice before this one may have been begun. No later one has a pre-image.
    until: u64,
    /// A write got no answer, and may still take effect.
    unanswered: bool,
}

/// The repeated refusals of the CRM.
#[derive(Default)]
struct WriteRefusals {
    /// The weight of refusals against a property, by property and code.
    weights: BTreeMap<String, u32>,
    dropped: HashSet<u16>,
    /// Properties with a value that this run has written.
    accepted: HashSet<u16>,
    /// Values that the CRM has refused as such, with its code and sentence.
    values: HashMap<(u16, String), (String, String)>,
}

/// The most refused values that are remembered, and the most bytes of each.
const REMEMBERED_VALUES: usize = 2_000;
const REMEMBERED_BYTES: usize = 1_000;

impl RestoreWork {
    /// Writes the rest of the slice at `key`. An error comes with the leftover of the run.
    pub(super) async fn apply(
        &self,
        restore: &Restore,
        key: &Key,
        held: &HeldLease<'_, RestoreSlice>,
        run: &Run,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, (StepError, Leftover)> {
        let prepared = async {
            let definition = Definition::of(&*self.reader, restore).await?;
            let slice = ledger::load::<RestoreSlice>(self.ledger(), key).await?.ok_or(StepError::GONE)?.record;
            let session = self.sessions.open_fenced(&restore.account_id, restore.api_version, run, held.ends()).await?;
            let refused = self.refusals(restore).await?;
            Ok::<_, StepError>((definition, slice, session, refused))
        };
        let (definition, slice, session, weights) = prepared.await.map_err(|error| (error, Leftover::Nothing))?;
        let application = Application {
            work: self,
            restore,
            definition: &definition,
            key,
            slice: &slice,
            lease: held.number(),
            crm: &*session.crm,
            gate: &session.gate,
            refusals: Mutex::new(WriteRefusals { weights, ..WriteRefusals::default() }),
            begun: Mutex::default(),
            places: Semaphore::new(batches_at_once(&session.gate)),
            room: Room::new(),
        };
        let done = application.through(held, run, usage).await;
        usage.gate = session.gate.usage();
        done
    }

    /// The weight of refusals against each property, in all slices.
    async fn refusals(&self, restore: &Restore) -> Result<BTreeMap<String, u32>, StepError> {
        let mut sum = OutcomeCounts::default();
        for slice in super::dispatch::slices(self.ledger(), &restore.reference()).await? {
            sum.add(&slice.record.outcome);
        }
        Ok(sum.refusals)
    }
}

impl Application<'_> {
    async fn through(
        &self,
        held: &HeldLease<'_, RestoreSlice>,
        run: &Run,
        usage: &mut RestoreUsage,
    ) -> Result<Ending, (StepError, Leftover)> {
        let planned = PlannedRecords::from(self.work, self.restore, self.slice);
        let batches = stream::unfold(planned, async |mut planned| {
            if self.work.now() >= run.ends {
                return None;
            }
            let batch = planned.next_batch().await.transpose()?;
            Some((batch, planned))
        });
        pipeline::run(batches, |batch| self.write_batch(held, batch), |results| self.commit_all(results, usage)).await
    }

    /// Checks that this run may begin a batch: the lease is its own, and the restore was not stopped. Reads which
    /// properties other runs have dropped. The call gate decides whether a single call may still be made.
    async fn may_begin(&self, held: &HeldLease<'_, RestoreSlice>) -> Result<(), StepError> {
        held.renew_if_old().await?;
        let restore = self.work.load(&self.restore.reference()).await?.record;
        if restore.state != RestoreState::Applying {
            return Err(StepError::UNWANTED);
        }
        if !restore.dropped.is_empty() {
            let dropped = (0_u16..).zip(&self.definition.properties);
            let dropped = dropped.filter(|(_, property)| restore.has_dropped(&property.name)).map(|(place, _)| place);
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).dropped.extend(dropped);
        }
        Ok(())
    }

    fn is_dropped(&self, property: u16) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).dropped.contains(&property)
    }

    /// Records that the CRM accepts values of a property.
    fn accepted(&self, property: u16) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).accepted.insert(property);
    }

    /// The CRM's refusal of the same value of another record, if it refused the value as such.
    fn refused_before(&self, value: &Difference) -> Option<(String, String)> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.values.get(&(value.property, value.target.clone())).cloned()
    }

    /// Records a refusal: against the value if it is about the value, otherwise against the property. A property with
    /// too many refusals is dropped from the whole restore. `alone` means that no other value of the record was refused
    /// with it.
    async fn refused(
        &self,
        value: &Difference,
        sent: &str,
        refusal: &WriteRefusal,
        alone: bool,
        counts: &mut OutcomeCounts,
    ) -> Result<(), StepError> {
        let (property, code) = (value.property, &refusal.code);
        let Some(definition) = self.definition.properties.get(usize::from(property)) else { return Ok(()) };
        // Which stages are valid depends on the record's pipeline.
        if code.starts_with("INVALID_") && alone && definition.side_effect != Some(SideEffect::Stage) {
            self.remember_refused(property, sent, refusal);
        }
        let weight = if is_about_uniqueness(code) { 0 } else { outcome::weight(code, alone) };
        if weight == 0 {
            return Ok(());
        }
        // The property by its place: names are long, and a slice's record keeps this for as many properties as a
        // restore may have.
        let refusal = format!("{property} {code}");
        *counts.refusals.entry(refusal.clone()).or_default() += weight;
        let drop = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = refusals.weights.entry(refusal).or_default();
            *sum += weight;
            let too_often = *sum >= DROP_AFTER;
            let takes_none = outcome::is_about_property(code) || !refusals.accepted.contains(&property);
            too_often && takes_none && refusals.dropped.insert(property)
        };
        if drop {
            let dropped = DroppedProperty { property: definition.name.clone(), code: code.clone() };
            tracing::warn!(restore.id = %self.restore.restore_id, property = dropped.property, code, "restore.property-dropped");
            match self.work.apply_event(&self.restore.reference(), RestoreEvent::PropertyDropped(dropped)).await {
                // The restore was stopped, and nothing more is written anyway.
                Ok(_) | Err(StepError::TakenOver(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn remember_refused(&self, property: u16, sent: &str, refusal: &WriteRefusal) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if !sent.is_empty() && sent.len() <= REMEMBERED_BYTES && refusals.values.len() < REMEMBERED_VALUES {
            let reason = (refusal.code.clone(), refusal.message.clone());
            refusals.values.insert((property, sent.to_owned()), reason);
        }
    }

    /// Records that `batch` gets a pre-image.
    fn begins(&self, batch: u64) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.until = begun.until.max(batch + 1);
    }

    /// Records how writing ended.
    fn note(&self, error: &StepError) {
        if error.may_have_landed() {
            self.begun.lock().unwrap_or_else(PoisonError::into_inner).unanswered = true;
        }
    }

    /// The leftover of this run when all batches before `committed` are committed.
    fn leaves(&self, committed: u64) -> Leftover {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        match (begun.until > committed, begun.unanswered) {
            (_, true) => Leftover::Unanswered,
            (true, false) => Leftover::Untold,
            (false, false) => Leftover::Nothing,
        }
    }

    /// Waits until there is room for the values of a batch.
    async fn room_for(&self, batch: &PlannedBatch) -> Taken {
        let values = batch.records.iter().flat_map(|record| &record.differences);
        self.room.take(values.map(|difference| difference.before.len() + difference.target.len()).sum()).await
    }
}
