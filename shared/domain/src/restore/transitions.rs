//! The legal transitions of a restore.

use jiff::{SignedDuration, Timestamp};

use super::report::ReportProgress;
use super::{Decision, DroppedProperty, Plan, Restore, RestoreState};
use crate::account::Requester;
use crate::ids::RestoreId;
use crate::lease::{NotLeased, Wait};
use crate::{Failure, Refused};

/// An event of a restore's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreEvent {
    /// The run with `lease` added all slices to the ledger.
    SlicesDefined {
        lease: u32,
        slices: u32,
    },
    /// A slice was compared, or written, to its end.
    SliceFinished,
    /// The run with `lease` summed up the plan.
    Planned {
        lease: u32,
        plan: Plan,
    },
    /// A user confirmed the plan.
    Confirmed(Requester),
    /// A user stopped the writing.
    Stopped(Requester),
    /// A user cancelled it before anything was written.
    Cancelled(Requester),
    /// The CRM keeps refusing a property, so it is given up.
    PropertyDropped(DroppedProperty),
    Failed(Failure),
    /// The run with `lease` made the import and its report.
    Concluded {
        lease: u32,
    },
    /// The import's report cannot be made.
    NotConcluded(Failure),
    /// The run with `lease` stored a further piece of its step's report.
    ReportSaved {
        lease: u32,
        report: ReportProgress,
    },
    /// The run with `lease` ended before its step was done.
    Released {
        lease: u32,
        wait: Option<Wait>,
    },
    /// Its step was queued again, or its slices were checked.
    Requeued,
    /// A user requested a restore that undoes this one.
    UndoAsked(RestoreId),
}

impl Restore {
    /// Takes the lease for a step that a single run does. Concluding never runs out of attempts: until it is done, no
    /// other restore of the account may write, and the overwritten values are not reported.
    ///
    /// # Errors
    /// [`NotLeased`], and nothing is changed.
    pub fn lease(&self, owner: &str, now: Timestamp, length: SignedDuration) -> Result<Self, NotLeased> {
        if self.work().is_none() {
            return Err(NotLeased::NoStep);
        }
        let mut leasing = self.leasing.clone();
        if self.state == RestoreState::Concluding {
            leasing.attempts = 0;
        }
        Ok(Self { leasing: leasing.take(owner, now, length)?, queued_at: now, ..self.clone() })
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// [`Refused`] if the present state does not allow the event.
    pub fn apply(&self, event: RestoreEvent, now: Timestamp) -> Result<Self, Refused> {
        use RestoreEvent as Event;
        use RestoreState as State;
        if self.state.is_terminal() && !matches!(event, Event::UndoAsked(_)) {
            return Err(Refused::new("changing a restore", "it has ended"));
        }
        let mut next = self.clone();
        match event {
            Event::SlicesDefined { lease, slices } => {
                self.check("defining slices", State::Queued, Some(lease))?;
                next.slices = slices;
                next.defined_by = Some(lease);
                next.enter(State::Planning, slices, State::Summarising, now);
            }
            Event::SliceFinished => next.count_off(now)?,
            Event::Planned { lease, plan } => {
                self.check("finishing the plan", State::Summarising, Some(lease))?;
                next.plan = Some(plan);
                next.report = None;
                next.enter(State::Planned, 0, State::Planned, now);
            }
            Event::Confirmed(by) => next.confirm(by, now)?,
            Event::Stopped(by) => {
                self.check("stopping a restore", State::Applying, None)?;
                next.stopped = Some(Decision { by, at: now });
                next.enter(State::Concluding, 0, State::Concluding, now);
            }
            Event::Cancelled(by) => {
                if self.has_written() {
                    return Err(Refused::new("cancelling a restore", "it has begun to write"));
                }
                next.stopped = Some(Decision { by, at: now });
                next.end(State::Cancelled, now);
            }
            Event::PropertyDropped(dropped) => {
                self.check("dropping a property", State::Applying, None)?;
                if !self.has_dropped(&dropped.property) {
                    next.dropped.push(dropped);
                }
            }
            Event::Failed(failure) => next.fail(failure, now)?,
            Event::Concluded { lease } => {
                self.check("concluding a restore", State::Concluding, Some(lease))?;
                let state = match (&self.failure, &self.stopped) {
                    (Some(_), _) => State::Failed,
                    (None, Some(_)) => State::Stopped,
                    (None, None) => State::Completed,
                };
                next.report = None;
                next.end(state, now);
            }
            Event::NotConcluded(failure) => {
                self.check("concluding a restore", State::Concluding, None)?;
                next.failure = Some(failure);
                next.end(State::Failed, now);
            }
            Event::ReportSaved { lease, report } => {
                let state = if self.state == State::Summarising { State::Summarising } else { State::Concluding };
                self.check("saving a report", state, Some(lease))?;
                next.report = Some(report);
                next.leasing = self.leasing.progressed();
            }
            Event::Released { lease, wait } => {
                if !self.leasing.is_held_by(lease) {
                    return Err(Refused::new("releasing a restore", "another run has taken it over"));
                }
                next.leasing = self.leasing.released(wait);
                next.queued_at = now;
            }
            Event::Requeued if self.work().is_some() => next.leasing = self.leasing.requeued(now),
            Event::Requeued => next.queued_at = now,
            Event::UndoAsked(undo) => next.ask_undo(undo)?,
        }
        Ok(next)
    }

    /// Enters `state` with this number of slices to finish, or `after` at once if there are none.
    fn enter(&mut self, state: RestoreState, slices: u32, after: RestoreState, now: Timestamp) {
        self.state = if slices == 0 { after } else { state };
        self.open_slices = slices;
        self.leasing = self.leasing.progressed().released(None);
        self.queued_at = now;
    }

    fn count_off(&mut self, now: Timestamp) -> Result<(), Refused> {
        let after = match self.state {
            RestoreState::Planning => RestoreState::Summarising,
            RestoreState::Applying => RestoreState::Concluding,
            _ => return Err(Refused::new("counting off a slice", "the restore is at another step")),
        };
        let Some(open) = self.open_slices.checked_sub(1) else {
            return Err(Refused::fault("counting off a slice", "no slice is open"));
        };
        self.open_slices = open;
        if open == 0 {
            self.enter(after, 0, after, now);
        }
        Ok(())
    }

    fn confirm(&mut self, by: Requester, now: Timestamp) -> Result<(), Refused> {
        self.check("confirming a plan", RestoreState::Planned, None)?;
        if self.is_expired(now) {
            return Err(Refused::new("confirming a plan", "it has expired"));
        }
        let slices = self.plan.as_ref().map_or(0, |plan| plan.slices_to_apply);
        if slices == 0 {
            return Err(Refused::new("confirming a plan", "there is nothing to write"));
        }
        self.confirmation = Some(Decision { by, at: now });
        self.enter(RestoreState::Applying, slices, RestoreState::Concluding, now);
        Ok(())
    }

    /// A restore that was not confirmed has written nothing and ends at once. Others are concluded first.
    fn fail(&mut self, failure: Failure, now: Timestamp) -> Result<(), Refused> {
        match self.state {
            RestoreState::Concluding => {
                return Err(Refused::new("failing a restore", "it is being concluded"));
            }
            RestoreState::Applying => {
                self.failure = Some(failure);
                self.enter(RestoreState::Concluding, 0, RestoreState::Concluding, now);
            }
            _ => {
                self.failure = Some(failure);
                self.end(RestoreState::Failed, now);
            }
        }
        Ok(())
    }

    fn ask_undo(&mut self, undo: RestoreId) -> Result<(), Refused> {
        if !self.state.is_terminal() || !self.has_written() || self.is_undo() {
            return Err(Refused::new("undoing a restore", "it has not ended, or there is nothing to undo"));
        }
        self.undone_by = Some(undo);
        Ok(())
    }

    fn end(&mut self, state: RestoreState, now: Timestamp) {
        self.enter(state, 0, state, now);
        self.ended_at = Some(now);
    }

    fn check(&self, what: &'static str, state: RestoreState, lease: Option<u32>) -> Result<(), Refused> {
        if self.state != state {
            return Err(Refused::new(what, "the restore is at another step"));
        }
        if lease.is_some_and(|number| !self.leasing.is_held_by(number)) {
            return Err(Refused::new(what, "another run has taken the step over"));
        }
        Ok(())
    }
}
