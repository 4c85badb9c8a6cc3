//! The [`Crm`] port on HubSpot's HTTP API. URLs, JSON shapes, scopes and status codes live here and nowhere else.
//!
//! A [`Connector`] lives as long as the process. It connects to one account for one run. Every request first passes the
//! account's [`CallGate`](domain::ports::call_gate::CallGate). The number of retries and the deadline of the run limit
//! all retries:
//!
//! | answer | reaction |
//! |---|---|
//! | 429 | the gate pauses all calls to the account, then it admits the call again |
//! | 5xx, 408, 423, 477, 403 with HTML, resets, time-outs, answers that are cut off, not JSON, or report errors | back-off with full jitter |
//! | the same for a page, until the last retry | its ids are listed and its records read by id, in ever smaller halves; a record that cannot be read while the CRM is up is reported |
//! | more than 32 MiB | the same, without a retry |
//! | 414, 431, or 400 without a message, on a list | the list is asked for with a shorter URL, or its records are read by id |
//! | a batch read reports that it failed for some records | those records are read again |
//! | a batch read does not mention a record | it is read once more, and then counts as deleted |
//! | 404 about records, on a batch read | the other records are read |
//! | a value is not shown | it is read by id once, and otherwise stays not shown |
//! | 400, 409, 413, 422 on a write, 404 about its records | HubSpot's judgement of the values is returned as an answer |
//! | 401, 403, 404 | two more requests (one for account details and sensitive properties), then an error |
//! | other 4xx | an error at once |
//!
//! Only `answers` decides what an answer about records means. `habits` remembers for ten minutes what was learned about
//! the lists of an object.
//!
//! Each failed request is logged as one event: path template, status, number of requests, and the wait before the next
//! one. Logs never contain URLs, bodies, tokens or values. Errors never repeat HubSpot's message about a write, since
//! it can quote values.

mod account;
mod answers;
mod batches;
mod body;
mod body_room;
mod by_id;
mod call;
mod client;
mod completion;
mod connector;
mod custom_objects;
mod definitions;
mod documents;
mod endpoints;
mod error_document;
mod errors;
mod full_definitions;
mod habits;
mod hidden;
mod model;
mod pages;
mod pending;
mod query;
mod records;
mod refusal;
mod retry;
mod row_order;
mod scan;
mod scopes;
mod search;
mod search_pages;
mod server;
mod standard_objects;
#[cfg(test)]
mod tests;
mod trouble;
mod write_refusal;

use async_trait::async_trait;
use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{Census, Crm, CrmAccount, CrmError, ListedProperties, PageEnd, PageRequest};
use domain::ports::crm_batch::{BatchRead, BatchUpdate, PropertyDefinition, RecordUpdate};
use domain::ports::crm_model::CrmModel;
use domain::property::ObjectDefinition;
use domain::rows::RowBuffer;
use jiff::Timestamp;

use crate::client::HubSpot;

pub use connector::{Connector, ConnectorError};
pub use model::Model;
pub use records::{Shape, read_page};
pub use scan::Malformed;

#[async_trait]
impl Crm for HubSpot {
    async fn account(&self) -> Result<CrmAccount, CrmError> {
        self.details().await
    }

    fn model(&self) -> &dyn CrmModel {
        &Model
    }

    async fn custom_object_types(&self) -> Result<Vec<ObjectDefinition>, CrmError> {
        self.custom_objects().await
    }

    async fn properties(&self, object: &ObjectType) -> Result<ListedProperties, CrmError> {
        self.defined_properties(object).await
    }

    async fn definitions(&self, object: &ObjectType) -> Result<Vec<PropertyDefinition>, CrmError> {
        self.full_definitions(object).await
    }

    async fn page(&self, request: &PageRequest<'_>, rows: &mut RowBuffer) -> Result<PageEnd, CrmError> {
        self.records(request, rows).await
    }

    async fn existing(&self, object: &ObjectType, ids: &[RecordId]) -> Result<Vec<(RecordId, Timestamp)>, CrmError> {
        self.existing_of(object, ids).await
    }

    async fn read_batch(&self, request: &BatchRead<'_>, rows: &mut RowBuffer) -> Result<Vec<RecordId>, CrmError> {
        self.read_records(request, rows).await
    }

    async fn update_batch(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        self.update_records(object, updates).await
    }

    async fn census(&self, object: &ObjectType) -> Result<Option<Census>, CrmError> {
        self.count(object).await
    }

    async fn count_in(
        &self,
        object: &ObjectType,
        after: RecordId,
        up_to: Option<RecordId>,
    ) -> Result<Option<u64>, CrmError> {
        self.count_range(object, after, up_to).await
    }

    async fn nth_after(&self, object: &ObjectType, after: RecordId, n: u16) -> Result<Option<RecordId>, CrmError> {
        self.find_nth(object, after, n).await
    }

    async fn created_since(&self, object: &ObjectType, since: Timestamp) -> Result<Option<u64>, CrmError> {
        self.count_created(object, since).await
    }
}
