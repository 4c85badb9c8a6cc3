//! Tables with the ledger's schema.

use aws::DynamoDbLedger;
use std::collections::BTreeMap;

use aws::ledger::schema::{DUE_AT, DUE_INDEX, DUE_SHARD, PARTITION, SORT};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use domain::ports::ledger::Key;

use super::{Backend, connect, finally, random_name};

/// Runs `case` with a ledger on `backend` whose table is removed afterwards; the table's name comes second.
///
/// # Panics
/// When the case does, or the table cannot be made or removed.
pub async fn with_table(backend: Backend, case: impl AsyncFnOnce(DynamoDbLedger, String)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let client = Client::new(aws.sdk_config());
    let table = random_name("ledger");
    Box::pin(create_table(&client, &table)).await;
    let removed = Box::pin(async {
        client.delete_table().table_name(&table).send().await.expect("table removed");
    });
    finally(Box::pin(case(aws.ledger(&table), table.clone())), removed).await;
}

/// An item of a table on `backend` as `DynamoDB` shows it: its attributes' names and, where they are texts or numbers,
/// their values.
///
/// # Panics
/// When there is no such item.
pub async fn raw_item(backend: Backend, table: &str, key: &Key) -> BTreeMap<String, Option<String>> {
    let aws = connect(&backend.url().expect("set, as there is a table")).await;
    let get = Client::new(aws.sdk_config()).get_item().table_name(table);
    let get = get.key(PARTITION, AttributeValue::S(key.partition.clone()));
    let answer = get.key(SORT, AttributeValue::S(key.sort.clone())).send().await.expect("answered");
    let text = |value: AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text),
        _ => None,
    };
    answer.item.expect("an item").into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// Makes a table as infra/template.yaml does.
///
/// # Panics
/// When the table cannot be made.
pub async fn create_table(client: &Client, table: &str) {
    let attribute = |name: &str, of: ScalarAttributeType| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(of).build().expect("complete")
    };
    let key = |name: &str, of: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(of).build().expect("complete")
    };
    let due = GlobalSecondaryIndex::builder()
        .index_name(DUE_INDEX)
        .key_schema(key(DUE_SHARD, KeyType::Hash))
        .key_schema(key(DUE_AT, KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .expect("complete");
    client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(PARTITION, ScalarAttributeType::S))
        .attribute_definitions(attribute(SORT, ScalarAttributeType::S))
        .attribute_definitions(attribute(DUE_SHARD, ScalarAttributeType::N))
        .attribute_definitions(attribute(DUE_AT, ScalarAttributeType::N))
        .key_schema(key(PARTITION, KeyType::Hash))
        .key_schema(key(SORT, KeyType::Range))
        .global_secondary_indexes(due)
        .send()
        .await
        .expect("table made");
}
