//! The end of an object: when it can be closed, and what closing waits for.

use jiff::Timestamp;

use super::{Counts, ObjectExport, ObjectState, Verdict};
use crate::Refused;
use crate::lease::{CrmTrouble, QUEUE_GRACE, Wait};
use crate::ports::crm_model::ReadMode;

impl ObjectExport {
    /// Closes the object. Every chunk is done, and its boundaries and its end were proven for the state `judged`.
    ///
    /// # Errors
    /// [`Refused`] if a chunk is open or was opened again since then, the generation is void, or the object is closed.
    pub fn close(&self, judged: &Self, counts: Counts, to: Timestamp, now: Timestamp) -> Result<Self, Refused> {
        self.check_generation("closing an object", judged.generation)?;
        if self.open_chunks > 0 || self.reopened != judged.reopened {
            return Err(Refused::new("closing an object", "a chunk is open, or was opened again"));
        }
        // In a list that is read from its beginning to its end, a deletion may have moved a record past the cursor.
        let may_have_moved = self.mode == ReadMode::Sequential && counts.deleted() > 0;
        Ok(Self {
            state: ObjectState::Exported,
            counts,
            verdict: Some(self.verdict(counts)),
            window_to: Some(to),
            updated_at: now,
            unordered: self.unordered || may_have_moved,
            ..self.clone()
        })
    }

    /// Whether records or values could not be read.
    pub fn has_shortfall(&self) -> bool {
        !self.unreadable.is_empty() || !self.hidden_values.is_empty()
    }

    /// Compares its rows with `counts`. If a record or value could not be read, the object is short, whatever the
    /// counts.
    pub fn verdict(&self, counts: Counts) -> Verdict {
        if self.has_shortfall() { Verdict::Short } else { counts.verdict(self.records) }
    }

    /// Compares the records that were found, readable or not, with `counts`.
    pub fn verdict_of_found(&self, counts: Counts) -> Verdict {
        counts.verdict(self.found())
    }

    /// How many records were found, readable or not.
    pub fn found(&self) -> u64 {
        self.records + self.unreadable.len() as u64
    }

    /// Records that closing it has to wait, with the CRM's troubles.
    #[must_use]
    pub fn close_later(&self, wait: Wait, close_trouble: CrmTrouble) -> Self {
        let fruitless = wait.reason.is_fruitless() && close_trouble.unreadable.is_none();
        let close_attempts = self.close_attempts + u32::from(fruitless);
        Self { close_attempts, close_wait: Some(wait), close_trouble, requeued_at: None, ..self.clone() }
    }

    /// Records that the counts do not explain its rows and are read again after `wait`.
    #[must_use]
    pub fn recount(&self, wait: Wait) -> Self {
        Self { recounted: true, ..self.close_later(wait, CrmTrouble::default()) }
    }

    /// Whether all its chunks are done and it can be closed.
    pub fn is_closing(&self) -> bool {
        self.state == ObjectState::Exporting && self.open_chunks == 0 && !self.dropped
    }

    /// Since when its closing has been overdue. None if it cannot be closed yet.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        let queued = self.updated_at + QUEUE_GRACE;
        self.is_closing().then(|| self.close_wait.map_or(queued, |wait| queued.max(wait.until)))
    }
}
