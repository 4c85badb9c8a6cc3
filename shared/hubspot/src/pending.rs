//! The ids that are still to be read, and the order of the calls for them. It sends nothing, so tests need no server;
//! [`crate::by_id`] sends the calls and reads the answers.

use std::collections::VecDeque;

use domain::ids::RecordId;
use domain::ports::crm::CrmError;

use crate::answers::MissingRecords;

/// The most requests for a call before it is halved.
const FIRST_SENDINGS: u32 = 3;
/// The most requests for a half.
const HALF_SENDINGS: u32 = 1;
/// The most requests for one record before it counts as unreadable.
const LAST_SENDINGS: u32 = 2;
/// The most records that may be unreadable. With more, the CRM must have another problem.
const MOST_UNREADABLE: usize = 10;
/// The most records that may be unreadable before any record was read.
const MOST_WITHOUT_ANY: usize = 3;
/// The most calls that may fail.
const MOST_FAILED_CALLS: u32 = 40;

/// The ids of one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) ids: Vec<RecordId>,
    pub(crate) sendings: u32,
    /// An answer did not mention these ids. If the next one does not either, the records do not exist.
    once_more: bool,
    /// The record could not be read. If this fails again, it is unreadable.
    last_look: bool,
}

impl Ask {
    fn of(ids: &[RecordId], sendings: u32) -> Self {
        Self { ids: ids.to_vec(), sendings, once_more: false, last_look: false }
    }

    /// Whether a failure may be an outage, so that another call must show that the CRM is up.
    pub(crate) fn needs_proof(&self) -> bool {
        self.ids.len() == 1 || self.sendings == FIRST_SENDINGS
    }
}

/// The state of reading records by their ids.
#[derive(Debug, Default)]
pub(crate) struct PendingIds {
    asks: VecDeque<Ask>,
    /// Ids that an answer did not mention.
    unmentioned: Vec<RecordId>,
    /// Records that could not be read and will be read once more.
    suspects: Vec<RecordId>,
    pub(crate) unreadable: Vec<RecordId>,
    failed_calls: u32,
    /// The number of records in the smallest call for several records that failed.
    pub(crate) smallest_failed: Option<usize>,
}

impl PendingIds {
    pub(crate) fn new(ids: &[RecordId], batch: usize) -> Self {
        let asks = ids.chunks(batch.max(1)).map(|ids| Ask::of(ids, FIRST_SENDINGS));
        Self { asks: asks.collect(), ..Self::default() }
    }

    /// The next call, or `None` if every id has a result.
    pub(crate) fn next(&mut self) -> Option<Ask> {
        if self.asks.is_empty() {
            let unmentioned = std::mem::take(&mut self.unmentioned);
            if unmentioned.is_empty() {
                let alone = |id: RecordId| Ask { last_look: true, ..Ask::of(&[id], HALF_SENDINGS) };
                self.asks.extend(std::mem::take(&mut self.suspects).into_iter().map(alone));
            } else {
                self.asks.push_back(Ask { once_more: true, ..Ask::of(&unmentioned, FIRST_SENDINGS) });
            }
        }
        self.asks.pop_front()
    }

    /// Notes an answer to `ask`. Returns the ids that the CRM failed for.
    pub(crate) fn answered(&mut self, ask: &Ask, missing: MissingRecords) -> Vec<RecordId> {
        if !ask.once_more {
            self.unmentioned.extend(missing.unmentioned);
        }
        missing.failed
    }

    /// Reads ids again that an answer failed for.
    pub(crate) fn again(&mut self, ids: &[RecordId]) {
        self.asks.push_front(Ask::of(ids, FIRST_SENDINGS));
    }

    /// Notes that the whole call was refused because some of its records do not exist. The `named` records are read
    /// once more, since one 404 is not proof enough. If no record is named, the call is halved.
    pub(crate) fn refused(&mut self, ask: Ask, named: &[RecordId]) {
        let (absent, others): (Vec<_>, Vec<_>) = ask.ids.into_iter().partition(|id| named.contains(id));
        if absent.is_empty() {
            self.halve(&others, ask.sendings, ask.once_more);
            return;
        }
        if !ask.once_more {
            self.unmentioned.extend(absent);
        }
        if !others.is_empty() {
            self.asks.push_front(Ask { ids: others, ..ask });
        }
    }

    /// Notes that all requests for `ask` failed while the CRM is up. `any_read` is whether any record was read so far.
    ///
    /// # Errors
    /// `error`, if so many calls failed that single records cannot be the cause.
    pub(crate) fn failed(&mut self, ask: &Ask, any_read: bool, error: CrmError) -> Result<(), CrmError> {
        self.failed_calls += 1;
        if self.failed_calls > MOST_FAILED_CALLS {
            return Err(error);
        }
        match ask.ids.as_slice() {
            [one] => self.give_up(*one, ask.last_look, any_read, error),
            several => {
                let smallest = self.smallest_failed.map_or(several.len(), |size| size.min(several.len()));
                self.smallest_failed = Some(smallest);
                self.halve(several, HALF_SENDINGS, ask.once_more);
                Ok(())
            }
        }
    }

    fn give_up(&mut self, id: RecordId, last_look: bool, any_read: bool, error: CrmError) -> Result<(), CrmError> {
        if last_look {
            self.unreadable.push(id);
            return Ok(());
        }
        self.suspects.push(id);
        let most = if any_read { MOST_UNREADABLE } else { MOST_WITHOUT_ANY };
        if self.suspects.len() > most { Err(error) } else { Ok(()) }
    }

    /// Notes that answers to `ask` show other records, but keep reporting a failure for `ids`. They are read one by
    /// one.
    ///
    /// # Errors
    /// `error`, if these are too many, or no record was read so far.
    pub(crate) fn read_one_by_one(
        &mut self,
        ask: &Ask,
        ids: &[RecordId],
        any_read: bool,
        error: CrmError,
    ) -> Result<(), CrmError> {
        match ids {
            [one] if ask.ids.len() == 1 => self.give_up(*one, ask.last_look, any_read, error),
            _ if !any_read || ids.len() > MOST_UNREADABLE => Err(error),
            several => {
                for id in several.iter().rev() {
                    self.asks.push_front(Ask::of(&[*id], LAST_SENDINGS));
                }
                Ok(())
            }
        }
    }

    /// One record cannot be halved. It is read once more, and after that it does not exist.
    fn halve(&mut self, ids: &[RecordId], sendings: u32, once_more: bool) {
        if ids.len() < 2 {
            if !once_more {
                self.unmentioned.extend(ids);
            }
            return;
        }
        let (first, second) = ids.split_at(ids.len() / 2);
        for half in [second, first] {
            let sendings = if half.len() == 1 { sendings.max(LAST_SENDINGS) } else { sendings };
            self.asks.push_front(Ask { once_more, ..Ask::of(half, sendings) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors;

    fn ids(range: std::ops::Range<u64>) -> Vec<RecordId> {
        range.map(RecordId).collect()
    }

    fn error() -> CrmError {
        errors::malformed("x", 1)
    }

    /// Reads 100 records from a CRM that fails for every call with one of `broken`. Returns the number of calls and the
    /// unreadable records.
    fn read(broken: &[u64]) -> (usize, Result<Vec<u64>, CrmError>) {
        let (mut pending, mut calls, mut any_read) = (PendingIds::new(&ids(0..100), 100), 0, false);
        while let Some(ask) = pending.next() {
            if ask.ids.iter().any(|id| broken.contains(&id.0)) {
                calls += ask.sendings as usize + usize::from(ask.needs_proof());
                if let Err(error) = pending.failed(&ask, any_read, error()) {
                    return (calls, Err(error));
                }
            } else {
                calls += 1;
                any_read = true;
                assert!(pending.answered(&ask, MissingRecords::default()).is_empty());
            }
        }
        (calls, Ok(pending.unreadable.iter().map(|id| id.0).collect()))
    }

    /// B5: few calls find the one record that makes its page fail.
    #[test]
    fn halving_finds_the_record_that_cannot_be_read() {
        for broken in [0, 50, 99] {
            let (calls, found) = read(&[broken]);
            assert_eq!(found.expect("found"), [broken]);
            assert!(calls <= 24, "{calls}");
        }
        assert_eq!(read(&[7, 8, 60]).1.expect("found"), [7, 8, 60]);
    }

    /// B5: if all calls fail, no record is the cause.
    #[test]
    fn if_every_record_fails_none_counts_as_unreadable() {
        let (calls, found) = read(&(0..100).collect::<Vec<_>>());
        assert!(found.is_err() && calls <= 30, "{calls}");
        assert!(read(&(0..50).collect::<Vec<_>>()).1.is_err());
    }

    /// B5: a record that can be read in the end is not unreadable.
    #[test]
    fn an_unreadable_record_is_read_once_more_at_the_end() {
        let mut pending = PendingIds::new(&ids(0..1), 100);
        let ask = pending.next().expect("an ask");
        pending.failed(&ask, false, error()).expect("one may fail");
        let ask = pending.next().expect("a last look");
        assert_eq!((&ask.ids, ask.last_look), (&ids(0..1), true));
        pending.answered(&ask, MissingRecords::default());
        assert!(pending.next().is_none() && pending.unreadable.is_empty());
    }

    /// A1: all ids that answers did not mention are read once more, together.
    #[test]
    fn unmentioned_ids_are_read_once_more() {
        let mut pending = PendingIds::new(&ids(0..6), 3);
        let unmentioned = |ids: Vec<RecordId>| MissingRecords { unmentioned: ids, ..MissingRecords::default() };
        for range in [0..1, 3..5] {
            let ask = pending.next().expect("an ask");
            pending.answered(&ask, unmentioned(ids(range)));
        }
        let ask = pending.next().expect("once more");
        assert_eq!((&ask.ids, ask.once_more), (&[0, 3, 4].map(RecordId).to_vec(), true));
        pending.answered(&ask, unmentioned(ids(3..4)));
        assert_eq!(pending.next(), None);
    }

    /// B1: after a refusal about records the others are read; if it names none, the call is halved.
    #[test]
    fn a_refusal_about_records_removes_the_named_ones_or_halves_the_call() {
        let mut pending = PendingIds::new(&ids(0..4), 100);
        let ask = pending.next().expect("an ask");
        pending.refused(ask, &ids(1..3));
        let ask = pending.next().expect("the others");
        assert_eq!(ask.ids, [0, 3].map(RecordId));
        pending.refused(ask, &[]);
        let halves = [pending.next().expect("a half").ids, pending.next().expect("a half").ids];
        assert_eq!(halves, [ids(0..1), ids(3..4)]);
        pending.refused(Ask::of(&ids(0..1), 1), &[]);
        let again = pending.next().expect("a second look at the named records and at the single one");
        assert_eq!(again.ids, [1, 2, 0].map(RecordId));
        pending.refused(again, &ids(0..3));
        assert_eq!(pending.next(), None, "they do not exist");
    }
}
