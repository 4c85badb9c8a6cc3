//! Gives a restore's worker places to waiting slices.

use std::time::Duration;

use domain::ports::ledger::{self, Change, Ledger, LedgerError, Versioned};
use domain::ports::queue::WorkQueue;
use domain::restore::slice::{RestoreSlice, SliceState};
use domain::restore::{Restore, RestoreState};
use domain::work::RestoreRef;
use jiff::Timestamp;

use super::RestoreWork;
use crate::listing;
use crate::run::StepError;

/// Slices of a restore that are worked on at the same time. One run with eight calls in progress saturates an account
/// whose CRM answers within 400 ms. A second one uses the moments in which the first commits.
const WORKERS: usize = 2;

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

/// Activates and queues as many waiting slices as there are free places. Repeating it is safe.
///
/// # Errors
/// [`StepError`]. Some slices may have been activated.
pub(crate) async fn dispatch(
    ledger: &dyn Ledger,
    queue: &dyn WorkQueue,
    now: Timestamp,
    restore: &RestoreRef,
) -> Result<(), StepError> {
    let parent = ledger::load::<Restore>(ledger, &Restore::key_of(restore)).await?;
    let (waits, active) = match parent.map(|parent| parent.record.state) {
        Some(RestoreState::Planning) => (SliceState::Waiting, SliceState::Planning),
        Some(RestoreState::Applying) => (SliceState::Planned, SliceState::Applying),
        _ => return Ok(()),
    };
    // An unreadable slice does not delay the others.
    let partition = RestoreSlice::partition(&restore.restore_id);
    let slices = ledger::list_each::<RestoreSlice>(ledger, &partition, RestoreSlice::PREFIX).await?;
    let slices: Vec<Versioned<RestoreSlice>> = listing::readable(slices).collect();
    let busy = slices.iter().filter(|slice| slice.record.state == active).count();
    let waiting = slices.iter().filter(|slice| slice.record.state == waits);
    let mut activated = Vec::new();
    for slice in waiting {
        if busy + activated.len() >= WORKERS {
            break;
        }
        let Ok(ready) = slice.record.activate(now) else { continue };
        match ledger.commit(&[Change::replace(slice, &ready)]).await {
            Ok(()) => activated.push(ready.work()),
            // Another run has dispatched it.
            Err(LedgerError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !activated.is_empty() {
        queue.send(&activated, Duration::ZERO).await?;
    }
    Ok(())
}

impl RestoreWork {
    pub(super) async fn dispatch(&self, restore: &RestoreRef) -> Result<(), StepError> {
        dispatch(self.ledger(), &*self.queue, self.now(), restore).await
    }
}
