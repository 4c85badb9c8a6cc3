//! The ledger's two tables.

use std::collections::BTreeMap;

use aws::ledger::schema::{DUE_AT, DUE_INDEX, DUE_SHARD, PARTITION, SORT};
use aws::{DynamoDbLedger, LedgerTables};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use domain::ports::ledger::Key;

use super::{Backend, connect, finally, random_name};

/// Runs `case` with a ledger on `backend` and the names of its tables. The tables are removed afterwards.
///
/// # Panics
/// If the case panics, or the tables cannot be created or removed.
pub async fn with_tables(backend: Backend, case: impl AsyncFnOnce(DynamoDbLedger, LedgerTables)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let client = Client::new(aws.sdk_config());
    let tables = LedgerTables { ledger: random_name("ledger"), audit_log: random_name("audit-log") };
    Box::pin(create_tables(&client, &tables)).await;
    let removed = Box::pin(async {
        for table in [&tables.ledger, &tables.audit_log] {
            client.delete_table().table_name(table).send().await.expect("table removed");
        }
    });
    finally(Box::pin(case(aws.ledger(tables.clone()), tables.clone())), removed).await;
}

/// An item of a table on `backend` in `DynamoDB`'s form: the names of its attributes, and the values of those that are
/// texts or numbers.
///
/// # Panics
/// If there is no such item.
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

/// Creates the tables like infra/template.yaml.
///
/// # Panics
/// If one of them cannot be created.
pub async fn create_tables(client: &Client, tables: &LedgerTables) {
    let due = GlobalSecondaryIndex::builder()
        .index_name(DUE_INDEX)
        .key_schema(key(DUE_SHARD, KeyType::Hash))
        .key_schema(key(DUE_AT, KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .expect("complete");
    let ledger = new_table(client, &tables.ledger)
        .attribute_definitions(attribute(DUE_SHARD, ScalarAttributeType::N))
        .attribute_definitions(attribute(DUE_AT, ScalarAttributeType::N))
        .global_secondary_indexes(due);
    for table in [ledger, new_table(client, &tables.audit_log)] {
        table.send().await.expect("table made");
    }
}

fn new_table(client: &Client, name: &str) -> CreateTableFluentBuilder {
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(PARTITION, ScalarAttributeType::S))
        .attribute_definitions(attribute(SORT, ScalarAttributeType::S))
        .key_schema(key(PARTITION, KeyType::Hash))
        .key_schema(key(SORT, KeyType::Range))
}

fn attribute(name: &str, of: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(of).build().expect("complete")
}

fn key(name: &str, of: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(of).build().expect("complete")
}
