//! The ledger on `DynamoDB`.
//!
//! # The table
//! | attribute | type | what |
//! |---|---|---|
//! | `partition` | S | partition key |
//! | `sort` | S | sort key |
//! | `version` | N | 1 when created, one more with every commit |
//! | `writer` | S | a random name of the commit that wrote the item |
//! | `record` | M | the record's fields |
//! | `dueShard` | N | 0 to [`domain::ports::ledger::DUE_SHARDS`] − 1; only on items that are due some time |
//! | `dueAt` | N | milliseconds since 1970; only together with `dueShard` |
//! | `forgetAt` | N | seconds since 1970: the table's time-to-live attribute |
//!
//! The global index `due` has the partition key `dueShard`, the sort key `dueAt` and projects keys only. It is sparse:
//! items without a due time are not in it.
//!
//! # Lost answers
//! The SDK sends a request again when its answer was lost, and the second sending then meets what the first has
//! written. So every commit writes a random `writer`: a failed condition whose item names this very commit is a
//! success. Transactions carry a `ClientRequestToken` as well, which the SDK sets and keeps for all sendings.

mod commit;
mod json;
mod listing;
pub mod schema;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ports::ledger::{Change, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use jiff::Timestamp;

use crate::failure;

/// Stores the ledger in one table.
#[derive(Debug, Clone)]
pub struct DynamoDbLedger {
    client: Client,
    table: String,
}

impl DynamoDbLedger {
    /// The ledger in `table`, which has the schema of the module's documentation.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }
}

#[async_trait]
impl Ledger for DynamoDbLedger {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(schema::PARTITION, AttributeValue::S(key.partition.clone()))
            .key(schema::SORT, AttributeValue::S(key.sort.clone()))
            .send()
            .await
            .map_err(|e| ledger_error("GetItem", &e))?;
        answer.item.map(schema::stored).transpose()
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        listing::list(self, request).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        match changes {
            [] => Ok(()),
            [only] => commit::one(self, only).await,
            several => commit::transact(self, several).await,
        }
    }

    async fn due(&self, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        listing::due(self, shard, now, limit).await
    }
}

/// What a failed call means, apart from failed conditions.
fn ledger_error<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> LedgerError {
    let sentence = failure::describe(operation, error);
    match failure::code(error) {
        Some("ValidationException" | "ItemCollectionSizeLimitExceededException") => LedgerError::Refused(sentence),
        _ => LedgerError::Unavailable(sentence),
    }
}
