//! Updates that were not sent yet, and how they are put into calls.

use std::collections::HashMap;

use domain::ids::RecordId;
use domain::restore::difference::Difference;
use jiff::Timestamp;

/// The values of a record to send.
#[derive(Clone)]
pub(in crate::restore::apply) struct PendingUpdate {
    pub(in crate::restore::apply) id: RecordId,
    pub(in crate::restore::apply) values: Vec<Difference>,
    /// When the CRM's values were last read.
    pub(in crate::restore::apply) seen_at: Timestamp,
}

/// Distributes the updates over calls, so that no call has two updates of one record.
pub(super) fn apart(updates: Vec<PendingUpdate>) -> Vec<Vec<PendingUpdate>> {
    let mut calls: Vec<Vec<PendingUpdate>> = vec![Vec::new()];
    for update in updates {
        let is_free = |call: &&mut Vec<PendingUpdate>| call.iter().all(|other| other.id != update.id);
        match calls.iter_mut().find(is_free) {
            Some(call) => call.push(update),
            None => calls.push(vec![update]),
        }
    }
    calls
}

/// Merges the updates into one for each record.
pub(super) fn by_record(updates: Vec<PendingUpdate>) -> Vec<PendingUpdate> {
    let mut joined: Vec<PendingUpdate> = Vec::with_capacity(updates.len());
    let mut place_of = HashMap::new();
    for update in updates {
        let place = *place_of.entry(update.id).or_insert(joined.len());
        match joined.get_mut(place) {
            Some(known) => {
                known.seen_at = known.seen_at.min(update.seen_at);
                known.values.extend(update.values);
            }
            None => joined.push(update),
        }
    }
    joined
}
