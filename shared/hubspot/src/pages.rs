//! Pages of records: listed with their properties where the URL holds them, otherwise listed and then read by id.

use std::collections::HashMap;

use bytes::Bytes;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, Cursor, PageEnd, PageRequest};
use domain::property::RECORD_ID_COLUMN;
use domain::rows::RowBuffer;
use serde::Serialize;

use crate::call::{Call, CallError};
use crate::connector::HubSpot;
use crate::endpoints::{Query, is_conversations};
use crate::records::{Shape, read_page};

/// Records that one call can list or read.
pub(crate) const MAX_RECORDS: u8 = 100;

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

impl HubSpot {
    pub(crate) async fn records(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        if rows.columns() != request.properties.len() {
            *rows = RowBuffer::new(request.properties.len());
        }
        if is_conversations(request.object) {
            let call = self.endpoints.threads(query_of(request));
            let page = self.list(&call, Shape::Flat, request.properties, rows).await;
            return page.map_err(|error| error.into_error(&call));
        }
        let names: usize = request.properties.iter().map(|name| name.len() + 1).sum();
        loop {
            let allowed = self.list_urls.allowed();
            if names > allowed {
                return self.records_by_id(request, rows).await;
            }
            let call = self.endpoints.list(request.object, list_query(request, request.properties));
            match self.list(&call, Shape::Nested, request.properties, rows).await {
                Err(CallError::Refused(refusal)) if refusal.status == 414 && allowed > 0 => {
                    self.list_urls.too_long(allowed);
                }
                page => return page.map_err(|error| error.into_error(&call)),
            }
        }
    }

    async fn list(
        &self,
        call: &Call,
        shape: Shape,
        properties: &[&str],
        rows: &mut RowBuffer,
    ) -> Result<PageEnd, CallError> {
        self.try_fetch(call, |answer| {
            let next = read_page(&answer.body, shape, properties, rows)?;
            let last_listed = rows.ids().last().copied();
            Ok(PageEnd { next, last_listed, response_bytes: answer.body.len() as u64, ..PageEnd::default() })
        })
        .await
    }

    /// Lists the ids alone, then reads the records. One that was deleted in between is left out.
    async fn records_by_id(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        let call = self.endpoints.list(request.object, list_query(request, &[]));
        let mut listed = RowBuffer::new(0);
        let page = self.list(&call, Shape::Nested, &[], &mut listed).await;
        let end = page.map_err(|error| error.into_error(&call))?;
        rows.clear();
        if listed.is_empty() {
            return Ok(end);
        }
        let call = self.batch_read(request.object, listed.ids(), request.properties);
        let read = self.list(&call, Shape::Nested, request.properties, rows).await;
        let read = read.map_err(|error| error.into_error(&call))?;
        arrange(rows, listed.ids());
        Ok(PageEnd { response_bytes: end.response_bytes + read.response_bytes, ..end })
    }

    pub(crate) fn batch_read(&self, object: &ObjectType, ids: &[RecordId], properties: &[&str]) -> Call {
        let inputs = ids.iter().map(|id| Input { id: id.to_string() }).collect();
        let body = BatchRead { inputs, properties, properties_with_history: [] };
        let body = serde_json::to_vec(&body).expect("a batch read is plain data");
        self.endpoints.batch_read(object, Bytes::from(body))
    }
}

fn query_of(request: &PageRequest<'_>) -> Query {
    let limit = request.limit.clamp(1, MAX_RECORDS).to_string();
    let query = Query::default().with("limit", &limit);
    match request.cursor {
        &Cursor::START => query,
        Cursor::AfterId(id) => query.with("after", &id.to_string()),
        Cursor::Opaque(text) => query.with("after", text),
    }
}

/// Asked for no property at all HubSpot answers with a choice of its own, so the least that can be asked for is the id.
fn list_query(request: &PageRequest<'_>, properties: &[&str]) -> Query {
    let properties = if properties.is_empty() { &[RECORD_ID_COLUMN] } else { properties };
    query_of(request).with("archived", "false").with_list("properties", properties)
}

/// Puts `rows` into the order of `listed`: a batch read promises none. What was not listed (the survivor of a merge)
/// is dropped.
fn arrange(rows: &mut RowBuffer, listed: &[RecordId]) {
    if rows.ids() == listed {
        return;
    }
    let mut places = HashMap::with_capacity(rows.len());
    for (row, id) in rows.ids().iter().enumerate() {
        places.entry(*id).or_insert(row);
    }
    let mut arranged = RowBuffer::new(rows.columns());
    for (id, &row) in listed.iter().filter_map(|id| places.get_key_value(id)) {
        arranged.begin_row(*id);
        for column in (0..rows.columns()).filter(|&column| rows.is_shown(row, column)) {
            arranged.set(column, rows.value(row, column));
        }
    }
    *rows = arranged;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(records: &[(u64, &str)]) -> RowBuffer {
        let mut rows = RowBuffer::new(1);
        for (id, value) in records {
            rows.begin_row(RecordId(*id));
            rows.set(0, value);
        }
        rows
    }

    #[test]
    fn records_read_by_id_stand_in_the_order_of_the_list() {
        let mut read = rows(&[(9, "i"), (4, "d"), (77, "survivor of a merge"), (2, "b"), (2, "again")]);
        arrange(&mut read, &[2, 3, 4, 9].map(RecordId));
        assert_eq!(read.ids(), [2, 4, 9].map(RecordId));
        let values: Vec<_> = (0..3).flat_map(|row| read.values(row)).collect();
        assert_eq!(values, [b"b", b"d", b"i"]);
    }
}
