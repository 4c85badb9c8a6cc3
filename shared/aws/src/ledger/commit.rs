//! Commits: one conditional put, or one transaction.

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use domain::ports::ledger::{Change, Ledger, LedgerError};
use serde_json::Value;

use super::schema::{self, Item};
use super::{DynamoDbLedger, ledger_error};

/// The most tries of a commit that meets other transactions under way.
const TRIES: u32 = 7;

/// The longest pause before the second try. It doubles each time, up to two seconds in total.
const FIRST_PAUSE: Duration = Duration::from_millis(30);

/// Commits a single change by a conditional put.
pub(super) async fn one(ledger: &DynamoDbLedger, change: &Change) -> Result<(), LedgerError> {
    if let Some(body) = &change.body {
        return put(ledger, change, body).await;
    }
    let found = ledger.get(&change.key).await?.map(|stored| stored.version);
    if found == change.expected { Ok(()) } else { Err(LedgerError::Conflict) }
}

async fn put(ledger: &DynamoDbLedger, change: &Change, body: &Value) -> Result<(), LedgerError> {
    let writer = new_writer();
    let put = put_of(ledger, change, body, &writer)?;
    for attempt in 0..TRIES {
        pause(attempt).await;
        let answer = ledger
            .client
            .put_item()
            .table_name(put.table_name())
            .set_item(Some(put.item().clone()))
            .set_condition_expression(put.condition_expression.clone())
            .set_expression_attribute_names(put.expression_attribute_names.clone())
            .set_expression_attribute_values(put.expression_attribute_values.clone())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                return if is_by(&writer, failed.item()) { Ok(()) } else { Err(LedgerError::Conflict) };
            }
            Some(PutItemError::TransactionConflictException(_)) => {}
            _ => return Err(ledger_error("PutItem", &error)),
        }
    }
    Err(contended())
}

/// Commits several changes in one transaction.
pub(super) async fn transact(ledger: &DynamoDbLedger, changes: &[Change]) -> Result<(), LedgerError> {
    let writer = new_writer();
    let items = changes.iter().map(|change| transact_item(ledger, change, &writer)).collect::<Result<Vec<_>, _>>()?;
    for attempt in 0..TRIES {
        pause(attempt).await;
        // The SDK gives each try a new ClientRequestToken. The try before was certainly cancelled.
        let answer = ledger.client.transact_write_items().set_transact_items(Some(items.clone())).send().await;
        let Err(error) = answer else { return Ok(()) };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return Err(ledger_error("TransactWriteItems", &error));
        };
        match verdict(cancelled.cancellation_reasons(), &writer) {
            Cancelled::Done => return Ok(()),
            Cancelled::TryAgain => {}
            Cancelled::Failed(error) => return Err(error),
        }
    }
    Err(contended())
}

/// The meaning of a cancelled transaction.
#[derive(Debug, PartialEq, Eq)]
enum Cancelled {
    Done,
    TryAgain,
    Failed(LedgerError),
}

fn verdict(reasons: &[CancellationReason], writer: &str) -> Cancelled {
    let any = |wanted: &[&str]| reasons.iter().any(|r| r.code().is_some_and(|code| wanted.contains(&code)));
    // One item of this commit means that an earlier sending made all of it.
    if reasons.iter().any(|reason| is_by(writer, reason.item())) {
        Cancelled::Done
    } else if any(&["ConditionalCheckFailed"]) {
        Cancelled::Failed(LedgerError::Conflict)
    } else if any(&["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]) {
        Cancelled::TryAgain
    } else {
        let codes: Vec<_> =
            reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None").collect();
        let sentence = format!("TransactWriteItems: cancelled ({})", codes.join(", "));
        Cancelled::Failed(if any(&["ValidationError", "ItemCollectionSizeLimitExceeded"]) {
            LedgerError::Refused(sentence)
        } else {
            LedgerError::Unavailable(sentence)
        })
    }
}

fn transact_item(ledger: &DynamoDbLedger, change: &Change, writer: &str) -> Result<TransactWriteItem, LedgerError> {
    if let Some(body) = &change.body {
        return Ok(TransactWriteItem::builder().put(put_of(ledger, change, body, writer)?).build());
    }
    let condition = Condition::of(change);
    let check = ConditionCheck::builder()
        .table_name(ledger.table(&change.key.partition))
        .set_key(Some(schema::key_attributes(&change.key)))
        .condition_expression(condition.expression)
        .expression_attribute_names("#tested", condition.tested)
        .set_expression_attribute_values(condition.values)
        .build()
        .map_err(|e| LedgerError::Refused(e.to_string()))?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

fn put_of(ledger: &DynamoDbLedger, change: &Change, body: &Value, writer: &str) -> Result<Put, LedgerError> {
    let condition = Condition::of(change);
    Put::builder()
        .table_name(ledger.table(&change.key.partition))
        .set_item(Some(schema::item(change, body, writer)))
        .condition_expression(condition.expression)
        .expression_attribute_names("#tested", condition.tested)
        .set_expression_attribute_values(condition.values)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|e| LedgerError::Refused(e.to_string()))
}

/// The condition that a record is still as the change expects.
struct Condition {
    expression: &'static str,
    tested: &'static str,
    values: Option<Item>,
}

impl Condition {
    fn of(change: &Change) -> Self {
        match change.expected {
            None => Self { expression: "attribute_not_exists(#tested)", tested: schema::PARTITION, values: None },
            Some(version) => Self {
                expression: "#tested = :expected",
                tested: schema::VERSION,
                values: Some(Item::from([(":expected".to_owned(), schema::number(version))])),
            },
        }
    }
}

fn new_writer() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn is_by(writer: &str, item: Option<&Item>) -> bool {
    let found = item.and_then(|item| item.get(schema::WRITER));
    found.is_some_and(|found| matches!(found, AttributeValue::S(name) if name == writer))
}

/// Waits a random time before a further try, so that two commits that met do not meet again.
async fn pause(attempt: u32) {
    if attempt > 0 {
        let longest = FIRST_PAUSE * 2_u32.pow(attempt - 1);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
    }
}

fn contended() -> LedgerError {
    LedgerError::Unavailable("each try met other transactions on the same records".to_owned())
}
