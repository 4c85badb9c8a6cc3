//! Reads the CRM's values again: before a write if they were read long ago, and after it if the answer does not contain
//! them.

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

/// How long the CRM's values of a record count as known. After that they are read again before they are overwritten.
const FRESH: SignedDuration = SignedDuration::from_secs(15);

/// How often a call is put off because the values that it overwrites were read too long ago.
const MOST_LOOKS: u32 = 3;

const GONE: (&str, &str) = (reasons::RECORD_GONE, "The record was deleted during the write.");

impl Writer<'_> {
    /// Waits until a call can be sent, and reads the CRM's values again if they were read long ago.
    ///
    /// # Errors
    /// [`StepError`], also if a value was edited meanwhile: the next run begins the batch again.
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

    /// Reads values that the CRM has accepted without returning their result. A value that is still missing may have
    /// been written.
    pub(super) async fn look_again(&mut self, unconfirmed: Vec<PendingUpdate>, round: Round) -> Result<(), StepError> {
        let application = self.application;
        let ids: Vec<RecordId> = unconfirmed.iter().map(|update| update.id).collect();
        let (present, _) = application.seen(&ids).await?;
        for PendingUpdate { id, values, .. } in unconfirmed {
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

    /// It is unknown whether a value was written in `round`. A value that may be cleared is set again.
    fn unclear(&mut self, id: RecordId, value: Difference, round: Round) {
        match round {
            Round::Free | Round::Clear => self.cleared.push(self.application.seen_now(id, value)),
            Round::Set | Round::SetCleared => drop(self.fates.insert((id, value.property), Fate::Unclear)),
            // The reason why the target was not written is already recorded.
            Round::PutBack => {}
        }
    }
}

impl Application<'_> {
    /// The CRM's values of records, and when they were read: not before the call had its turn.
    pub(in crate::restore::apply) async fn seen(&self, ids: &[RecordId]) -> Result<(Present, Timestamp), StepError> {
        self.gate.slot_comes().await.map_err(CrmError::from)?;
        let asked_at = self.work.now();
        Ok((Present::read(self.crm, self.restore, self.definition, ids).await?, asked_at))
    }

    /// Whether a record still has the values that it had before `round`.
    fn is_unchanged(&self, update: &PendingUpdate, present: &Present, round: Round) -> bool {
        let Presence::Row(row) = present.find(update.id) else { return false };
        update.values.iter().all(|value| {
            let known = self.property(value.property).zip(present.value(row, value.property));
            known.is_some_and(|(known, now)| known.comparison.same(now, round.finds(value)))
        })
    }
}
