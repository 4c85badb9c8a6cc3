//! Reads pages of records. If the URL has room for the properties, a list returns the values; otherwise it returns the
//! ids, and the records are read by id. A page that keeps failing is divided until the record that makes it fail is
//! found.

use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, Cursor, PageEnd, PageRequest, PageSource};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;

use crate::answers;
use crate::by_id::{ReadById, Selection, may_succeed_in_parts};
use crate::call::{Answer, Call, CallError};
use crate::client::HubSpot;
use crate::endpoints::{MAX_RECORDS, MAX_THREADS};
use crate::habits::Cursors;
use crate::query::Query;
use crate::records::{Shape, read_records};
use crate::retry::Retries;
use crate::row_order::{arrange, drop_repeated};
use crate::search::Search;
use crate::standard_objects::is_conversations;

/// The most requests for a list before its page is read in another way.
const LIST_SENDINGS: u32 = 3;

impl HubSpot {
    pub(crate) async fn records(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        if rows.columns() != request.properties.len() {
            *rows = RowBuffer::new(request.properties.len());
        }
        match request.source {
            PageSource::Search => self.searched_page(request, rows).await,
            PageSource::List if is_conversations(request.object) => self.threads(request, rows).await,
            PageSource::List => self.listed_page(request, rows).await,
        }
    }

    async fn listed_page(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        let (by_id, mut longest) = self
            .habits
            .of(self.account, request.object, |habit| (habit.reads_by_id(self.clock.now()), habit.longest_url));
        let names: usize = request.properties.iter().map(|name| name.len() + 1).sum();
        let mut limit = self.fitting(request.object, request.limit);
        while !by_id && names < longest {
            let query = list_query(request, limit, request.properties);
            let call = self.endpoints.list(request.object, query).of_records(limit.into());
            if self.server.url(&call).as_str().len() > longest {
                break;
            }
            let retries = Retries::of_attempts(LIST_SENDINGS);
            match self.list(request.object, &call, retries, Shape::Nested, request.properties, rows).await {
                Ok(end) => {
                    self.habits.of(self.account, request.object, |habit| {
                        habit.list_worked();
                        habit.cursors = cursors_of(&end).unwrap_or(habit.cursors);
                    });
                    return self.completed(request, rows, end).await;
                }
                Err(CallError::Refused(refusal)) if refusal.is_about_length() => {
                    longest = self.habits.of(self.account, request.object, |habit| {
                        habit.url_too_long(longest);
                        habit.longest_url
                    });
                }
                Err(CallError::TooLarge(_)) if limit > 1 && self.has_time() => {
                    self.note_too_large(request.object, limit.into());
                    limit = self.fitting(request.object, limit);
                }
                Err(CallError::GaveUp(error) | CallError::TooLarge(error))
                    if may_succeed_in_parts(&error) && self.has_time() =>
                {
                    let end = self.page_by_id(request, rows, 1).await?;
                    self.habits.of(self.account, request.object, |habit| habit.list_failed(self.clock.now()));
                    return Ok(end);
                }
                Err(error) => return Err(error.into_error(&call)),
            }
        }
        self.page_by_id(request, rows, LIST_SENDINGS).await
    }

    /// The most records, up to `limit`, whose values fit into one answer.
    pub(crate) fn fitting(&self, object: &ObjectType, limit: u16) -> u16 {
        self.habits.of(self.account, object, |habit| habit.fitting(limit, self.clock.now()))
    }

    pub(crate) fn note_too_large(&self, object: &ObjectType, records: usize) {
        self.habits.of(self.account, object, |habit| habit.too_large(records, self.clock.now()));
    }

    /// Remembers how many records fit into an answer.
    pub(crate) fn note_size(&self, object: &ObjectType, records: usize, answer: &Answer) {
        self.habits.of(self.account, object, |habit| habit.answered(records, answer.body.len(), self.clock.now()));
    }

    pub(crate) async fn list(
        &self,
        object: &ObjectType,
        call: &Call,
        retries: Retries,
        shape: Shape,
        properties: &[&str],
        rows: &mut RowBuffer,
    ) -> Result<PageEnd, CallError> {
        let mut end = self
            .try_fetch(call, retries, |answer| {
                let page = answers::check_complete(read_records(&answer.body, shape, properties, rows)?)?;
                self.note_size(object, rows.len(), answer);
                Ok(PageEnd {
                    next: page.next,
                    mended_values: page.mended_values,
                    response_bytes: answer.wire_bytes,
                    ..PageEnd::default()
                })
            })
            .await?;
        end.last_listed = rows.ids().last().copied();
        drop_repeated(rows);
        Ok(end)
    }

    /// Reads the values that a list did not show.
    async fn completed(
        &self,
        request: &PageRequest<'_>,
        rows: &mut RowBuffer,
        end: PageEnd,
    ) -> Result<PageEnd, CrmError> {
        let mut found = ReadById::default();
        self.complete(request.object, request.properties, rows, &mut found).await?;
        Ok(found.added_to(end))
    }

    /// Lists the ids, then reads the records. The page lacks a record that was deleted in between.
    async fn page_by_id(
        &self,
        request: &PageRequest<'_>,
        rows: &mut RowBuffer,
        sendings: u32,
    ) -> Result<PageEnd, CrmError> {
        let wanted = Selection::properties(request.object, request.properties);
        let mut listed = RowBuffer::new(0);
        let (end, mut found) = loop {
            let end = self.list_ids(request, &mut listed, sendings).await?;
            match self.read_page(wanted, listed.ids(), rows).await? {
                Some(found) => break (end, found),
                None => listed.clear(),
            }
        };
        arrange(rows, listed.ids());
        self.complete(request.object, request.properties, rows, &mut found).await?;
        Ok(found.added_to(end))
    }

    /// Lists the ids of a page, or of fewer records if the CRM fails for the requested number. If it fails even for
    /// one, a search finds the id.
    async fn list_ids(
        &self,
        request: &PageRequest<'_>,
        listed: &mut RowBuffer,
        mut sendings: u32,
    ) -> Result<PageEnd, CrmError> {
        let most = self.habits.of(self.account, request.object, |habit| habit.page(request.limit, self.clock.now()));
        let mut limit = most;
        loop {
            let call = self.endpoints.list(request.object, list_query(request, limit, &[]));
            let retries = Retries::of_attempts(sendings);
            match self.list(request.object, &call, retries, Shape::Nested, &[], listed).await {
                Ok(end) => {
                    self.habits.of(self.account, request.object, |habit| {
                        habit.cursors = cursors_of(&end).unwrap_or(habit.cursors);
                        if limit < most {
                            habit.smaller_pages(limit, self.clock.now());
                        }
                    });
                    return Ok(end);
                }
                Err(CallError::GaveUp(error)) if may_succeed_in_parts(&error) && self.has_time() => {
                    if limit == 1 {
                        return self.find_unlisted(request, listed, error).await;
                    }
                    (limit, sendings) = (if limit > 10 { 10 } else { 1 }, 1);
                }
                Err(error) => return Err(error.into_error(&call)),
            }
        }
    }

    /// Finds the next record by a search, after a list of one record failed with `error`.
    async fn find_unlisted(
        &self,
        request: &PageRequest<'_>,
        listed: &mut RowBuffer,
        error: CrmError,
    ) -> Result<PageEnd, CrmError> {
        let cursors = self.habits.of(self.account, request.object, |habit| habit.cursors);
        let step = u64::from(cursors == Cursors::NextId);
        let after = match request.cursor {
            // This is always the last record that was read, whatever the form of the cursors is.
            Cursor::AfterId(id) => *id,
            Cursor::Opaque(text) => match RecordId::parse(text) {
                Ok(id) => RecordId(id.0.saturating_sub(step)),
                Err(_) => return Err(error),
            },
        };
        let search = self.endpoints.search(request.object, Search::above(after, 1).body());
        let found = self
            .try_fetch(&search, Retries::of_attempts(1), |answer| {
                answers::check_complete(read_records(&answer.body, Shape::Nested, &[], listed)?)
            })
            .await;
        let (Ok(_), Some(id)) = (found, listed.ids().first().copied()) else { return Err(error) };
        // The following pages may be readable again.
        self.habits.of(self.account, request.object, |habit| habit.smaller_pages(MAX_RECORDS, self.clock.now()));
        let next = Some(id.0.saturating_add(step).to_string());
        Ok(PageEnd { next, last_listed: Some(id), ..PageEnd::default() })
    }

    /// Conversations cannot be read by id, so a smaller page is read if one fails or is refused.
    async fn threads(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        let limit = request.limit.min(MAX_THREADS);
        let (unsorted, most) =
            self.habits.of(self.account, request.object, |habit| (habit.unsorted, habit.page(limit, self.clock.now())));
        let (mut sorted, mut limit, mut sendings) = (!unsorted, most, LIST_SENDINGS);
        loop {
            let query = query_of(request, limit);
            let query = if sorted { query.with("sort", "id") } else { query };
            let call = self.endpoints.threads(query).of_records(limit.into());
            let retries = Retries::of_attempts(sendings);
            match self.list(request.object, &call, retries, Shape::Flat, request.properties, rows).await {
                Ok(end) => {
                    self.habits.of(self.account, request.object, |habit| {
                        habit.unsorted = !sorted;
                        if limit < most {
                            habit.smaller_pages(limit, self.clock.now());
                        }
                    });
                    return Ok(end);
                }
                Err(CallError::Refused(refusal)) if refusal.status == 400 && sorted => sorted = false,
                // It was perhaps not the order that HubSpot refused.
                Err(CallError::Refused(refusal)) if refusal.status == 400 && limit > MAX_RECORDS => {
                    (sorted, limit) = (!unsorted, MAX_RECORDS);
                }
                Err(CallError::GaveUp(error) | CallError::TooLarge(error))
                    if may_succeed_in_parts(&error) && self.has_time() && limit > 1 =>
                {
                    let fewer = [100, 50, 25, 10, 1].into_iter().find(|&fewer| fewer < limit);
                    (limit, sendings) = (fewer.unwrap_or(1), 1);
                }
                Err(error) => return Err(error.into_error(&call)),
            }
        }
    }
}

fn query_of(request: &PageRequest<'_>, limit: u16) -> Query {
    let query = Query::default().with("limit", &limit.max(1).to_string());
    match request.cursor {
        &Cursor::START => query,
        Cursor::AfterId(id) => query.with("after", &id.to_string()),
        Cursor::Opaque(text) => query.with("after", text),
    }
}

/// Without properties in the request, HubSpot chooses some itself, so the query always contains at least the id.
pub(crate) fn list_query(request: &PageRequest<'_>, limit: u16, properties: &[&str]) -> Query {
    let properties = if properties.is_empty() { &[RECORD_ID_COLUMN] } else { properties };
    query_of(request, limit.min(MAX_RECORDS)).with("archived", "false").with_list("properties", properties)
}

/// The form of the cursors, if this page shows it.
fn cursors_of(end: &PageEnd) -> Option<Cursors> {
    let next = RecordId::parse(end.next.as_deref()?).ok()?;
    let last = end.last_listed?;
    match next.0.checked_sub(last.0) {
        Some(0) => Some(Cursors::LastId),
        Some(1) => Some(Cursors::NextId),
        _ => None,
    }
}
