//! Gives the worker places of an account to waiting slices of its restores.

use std::collections::VecDeque;
use std::time::Duration;

use domain::ids::RestoreId;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::restore::open_plans::MOST_OPEN_PLANS;
use domain::restore::slice::{RestoreSlice, SliceState};
use domain::restore::{Restore, RestoreState};
use domain::work::{RestoreRef, Work};
use jiff::Timestamp;

use super::{RestoreWork, open_plans};
use crate::listing;
use crate::run::StepError;

/// Slices of a restore that are worked on at the same time. One run with eight calls in progress saturates an account
/// whose CRM answers within 400 ms. A second one uses the moments in which the first commits.
const WORKERS: usize = 2;

/// How many parts of restores are worked on at the same time, for all accounts. All accounts share one queue.
#[derive(Debug, Clone, Copy)]
pub struct Places(pub usize);

impl Places {
    /// Slices that are compared at the same time over all plans of one account. One place is left, so that a restore of
    /// another account begins to write while an account has made as many plans as it may. At most one restore of an
    /// account writes, so an account has no more places than these and [`WORKERS`].
    fn for_plans(self) -> usize {
        self.0.saturating_sub(1).clamp(1, MOST_OPEN_PLANS)
    }
}

/// The slices of a restore in its present step.
struct Step {
    /// Slices that are queued or worked on.
    busy: usize,
    /// When the latest of its slices got a place. None if none has had one in this step.
    served_at: Option<Timestamp>,
    /// Slices that have no place yet, in order.
    waiting: VecDeque<Versioned<RestoreSlice>>,
}

/// All slices of a restore, in order.
///
/// # Errors
/// [`LedgerError`].
pub(super) async fn slices(
    ledger: &dyn Ledger,
    restore: &RestoreRef,
) -> Result<Vec<Versioned<RestoreSlice>>, LedgerError> {
    ledger::list(ledger, &RestoreSlice::partition(&restore.restore_id), RestoreSlice::PREFIX).await
}

/// Activates and queues as many waiting slices as there are free places: of the restore if it writes, otherwise of all
/// plans of its account. Repeating it is safe. The cap over all plans is soft: two simultaneous calls for two plans may
/// each give the last place away.
///
/// # Errors
/// [`StepError`]. Some slices may have been activated.
pub(crate) async fn dispatch(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    now: Timestamp,
    (restore, places): (&RestoreRef, Places),
) -> Result<(), StepError> {
    let parent = ledger::load::<Restore>(ledger, &Restore::key_of(restore)).await?;
    let Some(state) = parent.map(|parent| parent.record.state) else { return Ok(()) };
    let (steps, places) = match state {
        RestoreState::Applying => {
            (vec![step(ledger, restore, SliceState::Planned, SliceState::Applying).await?], WORKERS)
        }
        RestoreState::Concluding => return Ok(()),
        _ => (plans(ledger, restore, state, now).await?, places.for_plans()),
    };
    let activated = fill(ledger, steps, places, now).await?;
    if !activated.is_empty() {
        queue.send(&activated, Duration::ZERO).await?;
    }
    Ok(())
}

/// The slices of all plans of the account of `restore`, which is in `state`, in order of their requests. It belongs to
/// them even if it is not named among them: an earlier version may have accepted it.
async fn plans(
    ledger: &dyn Ledger,
    restore: &RestoreRef,
    state: RestoreState,
    now: Timestamp,
) -> Result<Vec<Step>, StepError> {
    let open = open_plans::load(ledger, &restore.account_id, now).await?.open;
    let compared = open.into_iter().filter(|plan| plan.state == Some(RestoreState::Planning));
    let mut ids: Vec<RestoreId> = compared.map(|plan| plan.restore_id).collect();
    if state == RestoreState::Planning && !ids.contains(&restore.restore_id) {
        ids.push(restore.restore_id.clone());
    }
    let mut steps = Vec::with_capacity(ids.len());
    for restore_id in ids {
        let plan = RestoreRef { account_id: restore.account_id.clone(), restore_id };
        steps.push(step(ledger, &plan, SliceState::Waiting, SliceState::Planning).await?);
    }
    Ok(steps)
}

async fn step(
    ledger: &dyn Ledger,
    restore: &RestoreRef,
    waits: SliceState,
    active: SliceState,
) -> Result<Step, StepError> {
    // An unreadable slice does not delay the others.
    let partition = RestoreSlice::partition(&restore.restore_id);
    let slices = ledger::list_each::<RestoreSlice>(ledger, &partition, RestoreSlice::PREFIX).await?;
    let slices: Vec<Versioned<RestoreSlice>> = listing::readable(slices).collect();
    let busy = slices.iter().filter(|slice| slice.record.state == active).count();
    let served = slices.iter().filter(|slice| slice.record.state != waits);
    let served_at = served.map(|slice| slice.record.queued_at).max();
    Ok(Step { busy, served_at, waiting: slices.into_iter().filter(|slice| slice.record.state == waits).collect() })
}

/// Activates waiting slices until `places` are taken, and returns their messages. A free place goes to the restore that
/// has the fewest, and of several to the one that got its latest place first. So a small plan does not wait for the end
/// of a large one.
async fn fill(
    ledger: &dyn Ledger,
    mut steps: Vec<Step>,
    places: usize,
    now: Timestamp,
) -> Result<Vec<Work>, StepError> {
    let mut activated = Vec::new();
    while steps.iter().map(|step| step.busy).sum::<usize>() < places {
        let wanting = steps.iter_mut().filter(|step| step.busy < WORKERS && !step.waiting.is_empty());
        let Some(next) = wanting.min_by_key(|step| (step.busy, step.served_at)) else { break };
        let Some(slice) = next.waiting.pop_front() else { break };
        let Ok(ready) = slice.record.activate(now) else { continue };
        match ledger.commit(&[Change::replace(&slice, &ready)]).await {
            Ok(()) => activated.push(ready.work()),
            // Another run has dispatched it.
            Err(LedgerError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        next.busy += 1;
        next.served_at = Some(now);
    }
    Ok(activated)
}

impl RestoreWork {
    pub(super) async fn dispatch(&self, restore: &RestoreRef) -> Result<(), StepError> {
        dispatch(self.ledger(), &*self.queue, self.now(), (restore, self.places)).await
    }
}

#[cfg(test)]
mod tests;
