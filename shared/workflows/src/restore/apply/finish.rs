//! After a restore was stopped or has failed: what its runs have cleared on the way to another value does not stay empty. It
//! gets the value that it was to have, or the one that it had. Nobody else writes until the lock is freed.

use std::collections::BTreeMap;
use std::sync::Mutex;

use domain::ids::RecordId;
use domain::ports::crm_batch::BATCH;
use domain::restore::difference::Difference;
use domain::restore::outcome::{OutcomeCounts, PreImage};
use domain::restore::property::RestoredProperty;
use domain::restore::slice::{BATCHES_AHEAD, RestoreSlice, SliceState};
use domain::restore::{Restore, WRITE_MARGIN};
use domain::storage_keys;
use jiff::SignedDuration;
use tokio::sync::Semaphore;

use super::write::{ToWrite, Update, Writer};
use super::{Application, Begun, Refusals};
use crate::held_lease::HeldLease;
use crate::restore::compare::Found;
use crate::restore::definition::Definition;
use crate::restore::room::Room;
use crate::restore::{RestoreWork, dispatch};
use crate::run::{Patience, Remedy, Run, StepError};
use crate::stored_json;

/// A CRM that is down is waited for so long. Until then nobody else may write, and the restore does not end.
const OUTAGE: SignedDuration = SignedDuration::from_hours(1);

/// What dead runs have found, oldest first, and were about to write, by record and property.
type BegunValues = BTreeMap<(RecordId, u16), Vec<PreImage>>;

impl RestoreWork {
    /// Gives values to what was left cleared, once no run writes any more. What the CRM does not let us write, or not
    /// within an hour, stays as it is: it is told as unclear, with the value that it had.
    ///
    /// # Errors
    /// [`StepError`] when it should be tried again.
    pub(in crate::restore) async fn finish_cleared(
        &self,
        restore: &Restore,
        held: &HeldLease<'_, Restore>,
        run: &Run,
    ) -> Result<(), StepError> {
        let slices = dispatch::slices(self.ledger(), &restore.reference()).await?;
        if slices.iter().any(|slice| slice.record.is_worked_on(self.now())) {
            return Ok(());
        }
        let open = slices.into_iter().map(|slice| slice.record).filter(|slice| slice.state == SliceState::Applying);
        for slice in open {
            let Err(error) = self.finish_slice(restore, &slice, held, run).await else { continue };
            let patience = Patience { outage: OUTAGE.min(self.patience.outage), ..self.patience };
            if !matches!(error.remedy(self.now(), (&restore.leasing).into(), &patience), Remedy::Fail(_)) {
                return Err(error);
            }
            tracing::error!(%error, restore.id = %restore.restore_id, "restore.values-left-cleared");
            if error.may_have_landed() {
                tokio::time::sleep(WRITE_MARGIN.unsigned_abs()).await;
            }
            break;
        }
        Ok(())
    }

    async fn finish_slice(
        &self,
        restore: &Restore,
        slice: &RestoreSlice,
        held: &HeldLease<'_, Restore>,
        run: &Run,
    ) -> Result<(), StepError> {
        let definition = Definition::of(&*self.reader, restore).await?;
        if !definition.properties.iter().any(RestoredProperty::is_cleared_on_the_way) {
            return Ok(());
        }
        let session = self.sessions.open_fenced(&restore.account_id, restore.api_version, run, held.ends()).await?;
        let key = RestoreSlice::key_of(&restore.restore_id, slice.number);
        let application = Application {
            work: self,
            restore,
            definition: &definition,
            key: &key,
            slice,
            lease: held.number(),
            crm: &*session.crm,
            gate: &session.gate,
            refusals: Mutex::new(Refusals::default()),
            begun: Mutex::new(Begun::default()),
            places: Semaphore::new(1),
            room: Room::new(),
        };
        let committed = slice.batches_before(slice.written_to);
        for batch in committed..slice.batches().min(committed + BATCHES_AHEAD) {
            let begun = application.begun_of(batch).await?;
            application.finish_batch(begun).await?;
        }
        Ok(())
    }
}

impl Application<'_> {
    /// What dead runs were about to write of a batch that no commit tells of, as far as it may be cleared now.
    async fn begun_of(&self, batch: u64) -> Result<BegunValues, StepError> {
        let remembered = self.slice.tries_at(batch);
        let last = self.slice.leasing.lease.as_ref().map(|lease| lease.number);
        let last = last.filter(|last| self.slice.tries.iter().all(|earlier| earlier.attempt != *last));
        let mut begun = BegunValues::new();
        for attempt in remembered.chain(last) {
            let key = storage_keys::pre_image(&self.restore.reference(), self.slice.number, batch, attempt);
            for line in stored_json::read_lines_if_any::<PreImage>(&*self.work.reader, &key).await? {
                let known = self.property(line.property);
                if known.is_some_and(RestoredProperty::is_cleared_on_the_way) {
                    begun.entry((line.id, line.property)).or_default().push(line);
                }
            }
        }
        Ok(begun)
    }

    /// Sets what of a batch was cleared and is empty still.
    async fn finish_batch(&self, begun: BegunValues) -> Result<(), StepError> {
        let mut ids: Vec<RecordId> = begun.keys().map(|(id, _)| *id).collect();
        ids.dedup();
        for ids in ids.chunks(BATCH) {
            let (present, seen_at) = self.seen(ids).await?;
            let mut cleared: Vec<Update> = Vec::new();
            for ((id, property), found) in begun.range((ids[0], 0)..=(ids[ids.len() - 1], u16::MAX)) {
                let Found::Row(row) = present.find(*id) else { continue };
                let Some(now) = present.value(row, *property) else { continue };
                let Some(target) = found.last().map(|line| line.target.clone()) else { continue };
                let current = Difference { property: *property, before: now.to_owned(), target };
                let chain: Vec<String> = found.iter().map(|line| line.before.clone()).collect();
                if current.target.is_empty() {
                    continue;
                }
                if let Some(before) = self.before_clearing(&current, &chain) {
                    cleared.push(Update { id: *id, values: vec![Difference { before, ..current }], seen_at });
                }
            }
            let mut counts = OutcomeCounts::default();
            Writer::new(self, &mut counts).write(ToWrite { values: Vec::new(), cleared }).await?;
        }
        Ok(())
    }
}
