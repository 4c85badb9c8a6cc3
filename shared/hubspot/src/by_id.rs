//! Reads records by their ids. For each requested id there are three results: its record is shown, it provably does not
//! exist, or it cannot be read although the CRM is up. [`crate::answers`] judges the answers.
//!
//! A call that keeps failing is halved, down to the one record that makes it fail. Before the first halving, and before
//! a record counts as unreadable, another call checks whether the CRM is up. At the end such a record is read once
//! more. So an outage costs few calls and makes no record look unreadable.

use std::time::Duration;

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, CrmErrorKind, PageEnd};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use jiff::Timestamp;
use serde::Serialize;

use crate::answers::{self, MissingRecords};
use crate::call::{Call, CallError};
use crate::client::HubSpot;
use crate::errors;
use crate::pending::{Ask, PendingIds};
use crate::records::{Shape, read_records};
use crate::retry::Retries;
use crate::row_order::append_new;
use crate::search::Search;
use crate::standard_objects::is_conversations;

/// The body of a batch read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchReadBody<'a> {
    inputs: Vec<Input>,
    properties: &'a [&'a str],
    properties_with_history: [&'a str; 0],
}

#[derive(Serialize)]
struct Input {
    id: String,
}

/// Which properties of an object are read, and where their values are put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection<'a> {
    pub(crate) object: &'a ObjectType,
    /// The properties in the request.
    pub(crate) properties: &'a [&'a str],
    /// The columns of the rows.
    pub(crate) columns: &'a [&'a str],
    pub(crate) shape: Shape,
}

impl<'a> Selection<'a> {
    pub(crate) fn properties(object: &'a ObjectType, properties: &'a [&'a str]) -> Self {
        Self { object, properties, columns: properties, shape: Shape::Nested }
    }
}

/// The result of reading by ids, apart from the rows.
#[derive(Debug, Default)]
pub(crate) struct ReadById {
    pub(crate) unreadable: Vec<RecordId>,
    pub(crate) mended_values: u64,
    pub(crate) response_bytes: u64,
}

impl ReadById {
    /// The end of a page whose records were also read by id.
    pub(crate) fn added_to(self, end: PageEnd) -> PageEnd {
        PageEnd {
            unreadable: [end.unreadable, self.unreadable].concat(),
            mended_values: end.mended_values + self.mended_values,
            response_bytes: end.response_bytes + self.response_bytes,
            ..end
        }
    }
}

/// Whether smaller calls may succeed after this error. If the CRM asked for a pause, they would disturb it.
pub(crate) fn may_succeed_in_parts(error: &CrmError) -> bool {
    match error.kind {
        CrmErrorKind::Unavailable { retry_after } => retry_after.is_zero(),
        CrmErrorKind::Malformed => true,
        _ => false,
    }
}

impl HubSpot {
    /// Reads the records with these ids into `rows`, which is cleared first. `rows` lacks the records that do not exist
    /// and those that cannot be read. The latter are returned.
    pub(crate) async fn read_by_id(
        &self,
        wanted: Selection<'_>,
        ids: &[RecordId],
        rows: &mut RowBuffer,
    ) -> Result<ReadById, CrmError> {
        let found = self.read_ids(wanted, ids, rows, false).await?;
        // A read that may not stop does not.
        Ok(found.unwrap_or_default())
    }

    /// The same, for a page that can also be shorter. None, and nothing of use in `rows`, if an answer is too large for
    /// the memory of all pages that are read at the same time; a page of [`HubSpot::fitting`] records may not be.
    pub(crate) async fn read_page(
        &self,
        wanted: Selection<'_>,
        ids: &[RecordId],
        rows: &mut RowBuffer,
    ) -> Result<Option<ReadById>, CrmError> {
        self.read_ids(wanted, ids, rows, true).await
    }

    async fn read_ids(
        &self,
        wanted: Selection<'_>,
        ids: &[RecordId],
        rows: &mut RowBuffer,
        may_stop: bool,
    ) -> Result<Option<ReadById>, CrmError> {
        rows.clear();
        let batch = self.habits.of(self.account, wanted.object, |habit| habit.batch(self.clock.now()));
        let (mut pending, mut retries, mut found) =
            (PendingIds::new(ids, batch), Retries::default(), ReadById::default());
        while let Some(ask) = pending.next() {
            let call = self.batch_read(wanted.object, &ask.ids, wanted.properties).of_records(ask.ids.len());
            match self.answer_to(&call, wanted, &ask, rows, &mut found).await {
                Ok(missing) => {
                    let failed = pending.answered(&ask, missing);
                    if failed.is_empty() {
                        continue;
                    }
                    match self.back_off(&call, &mut retries).await {
                        Ok(()) => pending.again(&failed),
                        Err(error) => pending.read_one_by_one(&ask, &failed, !rows.is_empty(), error)?,
                    }
                }
                Err(CallError::Refused(refusal)) => match refusal.absent() {
                    Some(named) => pending.refused(ask, named),
                    None => return Err(refusal.into_error(&call.about, &call.scope)),
                },
                Err(CallError::TooLarge(_)) if may_stop && ask.ids.len() > 1 && self.has_time() => {
                    self.note_too_large(wanted.object, ask.ids.len());
                    return Ok(None);
                }
                Err(CallError::GaveUp(error) | CallError::TooLarge(error))
                    if may_succeed_in_parts(&error) && self.has_time() =>
                {
                    let witness = rows.ids().first().or(ask.ids.first()).copied().unwrap_or_default();
                    if ask.needs_proof() && !self.is_up(wanted.object, witness).await {
                        return Err(error);
                    }
                    pending.failed(&ask, !rows.is_empty(), error)?;
                }
                Err(CallError::GaveUp(error) | CallError::TooLarge(error)) => return Err(error),
            }
        }
        if let Some(size) = pending.smallest_failed.filter(|_| pending.unreadable.is_empty()) {
            self.habits.of(self.account, wanted.object, |habit| habit.smaller_batches(size / 2, self.clock.now()));
        }
        found.unreadable = pending.unreadable;
        Ok(Some(found))
    }

    /// See [`Crm::existing`](domain::ports::crm::Crm::existing).
    pub(crate) async fn existing_of(
        &self,
        object: &ObjectType,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Timestamp)>, CrmError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        check_takes_ids(object)?;
        // The time of its creation is a member of the record, and not one of its properties.
        let columns = &["createdAt"];
        let wanted = Selection { object, properties: &[RECORD_ID_COLUMN], columns, shape: Shape::Flat };
        let mut rows = RowBuffer::new(columns.len());
        let found = self.read_by_id(wanted, ids, &mut rows).await?;
        let about = format!("{object} by their ids");
        if !found.unreadable.is_empty() {
            return Err(errors::unavailable(&about, "it fails for single records", 1, Duration::ZERO));
        }
        let asked = rows.ids().iter().enumerate().filter(|(_, id)| ids.contains(id));
        let created = asked.map(|(row, id)| Some((*id, rows.value(row, 0).parse().ok()?)));
        created.collect::<Option<_>>().ok_or_else(|| errors::malformed(&about, 1))
    }

    /// Sends one call and adds the records in its answer to `rows`, each once.
    async fn answer_to(
        &self,
        call: &Call,
        wanted: Selection<'_>,
        ask: &Ask,
        rows: &mut RowBuffer,
        found: &mut ReadById,
    ) -> Result<MissingRecords, CallError> {
        let mut later = RowBuffer::new(wanted.columns.len());
        let first = rows.is_empty();
        let part = if first { &mut *rows } else { &mut later };
        let answer = self
            .try_fetch(call, Retries::of_attempts(ask.sendings), |answer| {
                let page = read_records(&answer.body, wanted.shape, wanted.columns, part)?;
                self.note_size(wanted.object, part.len(), answer);
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
        let missing = answers::missing_records(&page, &ask.ids, part.ids());
        if !first {
            append_new(rows, &later);
        }
        Ok(missing)
    }

    /// Whether the CRM is up: it answers a read of the record `witness`, or a search.
    async fn is_up(&self, object: &ObjectType, witness: RecordId) -> bool {
        let batch = self.batch_read(object, &[witness], &[RECORD_ID_COLUMN]);
        let search = self.endpoints.search(object, Search::above(RecordId(0), 1).body());
        for call in [batch, search] {
            let mut rows = RowBuffer::new(0);
            let answer = self
                .try_fetch(&call, Retries::of_attempts(1), |answer| {
                    answers::check_complete(read_records(&answer.body, Shape::Nested, &[], &mut rows)?)
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

    fn batch_read(&self, object: &ObjectType, ids: &[RecordId], properties: &[&str]) -> Call {
        // Without properties in the request, HubSpot chooses some itself.
        let properties = if properties.is_empty() { &[RECORD_ID_COLUMN] } else { properties };
        let inputs = ids.iter().map(|id| Input { id: id.to_string() }).collect();
        let body = BatchReadBody { inputs, properties, properties_with_history: [] };
        let body = serde_json::to_vec(&body).expect("a batch read is plain data");
        self.endpoints.batch_read(object, Bytes::from(body))
    }
}

/// Conversations have no endpoint that takes ids.
///
/// # Errors
/// [`CrmErrorKind::Refused`] for conversations.
pub(crate) fn check_takes_ids(object: &ObjectType) -> Result<(), CrmError> {
    if is_conversations(object) {
        let sentence = "HubSpot cannot look up conversations by id.".to_owned();
        return Err(CrmError::new(CrmErrorKind::Refused, sentence));
    }
    Ok(())
}
