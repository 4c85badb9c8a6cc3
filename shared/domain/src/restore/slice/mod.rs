//! A slice of a restore: a range of its rows, the unit of fan-out. It is planned first, and applied once the plan is
//! confirmed.
//!
//! ```text
//! waiting ─▶ planning ─▶ planned ─▶ applying ─▶ done
//! ```
//! A dispatch activates the slice into `planning` and `applying`. The run that holds the lease commits it out of them.

mod pieces;
mod untried;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::pieces::{OutcomeFile, PlanSegment, Position};
pub use self::untried::Untried;

use super::RESTORE_KEPT_FOR;
use super::outcome::OutcomeCounts;
use super::plan::PlanCounts;
use crate::Refused;
use crate::ids::{AccountId, RestoreId};
use crate::lease::{Leasing, NotLeased, Wait};
use crate::lease::{Leftover, QUEUE_GRACE, WRITE_MARGIN};
use crate::ports::crm_batch::BATCH;
use crate::ports::ledger::{Key, Record};
use crate::work::{RestoreRef, Work};

/// The state of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SliceState {
    /// Not queued yet: all workers of the account are busy.
    Waiting,
    /// Queued or being compared.
    Planning,
    /// Compared to the end.
    Planned,
    /// Queued or being written.
    Applying,
    /// Written to the end, or as far as it got when the restore ended.
    Done,
}

/// A run that ended without reporting which batches it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    pub attempt: u32,
    /// It may have begun batches below this number, counted from the beginning of the slice.
    pub until: u64,
}

/// How many batches beyond the committed ones a run may have begun.
pub const BATCHES_AHEAD: u64 = 60;

/// A range of rows of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSlice {
    pub account_id: AccountId,
    pub restore_id: RestoreId,
    /// Counts the slices, from 0.
    pub number: u32,
    /// The first row in the backup's file, from 0. In an undo: the first record of the slice that it undoes.
    pub first_row: u64,
    pub rows: u64,
    pub state: SliceState,
    pub leasing: Leasing,
    pub queued_at: Timestamp,
    pub rows_planned: u64,
    /// The plan segments, in order.
    pub segments: Vec<PlanSegment>,
    pub plan: PlanCounts,
    pub written_to: Position,
    /// Runs that may have begun batches beyond `written_to`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// The outcome files, in order.
    pub outcomes: Vec<OutcomeFile>,
    pub outcome: OutcomeCounts,
    /// Batches beyond `written_to` that were reported as a whole when the slice was settled, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_beyond: Vec<u64>,
}

/// The comparisons of a run since its last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The first compared row. Must equal the slice's `rows_planned`.
    pub from_row: u64,
    pub rows: u64,
    /// None if no record differs.
    pub segment: Option<PlanSegment>,
    pub counts: PlanCounts,
    /// Whether the slice is compared to its end.
    pub end: bool,
}

/// The report about batches beyond the committed ones, after a restore has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settling {
    /// None if there is nothing to report.
    pub file: Option<OutcomeFile>,
    pub counts: OutcomeCounts,
    /// Batches whose values are all reported, in order.
    pub whole: Vec<u64>,
}

/// The writes of a run since its last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Must equal the slice's `written_to`.
    pub from: Position,
    pub to: Position,
    /// The outcomes. None if there are none to store.
    pub file: Option<OutcomeFile>,
    pub counts: OutcomeCounts,
}

impl RestoreSlice {
    /// A slice that is not queued yet.
    pub fn waiting(restore: &RestoreRef, number: u32, first_row: u64, rows: u64, now: Timestamp) -> Self {
        Self {
            account_id: restore.account_id.clone(),
            restore_id: restore.restore_id.clone(),
            number,
            first_row,
            rows,
            state: SliceState::Waiting,
            leasing: Leasing::default(),
            queued_at: now,
            rows_planned: 0,
            segments: Vec::new(),
            plan: PlanCounts::default(),
            written_to: Position::default(),
            tries: Vec::new(),
            outcomes: Vec::new(),
            outcome: OutcomeCounts::default(),
            told_beyond: Vec::new(),
        }
    }

    /// The ids of its restore.
    pub fn restore(&self) -> RestoreRef {
        RestoreRef { account_id: self.account_id.clone(), restore_id: self.restore_id.clone() }
    }

    /// The message that has it worked on.
    pub fn work(&self) -> Work {
        Work::RestoreSlice { restore: self.restore(), slice: self.number }
    }

    /// Whether it is queued or being worked on.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, SliceState::Planning | SliceState::Applying)
    }

    /// Whether it has values to write.
    pub fn has_changes(&self) -> bool {
        self.segments.iter().any(|segment| segment.changed > 0)
    }

    /// The number of its batches.
    pub fn batches(&self) -> u64 {
        self.segments.iter().map(|segment| segment.batches()).sum()
    }

    /// The number of batches before `position`, over all segments.
    pub fn batches_before(&self, position: Position) -> u64 {
        let before = self.segments.iter().take(position.segment as usize).map(|segment| segment.batches());
        before.sum::<u64>() + u64::from(position.record).div_ceil(BATCH as u64)
    }

    /// Runs that may have begun batch `number` and have not stored its outcome.
    pub fn tries_at(&self, number: u64) -> impl Iterator<Item = u32> + '_ {
        self.tries.iter().filter(move |earlier| number < earlier.until).map(|earlier| earlier.attempt)
    }

    /// Queues it.
    ///
    /// # Errors
    /// [`Refused`] unless it is waiting, or planned with values to write.
    pub fn activate(&self, now: Timestamp) -> Result<Self, Refused> {
        let state = match self.state {
            SliceState::Waiting => SliceState::Planning,
            SliceState::Planned if self.has_changes() => SliceState::Applying,
            _ => return Err(Refused::new("activating a slice", "it has nothing to do")),
        };
        // Attempts of the planning do not count for the writing.
        Ok(Self { state, queued_at: now, leasing: self.leasing.progressed().released(None), ..self.clone() })
    }

    /// Takes the lease. Records which batches the run before may have begun.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn lease(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        let mut next = Self { leasing: self.leasing.take(owner, now, length)?, queued_at: now, ..self.clone() };
        // A run that gave its lease back left no batch begun.
        let dead = self.leasing.lease.as_ref().filter(|_| self.state == SliceState::Applying);
        if let Some(dead) = dead.filter(|dead| self.tries.iter().all(|earlier| earlier.attempt != dead.number)) {
            next.remember(dead.number);
        }
        Ok(next)
    }

    fn remember(&mut self, attempt: u32) {
        let committed = self.batches_before(self.written_to);
        self.tries.retain(|earlier| earlier.until > committed);
        self.tries.push(Try { attempt, until: committed + BATCHES_AHEAD });
    }

    /// Adds the comparisons of the run with `lease`.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over, or the step does not begin at the slice's position.
    pub fn compared(&self, lease: u32, step: &Compared) -> Result<Self, Refused> {
        self.check("committing a comparison", SliceState::Planning, lease)?;
        if step.from_row != self.rows_planned {
            return Err(Refused::fault("committing a comparison", "it does not begin at the slice's position"));
        }
        let mut next = Self { leasing: self.leasing.progressed(), ..self.clone() };
        next.rows_planned += step.rows;
        next.segments.extend(step.segment);
        next.plan.add(&step.counts);
        if step.end {
            next.state = SliceState::Planned;
            next.leasing = next.leasing.released(None);
        }
        Ok(next)
    }

    /// Replaces the plan segments by others with the same records in another order.
    ///
    /// # Errors
    /// [`Refused`] if it is not compared to its end, or is being written.
    pub fn rearranged(&self, segments: Vec<PlanSegment>) -> Result<Self, Refused> {
        if self.state != SliceState::Planned {
            return Err(Refused::new("rearranging a plan", "the slice is at another step"));
        }
        Ok(Self { segments, ..self.clone() })
    }

    /// Adds the writes of the run with `lease`. The slice is done when the last record is written.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over, or the step does not begin at the slice's position.
    pub fn applied(&self, lease: u32, step: &Applied) -> Result<Self, Refused> {
        self.check("committing writes", SliceState::Applying, lease)?;
        if step.from != self.written_to || step.to < step.from {
            return Err(Refused::fault("committing writes", "it does not begin at the slice's position"));
        }
        let mut next = self.with_outcome(step.file, &step.counts);
        next.written_to = step.to;
        next.leasing = self.leasing.progressed();
        if next.batches_before(step.to) >= next.batches() {
            next.state = SliceState::Done;
            next.leasing = next.leasing.released(None);
        }
        Ok(next)
    }

    /// Ends the slice as far as it got, after its restore has ended.
    ///
    /// # Errors
    /// [`Refused`] if a run may still write.
    pub fn settled(&self, settling: Settling, now: Timestamp) -> Result<Self, Refused> {
        if self.is_worked_on(now) {
            return Err(Refused::new("settling a slice", "a run may still write"));
        }
        let mut next = self.with_outcome(settling.file, &settling.counts);
        next.told_beyond = settling.whole;
        next.state = SliceState::Done;
        next.leasing = self.leasing.released(None);
        Ok(next)
    }

    fn with_outcome(&self, file: Option<OutcomeFile>, counts: &OutcomeCounts) -> Self {
        let mut next = self.clone();
        next.outcomes.extend(file);
        next.outcome.add(counts);
        next
    }

    /// Whether a run may be working on it.
    pub fn is_worked_on(&self, now: Timestamp) -> bool {
        self.lease_ends_at().is_some_and(|ends| ends > now)
    }

    /// When the run that holds the lease has certainly ended. None if no run holds it.
    pub fn lease_ends_at(&self) -> Option<Timestamp> {
        self.leasing.lease.as_ref().map(|lease| lease.expires_at)
    }

    /// Gives the lease back before the end, to be taken again after `wait`. If a write may still land, the lease lasts
    /// until it cannot.
    ///
    /// # Errors
    /// [`Refused`] if another run has taken over.
    pub fn released(&self, lease: u32, wait: Option<Wait>, left: Leftover, now: Timestamp) -> Result<Self, Refused> {
        if !self.is_active() || !self.leasing.is_held_by(lease) {
            return Err(Refused::new("releasing a slice", "another run has taken it over"));
        }
        let leasing = match left {
            Leftover::Unanswered => self.leasing.released_while_landing(wait, now + WRITE_MARGIN),
            Leftover::Nothing | Leftover::Untold => self.leasing.released(wait),
        };
        let mut next = Self { leasing, queued_at: now, ..self.clone() };
        if self.state == SliceState::Applying && left != Leftover::Nothing {
            next.remember(lease);
        }
        Ok(next)
    }

    /// Records that it was queued again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { leasing: self.leasing.requeued(now), ..self.clone() }
    }

    /// Removes it from the due work, because its restore has ended.
    #[must_use]
    pub fn dropped(&self) -> Self {
        Self { state: SliceState::Done, ..self.clone() }
    }

    /// Since when it has been overdue. None if it is not active.
    pub fn overdue_since(&self) -> Option<Timestamp> {
        self.is_active().then(|| self.leasing.overdue_since(self.queued_at, QUEUE_GRACE))
    }

    fn check(&self, what: &'static str, state: SliceState, lease: u32) -> Result<(), Refused> {
        if self.state != state {
            return Err(Refused::new(what, "the slice is at another step"));
        }
        if !self.leasing.is_held_by(lease) {
            return Err(Refused::new(what, "another run has taken the slice over"));
        }
        Ok(())
    }

    /// Sort-key prefix of all slices of a restore. They list in order.
    pub const PREFIX: &'static str = "SLICE#";

    /// The partition of a restore's slices.
    pub fn partition(restore: &RestoreId) -> String {
        format!("RESTORE#{restore}")
    }

    /// The ledger's key of a slice.
    pub fn key_of(restore: &RestoreId, number: u32) -> Key {
        Key::new(Self::partition(restore), format!("{}{number:05}", Self::PREFIX))
    }
}

impl Record for RestoreSlice {
    fn key(&self) -> Key {
        Self::key_of(&self.restore_id, self.number)
    }
    fn due_at(&self) -> Option<Timestamp> {
        self.is_active().then(|| self.leasing.due_at_in_a_full_queue(self.queued_at, QUEUE_GRACE))
    }
    fn forget_at(&self) -> Option<Timestamp> {
        Some(self.restore_id.created_at() + RESTORE_KEPT_FOR)
    }
}

#[cfg(test)]
mod tests;
