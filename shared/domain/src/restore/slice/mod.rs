//! A slice of a restore: a range of the rows to restore, the unit of fan-out. First it is planned, and once the plan is
//! confirmed it is applied.
//!
//! ```text
//! waiting ─▶ planning ─▶ planned ─▶ applying ─▶ done
//! ```
//! Each arrow into `planning` and `applying` is the activation by a dispatch; each out of them is a commit of the run
//! that holds the slice's lease.

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

/// Where a slice is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SliceState {
    /// Nobody compares it yet: the account has as many workers as it may use.
    Waiting,
    /// Queued to be compared, or being compared.
    Planning,
    /// Compared to its end.
    Planned,
    /// Queued to be written, or being written.
    Applying,
    /// Written to its end, or as far as it got when the restore ended.
    Done,
}

/// A run that has ended without saying which batches it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    pub attempt: u32,
    /// It may have begun batches up to this one (not included), counted from the beginning of the slice.
    pub until: u64,
}

/// Batches that a run may have begun beyond those that are committed.
pub const BATCHES_AHEAD: u64 = 60;

/// A range of rows of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreSlice {
    pub account_id: AccountId,
    pub restore_id: RestoreId,
    /// Its place among the slices, from 0.
    pub number: u32,
    /// The first row of it in the backup's file, from 0. An undo counts the records of the slice that it undoes.
    pub first_row: u64,
    pub rows: u64,
    /// Where in its life it is.
    pub state: SliceState,
    /// Who works on it.
    pub leasing: Leasing,
    /// When it was last put into the queue.
    pub queued_at: Timestamp,
    pub rows_planned: u64,
    /// What the comparison has written, in order.
    pub segments: Vec<PlanSegment>,
    /// What it has found.
    pub plan: PlanCounts,
    /// How far it is written.
    pub written_to: Position,
    /// Runs that may have begun batches beyond that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// What became of what is written, in order.
    pub outcomes: Vec<OutcomeFile>,
    /// The same in numbers.
    pub outcome: OutcomeCounts,
    /// Batches beyond `written_to` that were told as a whole when the slice was settled, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_beyond: Vec<u64>,
}

/// What a run has compared since the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Where it began: must be the slice's rows compared.
    pub from_row: u64,
    pub rows: u64,
    /// What it wrote, unless everything was as it should be.
    pub segment: Option<PlanSegment>,
    pub counts: PlanCounts,
    /// The slice is compared to its end.
    pub end: bool,
}

/// What is told of batches beyond those that are committed, after a restore has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settling {
    /// Where it stands, unless there is nothing to tell.
    pub file: Option<OutcomeFile>,
    /// The same in numbers.
    pub counts: OutcomeCounts,
    /// Batches of which every value is told, in order.
    pub whole: Vec<u64>,
}

/// What a run has written to the CRM since the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Where it began: must be where the slice is written to.
    pub from: Position,
    pub to: Position,
    /// What became of the values, unless there is nothing to tell.
    pub file: Option<OutcomeFile>,
    /// The same in numbers.
    pub counts: OutcomeCounts,
}

impl RestoreSlice {
    /// A slice that nobody compares yet.
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

    /// The restore.
    pub fn restore(&self) -> RestoreRef {
        RestoreRef { account_id: self.account_id.clone(), restore_id: self.restore_id.clone() }
    }

    /// The message that gets it worked on.
    pub fn work(&self) -> Work {
        Work::RestoreSlice { restore: self.restore(), slice: self.number }
    }

    /// Whether somebody should work on it.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, SliceState::Planning | SliceState::Applying)
    }

    /// Whether any value of it is to be written.
    pub fn has_changes(&self) -> bool {
        self.segments.iter().any(|segment| segment.changed > 0)
    }

    /// Batches that it takes to write.
    pub fn batches(&self) -> u64 {
        self.segments.iter().map(|segment| segment.batches()).sum()
    }

    /// Batches before `position`.
    pub fn batches_before(&self, position: Position) -> u64 {
        let before = self.segments.iter().take(position.segment as usize).map(|segment| segment.batches());
        before.sum::<u64>() + u64::from(position.record).div_ceil(BATCH as u64)
    }

    /// Runs that may have begun batch `number` of the slice and have not told what became of it.
    pub fn tries_at(&self, number: u64) -> impl Iterator<Item = u32> + '_ {
        self.tries.iter().filter(move |earlier| number < earlier.until).map(|earlier| earlier.attempt)
    }

    /// Queues it.
    ///
    /// # Errors
    /// [`Refused`] when it is neither waiting nor planned with something to write.
    pub fn activate(&self, now: Timestamp) -> Result<Self, Refused> {
        let state = match self.state {
            SliceState::Waiting => SliceState::Planning,
            SliceState::Planned if self.has_changes() => SliceState::Applying,
            _ => return Err(Refused::new("activating a slice", "nothing waits there")),
        };
        // Whatever happened while it was planned, writing it starts with no attempts.
        Ok(Self { state, queued_at: now, leasing: self.leasing.progressed().released(None), ..self.clone() })
    }

    /// Takes the lease. What the run before it may have begun to write is remembered.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn lease(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        let mut next = Self { leasing: self.leasing.take(owner, now, length)?, queued_at: now, ..self.clone() };
        // A lease that was given back left nothing begun.
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

    /// Takes over what a run has compared.
    ///
    /// # Errors
    /// [`Refused`] when another run has taken over, or it does not begin where the slice stands.
    pub fn compared(&self, lease: u32, step: &Compared) -> Result<Self, Refused> {
        self.check("committing a comparison", SliceState::Planning, lease)?;
        if step.from_row != self.rows_planned {
            return Err(Refused::fault("committing a comparison", "it does not begin where the slice stands"));
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

    /// Puts other plan segments in the place of those that the comparison has written: the same records in another order.
    ///
    /// # Errors
    /// [`Refused`] when it is not compared to its end, or is being written.
    pub fn rearranged(&self, segments: Vec<PlanSegment>) -> Result<Self, Refused> {
        if self.state != SliceState::Planned {
            return Err(Refused::new("rearranging a plan", "the slice is at another step"));
        }
        Ok(Self { segments, ..self.clone() })
    }

    /// Takes over what a run has written to the CRM. It is done when the last record is.
    ///
    /// # Errors
    /// [`Refused`] when another run has taken over, or it does not begin where the slice stands.
    pub fn applied(&self, lease: u32, step: &Applied) -> Result<Self, Refused> {
        self.check("committing what was written", SliceState::Applying, lease)?;
        if step.from != self.written_to || step.to < step.from {
            return Err(Refused::fault("committing what was written", "it does not begin where the slice stands"));
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

    /// Ends the slice as far as it got, after its restore has ended and when nobody works on it.
    ///
    /// # Errors
    /// [`Refused`] when a run still may.
    pub fn settled(&self, told: Settling, now: Timestamp) -> Result<Self, Refused> {
        if self.is_worked_on(now) {
            return Err(Refused::new("settling a slice", "a run may still write"));
        }
        let mut next = self.with_outcome(told.file, &told.counts);
        next.told_beyond = told.whole;
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

    /// When the run that works on it, if one does, has certainly ended.
    pub fn lease_ends_at(&self) -> Option<Timestamp> {
        self.leasing.lease.as_ref().map(|lease| lease.expires_at)
    }

    /// Gives the lease back before the end, to be taken again after `wait`. Where a write may still land, the lease goes on
    /// for as long as that can take.
    ///
    /// # Errors
    /// [`Refused`] when another run has taken over.
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

    /// Notes that it was queued again.
    #[must_use]
    pub fn requeued(&self, now: Timestamp) -> Self {
        Self { leasing: self.leasing.requeued(now), ..self.clone() }
    }

    /// Nobody looks at it any more, as its restore has ended.
    #[must_use]
    pub fn dropped(&self) -> Self {
        Self { state: SliceState::Done, ..self.clone() }
    }

    /// Since when it should have been worked on; None when nobody should.
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

    /// Sort-key prefix of all slices of a restore; they list in order.
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
