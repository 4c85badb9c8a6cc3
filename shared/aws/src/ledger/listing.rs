//! Lists of records: a part of a partition, or due records.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ports::ledger::{Key, LedgerError, ListPage, ListRequest};
use jiff::Timestamp;

use super::schema::{self, Item};
use super::{DynamoDbLedger, ledger_error};

/// The beginning of a list.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    AtTheEdge,
    Behind(String),
    Nowhere,
}

/// `DynamoDB` takes one condition on the sort key, which the prefix needs, and a start inside it. A start outside the
/// prefix is before all its records or after all of them.
fn start(request: &ListRequest) -> Start {
    let Some(after) = &request.after else { return Start::AtTheEdge };
    if after.starts_with(&request.prefix) && !after.is_empty() {
        return Start::Behind(after.clone());
    }
    let below = *after < request.prefix || after.is_empty();
    if below == request.newest_first { Start::Nowhere } else { Start::AtTheEdge }
}

pub(super) async fn list(ledger: &DynamoDbLedger, request: &ListRequest) -> Result<ListPage, LedgerError> {
    let mut page = ListPage { records: Vec::new(), more: true };
    let mut from = match start(request) {
        Start::AtTheEdge => None,
        Start::Behind(after) => Some(schema::key_attributes(&Key::new(&request.partition, after))),
        Start::Nowhere => return Ok(ListPage { records: Vec::new(), more: false }),
    };
    // An answer ends at one megabyte, so a list may take several requests.
    while let Some(limit) = rest(request.limit, page.records.len()) {
        let (items, next) = query(ledger, request, from, limit).await?;
        for item in items {
            page.records.push(schema::stored(item)?);
        }
        from = next;
        if from.is_none() {
            page.more = false;
            break;
        }
    }
    Ok(page)
}

async fn query(
    ledger: &DynamoDbLedger,
    request: &ListRequest,
    from: Option<Item>,
    limit: i32,
) -> Result<(Vec<Item>, Option<Item>), LedgerError> {
    let mut query = ledger
        .client
        .query()
        .table_name(ledger.table(&request.partition))
        .consistent_read(true)
        .scan_index_forward(!request.newest_first)
        .limit(limit)
        .set_exclusive_start_key(from)
        .expression_attribute_names("#partition", schema::PARTITION)
        .expression_attribute_values(":partition", AttributeValue::S(request.partition.clone()));
    query = if request.prefix.is_empty() {
        query.key_condition_expression("#partition = :partition")
    } else {
        query
            .key_condition_expression("#partition = :partition AND begins_with(#sort, :prefix)")
            .expression_attribute_names("#sort", schema::SORT)
            .expression_attribute_values(":prefix", AttributeValue::S(request.prefix.clone()))
    };
    let answer = query.send().await.map_err(|e| ledger_error("Query", &e))?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
}

pub(super) async fn due(
    ledger: &DynamoDbLedger,
    partition: u8,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Key>, LedgerError> {
    let mut keys = Vec::new();
    let mut from = None;
    while let Some(limit) = rest(limit, keys.len()) {
        let answer = ledger
            .client
            .query()
            .table_name(&ledger.tables.ledger)
            .index_name(schema::DUE_INDEX)
            .key_condition_expression("#shard = :shard AND #at <= :now")
            .expression_attribute_names("#shard", schema::DUE_SHARD)
            .expression_attribute_names("#at", schema::DUE_AT)
            .expression_attribute_values(":shard", schema::number(partition))
            .expression_attribute_values(":now", schema::number(now.as_millisecond()))
            .limit(limit)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|e| ledger_error("Query due", &e))?;
        for item in answer.items() {
            keys.push(schema::key(item)?);
        }
        from = answer.last_evaluated_key;
        if from.is_none() {
            break;
        }
    }
    Ok(keys)
}

/// How many more records are wanted. None if there are enough.
fn rest(limit: u32, found: usize) -> Option<i32> {
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    let rest = limit.saturating_sub(found);
    (rest > 0).then(|| i32::try_from(rest).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(prefix: &str, after: &str, newest_first: bool) -> Start {
        start(&ListRequest {
            partition: "p".into(),
            prefix: prefix.into(),
            after: Some(after.into()),
            newest_first,
            limit: 1,
        })
    }

    #[test]
    fn a_start_inside_the_prefix_is_used_as_it_is() {
        assert_eq!(from("A#", "A#1", false), Start::Behind("A#1".into()));
        assert_eq!(from("", "x", true), Start::Behind("x".into()));
    }

    #[test]
    fn a_start_outside_the_prefix_gives_everything_or_nothing() {
        assert_eq!((from("B", "A", false), from("B", "A", true)), (Start::AtTheEdge, Start::Nowhere));
        assert_eq!((from("B", "C", false), from("B", "C", true)), (Start::Nowhere, Start::AtTheEdge));
        assert_eq!((from("", "", false), from("", "", true)), (Start::AtTheEdge, Start::Nowhere));
    }
}
