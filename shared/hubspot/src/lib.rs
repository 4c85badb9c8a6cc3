//! The [`Crm`] port on HubSpot's HTTP API. URLs, JSON shapes, scopes and status codes live here and nowhere else.
//!
//! A [`Connector`] lives as long as the process; what it connects to is one account during one run. Every request passes
//! the account's [`CallGate`](domain::ports::call_gate::CallGate) first. Retries are bounded by a number and by the run's deadline:
//!
//! | answer | what happens |
//! |---|---|
//! | 429 | the gate is told to pause everyone on the account, then the call is admitted anew |
//! | 5xx, 408, 423, 477, 403 with HTML, resets, time-outs, answers that are cut off, not JSON, or tell of errors | back-off with full jitter |
//! | the same for a page, again and again | its ids are listed, and its records read by id in halves; the one that cannot be read is named, if the CRM is up |
//! | an answer of more than 32 MiB | as such a page, at once |
//! | 414, 431, or 400 without a word of HubSpot, on a list | properties are listed in shorter URLs, or records read by id |
//! | a batch read that tells of failed records | those are asked for again |
//! | a batch read that says nothing of a record | it is asked for once more, and then does not exist |
//! | 404 to a batch read, about records | the others are asked for |
//! | a value that is not shown | it is asked for by id once, and else stays not shown |
//! | 400, 409, 413, 422 to a write, 404 about its records | no error: what HubSpot says about the values |
//! | 401, 403, 404 | asked for again twice (an account's details and sensitive properties once), then an error |
//! | other 4xx | an error at once |
//!
//! What an answer says about records is judged in `answers`, and nowhere else. What was learned about an object's lists is
//! remembered for ten minutes in `habits`.
//!
//! Logged is one event for each request that failed: path template, status, how often sent, and when it is sent again.
//! Never a URL, a body, a token or a value; nor does an error repeat what HubSpot says to a write, which can quote values.

mod account;
mod answers;
mod batches;
mod body;
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
use domain::property::ObjectDefinition;
use domain::rows::RowBuffer;
use jiff::Timestamp;

use crate::client::HubSpot;

pub use connector::{Connector, ConnectorError};
pub use records::{Shape, read_page};
pub use scan::Malformed;

#[async_trait]
impl Crm for HubSpot {
    async fn account(&self) -> Result<CrmAccount, CrmError> {
        self.details().await
    }

    fn standard_object_types(&self) -> Vec<ObjectDefinition> {
        standard_objects::standard_objects()
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
