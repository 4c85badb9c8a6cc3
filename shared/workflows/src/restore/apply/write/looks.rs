//! Looks at what the CRM has: before a write, where that was seen long ago, and after it, where the answer does not tell.

use domain::ids::RecordId;
use domain::lease::WaitReason;
use domain::ports::call_gate::GateClosed;
use domain::ports::crm::CrmError;
use domain::restore::difference::Difference;
use domain::restore::outcome::{Fate, reasons};
use domain::restore::plan::Gone;
use jiff::{SignedDuration, Timestamp};

use super::{PendingUpdate, Round, Writer};
use crate::restore::apply::Application;
use crate::restore::compare::{Presence, Present};
use crate::run::StepError;

/// What the CRM has of a record is known for so long. After that it is asked again before it is written over.
const FRESH: SignedDuration = SignedDuration::from_secs(15);

/// How often a call is put off because what it writes over is not known well enough any more.
const MOST_LOOKS: u32 = 3;

const GONE: (&str, &str) = (reasons::RECORD_GONE, "The record was deleted while it was written.");

impl Writer<'_> {
    /// Waits until a call can be sent, and asks the CRM again for what it has where that was long ago.
    ///
    /// # Errors
    /// [`StepError`], also where somebody has changed a value meanwhile: the next run begins the batch anew.
    pub(super) async fn refresh(&self, updates: &mut [PendingUpdate], round: Round) -> Result<(), StepError> {
        let application = self.application;
        for _ in 0..MOST_LOOKS {
            application.gate.slot_comes().await.map_err(CrmError::from)?;
            let now = application.work.now();
            if updates.iter().all(|update| now.duration_since(update.seen_at) <= FRESH) {
                return Ok(());
            }
            let ids: Vec<RecordId> = updates.iter().map(|update| update.id).collect();
            let (present, seen_at) = application.seen(&ids).await?;
            for update in updates.iter_mut() {
                if !application.is_unchanged(update, &present, round) {
                    let closed = GateClosed { until: application.work.now(), reason: WaitReason::RunsEnding };
                    return Err(CrmError::from(closed).into());
                }
                update.seen_at = seen_at;
            }
        }
        Ok(())
    }

    /// The CRM has accepted values, and its answer does not show what became of them: they are read. What is not shown even
    /// so may have been written.
    pub(super) async fn look_again(&mut self, untold: Vec<PendingUpdate>, round: Round) -> Result<(), StepError> {
        let application = self.application;
        let ids: Vec<RecordId> = untold.iter().map(|update| update.id).collect();
        let (present, _) = application.seen(&ids).await?;
        for PendingUpdate { id, values, .. } in untold {
            let found = present.find(id);
            for value in values {
                match found {
                    Presence::Gone(Gone::Deleted) => self.failed(id, value, GONE, round),
                    Presence::Gone(Gone::Merged { into }) => {
                        let message = format!(
                            "The record was merged into {into} while it was written. The CRM may have written this value \
                             to {into}: check it there."
                        );
                        self.failed(id, value, (reasons::RECORD_MERGED, &message), round);
                    }
                    Presence::Unreadable => self.unclear(id, value, round),
                    Presence::Row(row) => match present.value(row, value.property) {
                        Some(now) => self.settle(id, value, now, round),
                        None => self.unclear(id, value, round),
                    },
                }
            }
        }
        Ok(())
    }

    /// Nobody knows whether a value was written in `round`. What may be cleared is not left so.
    fn unclear(&mut self, id: RecordId, value: Difference, round: Round) {
        match round {
            Round::Free | Round::Clear => self.cleared.push(self.application.seen_now(id, value)),
            Round::Set | Round::SetCleared => drop(self.fates.insert((id, value.property), Fate::Unclear)),
            // Why the target was not written is told already.
            Round::PutBack => {}
        }
    }
}

impl Application<'_> {
    /// What the CRM has of records, and when it was asked: not before the call had its turn.
    pub(in crate::restore::apply) async fn seen(&self, ids: &[RecordId]) -> Result<(Present, Timestamp), StepError> {
        self.gate.slot_comes().await.map_err(CrmError::from)?;
        let asked_at = self.work.now();
        Ok((Present::read(self.crm, self.restore, self.definition, ids).await?, asked_at))
    }

    /// Whether a record still has what it was found with before `round`.
    fn is_unchanged(&self, update: &PendingUpdate, present: &Present, round: Round) -> bool {
        let Presence::Row(row) = present.find(update.id) else { return false };
        update.values.iter().all(|value| {
            let known = self.property(value.property).zip(present.value(row, value.property));
            known.is_some_and(|(known, now)| known.comparison.same(now, round.finds(value)))
        })
    }
}
