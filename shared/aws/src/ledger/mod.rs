//! The ledger on `DynamoDB`, in two tables of the same schema. The audit log has its own table, in which no function's
//! role may update or delete. A transaction may write to both. Only the counts in entries about strangers are replaced
//! there.
//!
//! # The tables
//! | attribute | type | what |
//! |---|---|---|
//! | `partition` | S | partition key |
//! | `sort` | S | sort key |
//! | `version` | N | 1 when created, one more with every commit |
//! | `writer` | S | a random name of the commit that wrote the item |
//! | `format` | N | the format of the record's fields; 1 where it is absent |
//! | `record` | M | the record's fields |
//! | `dueShard` | N | 0 to [`domain::ports::ledger::DUE_SHARDS`] − 1, plus this number for each list before the item's; only on items that are due some time |
//! | `dueAt` | N | milliseconds since 1970; only together with `dueShard` |
//! | `forgetAt` | N | seconds since 1970: the table's time-to-live attribute |
//!
//! The ledger's global index `due` has the partition key `dueShard`, the sort key `dueAt` and projects keys only. It is
//! sparse: items without a due time are not in it.
//!
//! # Lost answers
//! The SDK repeats a request if its answer was lost. The second sending then meets the items of the first. So every
//! commit writes a random `writer`: a failed condition on an item of this commit is a success. Transactions also have a
//! `ClientRequestToken`, which the SDK keeps for all sendings.

mod commit;
mod json;
mod listing;
pub mod schema;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ports::ledger::{
    AUDIT_PARTITIONS, Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, STRANGER_PARTITIONS, Stored,
};
use jiff::Timestamp;

use crate::failure;

/// The names of the tables. The module describes their schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTables {
    /// The table of all records but the audit log's.
    pub ledger: String,
    pub audit_log: String,
}

/// The ledger port on two tables.
#[derive(Debug, Clone)]
pub struct DynamoDbLedger {
    client: Client,
    tables: LedgerTables,
}

impl DynamoDbLedger {
    /// The ledger in `tables`.
    pub fn new(client: Client, tables: LedgerTables) -> Self {
        Self { client, tables }
    }

    /// The table of a partition.
    fn table(&self, partition: &str) -> &str {
        let of_the_audit_log = [AUDIT_PARTITIONS, STRANGER_PARTITIONS];
        if of_the_audit_log.iter().any(|prefix| partition.starts_with(prefix)) {
            &self.tables.audit_log
        } else {
            &self.tables.ledger
        }
    }
}

#[async_trait]
impl Ledger for DynamoDbLedger {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        let answer = self
            .client
            .get_item()
            .table_name(self.table(&key.partition))
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
        if changes.iter().any(Change::rewrites_the_audit_log) {
            return Err(LedgerError::Refused("the audit log is never rewritten".to_owned()));
        }
        match changes {
            [] => Ok(()),
            [only] => commit::one(self, only).await,
            several => commit::transact(self, several).await,
        }
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        listing::due(self, schema::due_partition(list, shard), now, limit).await
    }
}

/// The port's error for a failed call, except failed conditions.
fn ledger_error<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> LedgerError {
    let sentence = failure::describe(operation, error);
    match failure::code(error) {
        Some("ValidationException" | "ItemCollectionSizeLimitExceededException") => LedgerError::Refused(sentence),
        _ => LedgerError::Unavailable(sentence),
    }
}

#[cfg(test)]
mod tests;
