//! Which ids of a reading are still to be asked for, and what became of the others. Pure, so that it can be tested without
//! a server; what is sent and how it is understood is in [`crate::by_id`].

use std::collections::VecDeque;

use domain::ids::RecordId;
use domain::ports::crm::CrmError;

use crate::answers::MissingRecords;

/// Sendings of a call before it is halved.
const FIRST_SENDINGS: u32 = 3;
/// Sendings of a half.
const HALF_SENDINGS: u32 = 1;
/// Sendings of a call for one record, before the record counts as unreadable.
const LAST_SENDINGS: u32 = 2;
/// Records of one reading that may be unreadable. With more, something else must be wrong.
const MOST_UNREADABLE: usize = 10;
/// So many records may be unreadable while none has been read at all.
const MOST_WITHOUT_ANY: usize = 3;
/// Calls of one reading that may fail.
const MOST_FAILED_CALLS: u32 = 40;

/// Ids that are asked for together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) ids: Vec<RecordId>,
    pub(crate) sendings: u32,
    /// An answer has said nothing of them before: if this one does not either, they do not exist.
    once_more: bool,
    /// It could not be read before: if it cannot now either, it is unreadable.
    last_look: bool,
}

impl Ask {
    fn of(ids: &[RecordId], sendings: u32) -> Self {
        Self { ids: ids.to_vec(), sendings, once_more: false, last_look: false }
    }

    /// Whether a failure may be the CRM's and not that of a record, so that another call must show that it is up.
    pub(crate) fn needs_proof(&self) -> bool {
        self.ids.len() == 1 || self.sendings == FIRST_SENDINGS
    }
}

/// A reading under way.
#[derive(Debug, Default)]
pub(crate) struct PendingIds {
    asks: VecDeque<Ask>,
    /// Ids of which an answer said nothing.
    unmentioned: Vec<RecordId>,
    /// Records that could not be read, and are to be asked for once more.
    suspects: Vec<RecordId>,
    pub(crate) unreadable: Vec<RecordId>,
    failed_calls: u32,
    /// The size of the smallest call for several records that failed as a whole.
    pub(crate) smallest_failed: Option<usize>,
}

impl PendingIds {
    pub(crate) fn new(ids: &[RecordId], batch: usize) -> Self {
        let asks = ids.chunks(batch.max(1)).map(|ids| Ask::of(ids, FIRST_SENDINGS));
        Self { asks: asks.collect(), ..Self::default() }
    }

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

    /// An answer to `ask` has come. Returns the ids that the CRM failed for.
    pub(crate) fn answered(&mut self, ask: &Ask, missing: MissingRecords) -> Vec<RecordId> {
        if !ask.once_more {
            self.unmentioned.extend(missing.unmentioned);
        }
        missing.failed
    }

    /// Asks for ids again that an answer has failed for.
    pub(crate) fn again(&mut self, ids: &[RecordId]) {
        self.asks.push_front(Ask::of(ids, FIRST_SENDINGS));
    }

    /// The whole call was refused because some of its records do not exist. Those that are `named` are asked for once
    /// more, as a single 404 is not yet the truth; where none is, half of them are asked for.
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

    /// The call for `ask` has failed as often as it was sent, while the CRM is up.
    ///
    /// # Errors
    /// `error`, when it is not single records that make calls fail. `any_read` tells whether a record was read.
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

    /// The CRM keeps failing for these, in answers that show others.
    pub(crate) fn apart(
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

    /// One record cannot be halved: it does not exist, if that was the second look.
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

    /// Calls of a reading of 100 records of which every call with one of `broken` fails, and what it found.
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

    /// B5: the one record that makes its page fail is found, with few calls.
    #[test]
    fn a_record_that_cannot_be_read_is_found_by_halves() {
        for broken in [0, 50, 99] {
            let (calls, found) = read(&[broken]);
            assert_eq!(found.expect("found"), [broken]);
            assert!(calls <= 24, "{calls}");
        }
        assert_eq!(read(&[7, 8, 60]).1.expect("found"), [7, 8, 60]);
    }

    /// B5: where all calls fail, no record is at fault.
    #[test]
    fn when_every_record_fails_none_is_told_as_unreadable() {
        let (calls, found) = read(&(0..100).collect::<Vec<_>>());
        assert!(found.is_err() && calls <= 30, "{calls}");
        assert!(read(&(0..50).collect::<Vec<_>>()).1.is_err());
    }

    /// B5: what could be read in the end was not unreadable.
    #[test]
    fn a_record_is_asked_for_once_more_at_the_end() {
        let mut pending = PendingIds::new(&ids(0..1), 100);
        let ask = pending.next().expect("an ask");
        pending.failed(&ask, false, error()).expect("one may fail");
        let ask = pending.next().expect("a last look");
        assert_eq!((&ask.ids, ask.last_look), (&ids(0..1), true));
        pending.answered(&ask, MissingRecords::default());
        assert!(pending.next().is_none() && pending.unreadable.is_empty());
    }

    /// A1: an id of which nothing is said is asked for once more, together with all others, and no more.
    #[test]
    fn silent_ids_are_asked_for_once_more() {
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

    /// B1: a refusal that names no record is narrowed down by halves.
    #[test]
    fn a_refusal_about_records_leaves_out_the_named_ones_or_halves() {
        let mut pending = PendingIds::new(&ids(0..4), 100);
        let ask = pending.next().expect("an ask");
        pending.refused(ask, &ids(1..3));
        let ask = pending.next().expect("the others");
        assert_eq!(ask.ids, [0, 3].map(RecordId));
        pending.refused(ask, &[]);
        let halves = [pending.next().expect("a half").ids, pending.next().expect("a half").ids];
        assert_eq!(halves, [ids(0..1), ids(3..4)]);
        pending.refused(Ask::of(&ids(0..1), 1), &[]);
        let again = pending.next().expect("a second look at those that were named, and at the one that was alone");
        assert_eq!(again.ids, [1, 2, 0].map(RecordId));
        pending.refused(again, &ids(0..3));
        assert_eq!(pending.next(), None, "they do not exist");
    }
}
