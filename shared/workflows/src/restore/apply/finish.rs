//! After a restore was stopped or has failed, sets the values that its runs cleared on the way to another value. Each
//! gets its target, or the value that it had. Nothing else writes until the lock is freed.

use std::sync::Mutex;

use domain::ids::RecordId;
use domain::lease::WRITE_MARGIN;
use domain::ports::crm_batch::BATCH;
use domain::restore::begun::BegunValues;
use domain::restore::difference::Difference;
use domain::restore::outcome::OutcomeCounts;
use domain::restore::property::RestoredProperty;
use domain::restore::slice::{BATCHES_AHEAD, RestoreSlice, SliceState};
use domain::restore::{LONGEST_FINISHING, Restore};
use jiff::SignedDuration;
use tokio::sync::Semaphore;

use super::write::{PendingUpdate, ToWrite, Writer};
use super::{Application, Begun, WriteRefusals};
use crate::held_lease::HeldLease;
use crate::restore::begun::{BegunBatch, dead_run};
use crate::restore::compare::Presence;
use crate::restore::definition::Definition;
use crate::restore::room::Room;
use crate::restore::{RestoreWork, dispatch};
use crate::run::{Patience, Remedy, Run, StepError};

/// How long to wait for a CRM that is down. Meanwhile no other restore may write, and this one does not end.
const OUTAGE: SignedDuration = SignedDuration::from_hours(1);

impl RestoreWork {
    /// Sets the values that were left cleared, once no run writes any more. A value stays empty if the CRM refuses it,
    /// is down for an hour, or has no calls left until [`LONGEST_FINISHING`]. It is then reported as unclear, with the
    /// value that it had.
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
            let is_late = self.now().duration_since(restore.created_at) > LONGEST_FINISHING;
            if !is_late && !matches!(error.remedy(self.now(), (&restore.leasing).into(), &patience), Remedy::Fail(_)) {
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
            refusals: Mutex::new(WriteRefusals::default()),
            begun: Mutex::new(Begun::default()),
            places: Semaphore::new(1),
            room: Room::new(),
        };
        let committed = slice.batches_before(slice.written_to);
        let uncommitted = self.uncommitted(restore, slice).await?;
        for batch in committed..slice.batches().min(committed + BATCHES_AHEAD) {
            let begun = application.begun_of(batch).await?;
            // Its outcomes are reported as they are: a run has tried all that can be tried.
            if uncommitted.get(&batch).is_some_and(|known| known.is_latest_of(&begun)) {
                continue;
            }
            application.finish_batch(batch, begun.values).await?;
        }
        Ok(())
    }
}

impl Application<'_> {
    /// Values that dead runs were about to write, of a batch that no commit contains, if they may be cleared now.
    async fn begun_of(&self, batch: u64) -> Result<BegunBatch, StepError> {
        let attempts = self.slice.tries_at(batch).chain(dead_run(self.slice));
        let mut begun = self.work.begun_of_batch(self.restore, self.slice, batch, attempts).await?;
        let may_be_cleared =
            |property: u16| self.property(property).is_some_and(RestoredProperty::is_cleared_on_the_way);
        begun.values.retain(|(_, property), _| may_be_cleared(*property));
        Ok(begun)
    }

    /// Sets the values of a batch that were cleared and are still empty.
    async fn finish_batch(&self, batch: u64, begun: BegunValues) -> Result<(), StepError> {
        let mut ids: Vec<RecordId> = begun.keys().map(|(id, _)| *id).collect();
        ids.dedup();
        for ids in ids.chunks(BATCH) {
            let (present, seen_at) = self.seen(ids).await?;
            let mut cleared: Vec<PendingUpdate> = Vec::new();
            for ((id, place), begun) in begun.range((ids[0], 0)..=(ids[ids.len() - 1], u16::MAX)) {
                let Presence::Row(row) = present.find(*id) else { continue };
                let (Some(now), Some(known)) = (present.value(row, *place), self.property(*place)) else { continue };
                let before = begun.before_clearing(known, now).filter(|_| !begun.target().is_empty());
                let Some(before) = before.map(str::to_owned) else { continue };
                let value = Difference { property: *place, before, target: begun.target().to_owned() };
                cleared.push(PendingUpdate { id: *id, values: vec![value], seen_at });
            }
            let mut counts = OutcomeCounts::default();
            Writer::new(self, batch, &mut counts).write(ToWrite { values: Vec::new(), cleared }).await?;
        }
        Ok(())
    }
}
