//! Records read by their ids. Each id that is asked for ends in one of three ways: its record is shown, or provably does
//! not exist, or cannot be read although the CRM is up. What an answer says of them is judged in [`crate::answers`].
//!
//! A call that keeps failing is halved, down to the one record that makes it fail. Before that, and before a record
//! counts as unreadable, another call shows whether the CRM is up at all; and at the end such a record is asked for once
//! more. So an outage costs few calls, and makes no record look unreadable.

use std::collections::VecDeque;

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use serde::Serialize;

use crate::answers::{self, Untold};
use crate::call::{Call, CallError};
use crate::connector::HubSpot;
use crate::counts::Search;
use crate::records::{Shape, read_records};
use crate::retry::Retries;

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

/// The body of a batch/read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchRead<'a> {
    inputs: Vec<Input>,
    properties: &'a [&'a str],
    properties_with_history: [&'a str; 0],
}

#[derive(Serialize)]
struct Input {
    id: String,
}

/// What is read of each record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) object: &'a ObjectType,
    /// What the CRM is asked for.
    pub(crate) properties: &'a [&'a str],
    /// What the rows have, in this order.
    pub(crate) columns: &'a [&'a str],
    pub(crate) shape: Shape,
}

impl<'a> Wanted<'a> {
    pub(crate) fn properties(object: &'a ObjectType, properties: &'a [&'a str]) -> Self {
        Self { object, properties, columns: properties, shape: Shape::Nested }
    }
}

/// What reading by ids found beside the rows.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Records that cannot be read.
    pub(crate) unreadable: Vec<RecordId>,
    pub(crate) mended_values: u64,
    pub(crate) response_bytes: u64,
}

/// Ids that are asked for together.
#[derive(Debug, PartialEq, Eq)]
struct Ask {
    ids: Vec<RecordId>,
    sendings: u32,
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
    fn needs_proof(&self) -> bool {
        self.ids.len() == 1 || self.sendings == FIRST_SENDINGS
    }
}

/// Which ids are still to be asked for, and what became of the others. Pure, so that it can be tested without a server.
#[derive(Debug, Default)]
struct Reading {
    asks: VecDeque<Ask>,
    /// Ids of which an answer said nothing.
    silent: Vec<RecordId>,
    /// Records that could not be read, and are to be asked for once more.
    suspects: Vec<RecordId>,
    unreadable: Vec<RecordId>,
    failed_calls: u32,
    /// The size of the smallest call that failed as a whole.
    smallest_failed: Option<usize>,
}

impl Reading {
    fn of(ids: &[RecordId], batch: usize) -> Self {
        let asks = ids.chunks(batch.max(1)).map(|ids| Ask::of(ids, FIRST_SENDINGS));
        Self { asks: asks.collect(), ..Self::default() }
    }

    fn next(&mut self) -> Option<Ask> {
        if self.asks.is_empty() {
            let silent = std::mem::take(&mut self.silent);
            if silent.is_empty() {
                let alone = |id: RecordId| Ask { last_look: true, ..Ask::of(&[id], HALF_SENDINGS) };
                self.asks.extend(std::mem::take(&mut self.suspects).into_iter().map(alone));
            } else {
                self.asks.push_back(Ask { once_more: true, ..Ask::of(&silent, FIRST_SENDINGS) });
            }
        }
        self.asks.pop_front()
    }

    /// An answer to `ask` has come. Returns the ids that the CRM failed for.
    fn answered(&mut self, ask: &Ask, untold: Untold) -> Vec<RecordId> {
        if !ask.once_more {
            self.silent.extend(untold.silent);
        }
        untold.failed
    }

    /// Asks for ids again that an answer has failed for.
    fn again(&mut self, ids: &[RecordId]) {
        self.asks.push_front(Ask::of(ids, FIRST_SENDINGS));
    }

    /// Of the ids of `ask`, those that are `named` do not exist; where none of them is, half of them are asked for.
    fn refused(&mut self, ask: Ask, named: &[RecordId]) {
        let (absent, others): (Vec<_>, Vec<_>) = ask.ids.into_iter().partition(|id| named.contains(id));
        if absent.is_empty() {
            self.halve(&others, ask.sendings, ask.once_more);
        } else if !others.is_empty() {
            self.asks.push_front(Ask { ids: others, ..ask });
        }
    }

    /// The call for `ask` has failed as often as it was sent, while the CRM is up.
    ///
    /// # Errors
    /// `error`, when it is not single records that make calls fail. `any_read` tells whether a record was read.
    fn failed(&mut self, ask: &Ask, any_read: bool, error: CrmError) -> Result<(), CrmError> {
        self.failed_calls += 1;
        if self.failed_calls > MOST_FAILED_CALLS {
            return Err(error);
        }
        let smallest = self.smallest_failed.map_or(ask.ids.len(), |size| size.min(ask.ids.len()));
        self.smallest_failed = Some(smallest);
        match ask.ids.as_slice() {
            [one] => self.give_up(*one, ask.last_look, any_read, error),
            several => {
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
    fn apart(&mut self, ask: &Ask, ids: &[RecordId], any_read: bool, error: CrmError) -> Result<(), CrmError> {
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

    /// One record is not halved: it does not exist.
    fn halve(&mut self, ids: &[RecordId], sendings: u32, once_more: bool) {
        if ids.len() < 2 {
            return;
        }
        let (first, second) = ids.split_at(ids.len() / 2);
        for half in [second, first] {
            let sendings = if half.len() == 1 { sendings.max(LAST_SENDINGS) } else { sendings };
            self.asks.push_front(Ask { once_more, ..Ask::of(half, sendings) });
        }
    }
}

/// Whether an error is about this call, so that a smaller one may succeed. A CRM that names a pause is to be left alone.
pub(crate) fn may_be_the_size(error: &CrmError) -> bool {
    match error.kind {
        CrmErrorKind::Unavailable { retry_after } => retry_after.is_zero(),
        CrmErrorKind::Malformed => true,
        _ => false,
    }
}

impl HubSpot {
    /// Reads the records with these ids into `rows`, which is cleared first. Records that do not exist are left out, and
    /// so are those that cannot be read, which are returned.
    pub(crate) async fn read_by_id(
        &self,
        wanted: Wanted<'_>,
        ids: &[RecordId],
        rows: &mut RowBuffer,
    ) -> Result<Found, CrmError> {
        rows.clear();
        let batch = self.habits.of(self.account, wanted.object, |habit| habit.batch(self.clock.now()));
        let (mut reading, mut retries, mut found) = (Reading::of(ids, batch), Retries::default(), Found::default());
        while let Some(ask) = reading.next() {
            let call = self.batch_read(wanted.object, &ask.ids, wanted.properties);
            match self.answer_to(&call, wanted, &ask, rows, &mut found).await {
                Ok(untold) => {
                    let failed = reading.answered(&ask, untold);
                    if failed.is_empty() {
                        continue;
                    }
                    match self.back_off(&call, &mut retries).await {
                        Ok(()) => reading.again(&failed),
                        Err(error) => reading.apart(&ask, &failed, !rows.is_empty(), error)?,
                    }
                }
                Err(CallError::Refused(refusal)) => match refusal.absent() {
                    Some(named) => reading.refused(ask, named),
                    None => return Err(refusal.into_error(&call.about, &call.scope)),
                },
                Err(CallError::GaveUp(error)) if may_be_the_size(&error) && self.has_time() => {
                    let witness = rows.ids().first().or(ask.ids.first()).copied().unwrap_or_default();
                    if ask.needs_proof() && !self.is_up(wanted.object, witness).await {
                        return Err(error);
                    }
                    reading.failed(&ask, !rows.is_empty(), error)?;
                }
                Err(CallError::GaveUp(error)) => return Err(error),
            }
        }
        if let Some(size) = reading.smallest_failed.filter(|_| reading.unreadable.is_empty()) {
            self.habits.of(self.account, wanted.object, |habit| habit.smaller_batches(size / 2, self.clock.now()));
        }
        found.unreadable = reading.unreadable;
        Ok(found)
    }

    /// Sends one call and adds the records that it shows to `rows`, each once.
    async fn answer_to(
        &self,
        call: &Call,
        wanted: Wanted<'_>,
        ask: &Ask,
        rows: &mut RowBuffer,
        found: &mut Found,
    ) -> Result<Untold, CallError> {
        let mut later = RowBuffer::new(wanted.columns.len());
        let first = rows.is_empty();
        let part = if first { &mut *rows } else { &mut later };
        let answer = self
            .try_fetch(call, Retries::of_attempts(ask.sendings), |answer| {
                let page = read_records(&answer.body, wanted.shape, wanted.columns, part)?;
                Ok((page, answer.wire_bytes))
            })
            .await;
        let (page, bytes) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if first {
                    rows.clear();
                }
                return Err(error);
            }
        };
        found.response_bytes += bytes;
        found.mended_values += page.mended_values;
        let untold = answers::untold(&page, &ask.ids, part.ids());
        if !first {
            append_new(rows, &later);
        }
        Ok(untold)
    }

    /// Whether the CRM answers at all: for the id of a record that was read, if there is one, or else to a search.
    async fn is_up(&self, object: &ObjectType, witness: RecordId) -> bool {
        let batch = self.batch_read(object, &[witness], &[RECORD_ID_COLUMN]);
        let search = self.endpoints.search(object, Search::above(RecordId(0), 1).body());
        for call in [batch, search] {
            let mut rows = RowBuffer::new(0);
            let answer = self
                .try_fetch(&call, Retries::of_attempts(1), |answer| {
                    answers::whole(read_records(&answer.body, Shape::Nested, &[], &mut rows)?)
                })
                .await;
            match answer {
                Ok(_) => return true,
                Err(CallError::Refused(refusal)) if refusal.absent().is_some() => return true,
                Err(_) => {}
            }
        }
        false
    }

    /// Whether a call that fails now has failed by itself, and not because the time is over.
    pub(crate) fn has_time(&self) -> bool {
        self.time_left() > self.patience.answer
    }

    fn batch_read(&self, object: &ObjectType, ids: &[RecordId], properties: &[&str]) -> Call {
        // Asked for no property at all HubSpot answers with a choice of its own.
        let properties = if properties.is_empty() { &[RECORD_ID_COLUMN] } else { properties };
        let inputs = ids.iter().map(|id| Input { id: id.to_string() }).collect();
        let body = BatchRead { inputs, properties, properties_with_history: [] };
        let body = serde_json::to_vec(&body).expect("a batch read is plain data");
        self.endpoints.batch_read(object, Bytes::from(body))
    }
}

/// Adds the rows of `more` whose ids `rows` does not have.
pub(crate) fn append_new(rows: &mut RowBuffer, more: &RowBuffer) {
    for (row, id) in more.ids().iter().enumerate() {
        if !rows.ids().contains(id) {
            copy_row(rows, more, row, *id);
        }
    }
}

/// Adds row `row` of `from` to `rows`, with what is and is not shown of it.
pub(crate) fn copy_row(rows: &mut RowBuffer, from: &RowBuffer, row: usize, id: RecordId) {
    rows.begin_row(id);
    for column in (0..rows.columns()).filter(|&column| from.is_shown(row, column)) {
        rows.set(column, from.value(row, column));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal;

    fn ids(range: std::ops::Range<u64>) -> Vec<RecordId> {
        range.map(RecordId).collect()
    }

    fn error() -> CrmError {
        refusal::malformed("x", 1)
    }

    /// Calls of a reading of 100 records of which every call with one of `broken` fails, and what it found.
    fn read(broken: &[u64]) -> (usize, Result<Vec<u64>, CrmError>) {
        let (mut reading, mut calls, mut any_read) = (Reading::of(&ids(0..100), 100), 0, false);
        while let Some(ask) = reading.next() {
            if ask.ids.iter().any(|id| broken.contains(&id.0)) {
                calls += ask.sendings as usize + usize::from(ask.needs_proof());
                if let Err(error) = reading.failed(&ask, any_read, error()) {
                    return (calls, Err(error));
                }
            } else {
                calls += 1;
                any_read = true;
                assert!(reading.answered(&ask, Untold::default()).is_empty());
            }
        }
        (calls, Ok(reading.unreadable.iter().map(|id| id.0).collect()))
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
        let mut reading = Reading::of(&ids(0..1), 100);
        let ask = reading.next().expect("an ask");
        reading.failed(&ask, false, error()).expect("one may fail");
        let ask = reading.next().expect("a last look");
        assert_eq!((&ask.ids, ask.last_look), (&ids(0..1), true));
        reading.answered(&ask, Untold::default());
        assert!(reading.next().is_none() && reading.unreadable.is_empty());
    }

    /// A1: an id of which nothing is said is asked for once more, together with all others, and no more.
    #[test]
    fn silent_ids_are_asked_for_once_more() {
        let mut reading = Reading::of(&ids(0..6), 3);
        let silent = |ids: Vec<RecordId>| Untold { silent: ids, ..Untold::default() };
        for range in [0..1, 3..5] {
            let ask = reading.next().expect("an ask");
            reading.answered(&ask, silent(ids(range)));
        }
        let ask = reading.next().expect("once more");
        assert_eq!((&ask.ids, ask.once_more), (&[0, 3, 4].map(RecordId).to_vec(), true));
        reading.answered(&ask, silent(ids(3..4)));
        assert_eq!(reading.next(), None);
    }

    /// B1: a refusal that names no record is narrowed down by halves.
    #[test]
    fn a_refusal_about_records_leaves_out_the_named_ones_or_halves() {
        let mut reading = Reading::of(&ids(0..4), 100);
        let ask = reading.next().expect("an ask");
        reading.refused(ask, &ids(1..3));
        let ask = reading.next().expect("the others");
        assert_eq!(ask.ids, [0, 3].map(RecordId));
        reading.refused(ask, &[]);
        let halves = [reading.next().expect("a half").ids, reading.next().expect("a half").ids];
        assert_eq!(halves, [ids(0..1), ids(3..4)]);
        let ask = Ask::of(&ids(0..1), 1);
        reading.refused(ask, &[]);
        assert_eq!(reading.next(), None, "it does not exist");
    }
}
