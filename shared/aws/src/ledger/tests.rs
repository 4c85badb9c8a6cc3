//! The requests to `DynamoDB`. Emulators always read consistently, so these tests look at the requests themselves.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, ConfigBag, Credentials, Intercept, Region, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use serde_json::Value;

use super::*;

/// Records the operation and the body of every request, and sends none.
#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<Vec<(String, Value)>>>);

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let operation = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        self.0.lock().expect("not poisoned").push((operation, body));
        Err("no request leaves this test".into())
    }
}

fn ledger(requests: Requests) -> DynamoDbLedger {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .interceptor(requests)
        .build();
    let tables = LedgerTables { ledger: "ledger".to_owned(), audit_log: "audit".to_owned() };
    DynamoDbLedger::new(Client::from_conf(config), tables)
}

/// The requests: operation, table, and whether the read is consistent.
fn asked(requests: &Requests) -> Vec<(String, Value, Value)> {
    let seen = requests.0.lock().expect("not poisoned");
    let of = |(operation, body): &(String, Value)| {
        let name = operation.rsplit('.').next().unwrap_or_default().to_owned();
        (name, body["TableName"].clone(), body["ConsistentRead"].clone())
    };
    seen.iter().map(of).collect()
}

#[tokio::test]
async fn loads_and_lists_see_every_commit_that_has_returned() {
    let requests = Requests::default();
    let ledger = ledger(requests.clone());
    for partition in ["BACKUP#1", "AUDIT#42"] {
        ledger.get(&Key::new(partition, "x")).await.expect_err("held back");
        for (prefix, newest_first) in [("", true), ("CHUNK#", false)] {
            let (partition, prefix) = (partition.to_owned(), prefix.to_owned());
            let request = ListRequest { partition, prefix, after: None, newest_first, limit: 10 };
            ledger.list(&request).await.expect_err("held back");
        }
    }
    let read = |name: &str, table: &str| (name.to_owned(), Value::from(table), Value::from(true));
    let of = |table| [read("GetItem", table), read("Query", table), read("Query", table)];
    assert_eq!(asked(&requests), [of("ledger"), of("audit")].concat());
}

/// An index cannot be read consistently: DynamoDB refuses such a request.
#[tokio::test]
async fn lists_of_due_records_may_lag() {
    let requests = Requests::default();
    ledger(requests.clone()).due(DueList::Work, 0, Timestamp::UNIX_EPOCH, 10).await.expect_err("held back");
    assert_eq!(asked(&requests), [("Query".to_owned(), "ledger".into(), Value::Null)]);
}
