//! Answers that are lost on the way: the SDK repeats the request, and must not take its own write for another writer's.

use aws::{DynamoDbLedger, S3Storage};
use bytes::Bytes;
use contracts::backends::{Backend, DYNAMODB_LOCAL, MINISTACK, connect, with_bucket, with_event_bus, with_tables};
use contracts::lossy_proxy::LossyProxy;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError};
use domain::ports::outlets::{BusEvent, EventBus, OutletError};
use domain::ports::storage::{BlobReader, BlobWriter, StorageError};
use serde_json::json;

fn write(sort: &str, expected: Option<u64>) -> Change {
    let body = Some(json!({ "sort": sort }));
    Change { key: Key::new("p", sort), expected, body, format: 1, due_at: None, due_in: DueList::Work, forget_at: None }
}

/// Runs `case` with a ledger behind a proxy, and the same ledger without one.
async fn behind_a_proxy(backend: Backend, case: impl AsyncFnOnce(&LossyProxy, DynamoDbLedger, DynamoDbLedger)) {
    let with_proxy = async |direct, tables| {
        let url = backend.url().expect("set, as there are tables");
        let proxy = LossyProxy::before(&url).await;
        let proxied = connect(&proxy.url()).await.ledger(tables);
        case(&proxy, proxied, direct).await;
        assert_eq!(proxy.still_to_lose(), 0, "the answers were lost");
    };
    // Boxed, as the SDK's futures are large.
    Box::pin(with_tables(backend, with_proxy)).await;
}

async fn a_commit_whose_answer_is_lost_succeeds(backend: Backend) {
    behind_a_proxy(backend, async |proxy, ledger, direct| {
        proxy.lose_answers(1);
        assert_eq!(ledger.commit(&[write("one", None)]).await, Ok(()));
        proxy.lose_answers(2);
        assert_eq!(ledger.commit(&[write("one", Some(1))]).await, Ok(()));
        proxy.lose_answers(1);
        assert_eq!(ledger.commit(&[write("one", Some(2)), write("two", None)]).await, Ok(()));

        let one = direct.get(&Key::new("p", "one")).await.expect("answered").expect("written");
        assert_eq!(one.version, 3, "every commit was made once");
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_succeeds_on_dynamodb_local() {
    a_commit_whose_answer_is_lost_succeeds(DYNAMODB_LOCAL).await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_succeeds_on_ministack() {
    a_commit_whose_answer_is_lost_succeeds(MINISTACK).await;
}

#[tokio::test]
async fn a_conflict_whose_answer_is_lost_stays_a_conflict() {
    behind_a_proxy(DYNAMODB_LOCAL, async |proxy, ledger, direct| {
        direct.commit(&[write("one", None)]).await.expect("committed");
        proxy.lose_answers(1);
        assert_eq!(ledger.commit(&[write("one", None)]).await, Err(LedgerError::Conflict));
        proxy.lose_answers(1);
        assert_eq!(ledger.commit(&[write("two", None), write("one", None)]).await, Err(LedgerError::Conflict));
    })
    .await;
}

#[tokio::test]
async fn a_ledger_that_never_answers_is_unavailable() {
    behind_a_proxy(DYNAMODB_LOCAL, async |proxy, ledger, _| {
        proxy.lose_answers(4);
        let outcome = ledger.commit(&[write("one", None)]).await;
        assert!(matches!(outcome, Err(LedgerError::Unavailable(_))), "{outcome:?}");
    })
    .await;
}

/// Runs `case` with storage behind a proxy, and the same storage without one.
async fn storage_behind_a_proxy(case: impl AsyncFnOnce(&LossyProxy, S3Storage, S3Storage)) {
    with_bucket(MINISTACK, async |direct, bucket| {
        let url = MINISTACK.url().expect("set, as there is a bucket");
        let proxy = LossyProxy::before(&url).await;
        let proxied = connect(&proxy.url()).await.storage(bucket);
        case(&proxy, proxied, direct).await;
        assert_eq!(proxy.still_to_lose(), 0, "the answers were lost");
    })
    .await;
}

#[tokio::test]
async fn an_object_whose_answer_is_lost_is_found_by_looking() {
    storage_behind_a_proxy(async |proxy, objects, direct| {
        proxy.lose_answers(1);

        let outcome = objects.write_new("t/0001", Bytes::from_static(b"ours"), "text/plain").await;

        assert_eq!(outcome, Err(StorageError::AlreadyExists("t/0001".to_owned())));
        assert_eq!(direct.head("t/0001").await.expect("answered").expect("written").size, 4);
    })
    .await;
}

#[tokio::test]
async fn an_object_that_breaks_off_is_read_again() {
    storage_behind_a_proxy(async |proxy, objects, direct| {
        let bytes: Bytes = (0..2_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        direct.write_new("t/large", bytes.clone(), "text/plain").await.expect("written");

        proxy.cut_answers(2, 1_000_000);
        assert_eq!(objects.read("t/large", None).await, Ok(bytes.clone()));

        proxy.cut_answers(3, 1_000_000);
        let outcome = objects.read("t/large", Some(0..1_500_000)).await;
        assert!(matches!(outcome, Err(StorageError::Unavailable(_))), "half of an object is not an object");
    })
    .await;
}

#[tokio::test]
async fn an_event_whose_answer_is_lost_is_published_again() {
    with_event_bus(MINISTACK, async |_, test| {
        let proxy = LossyProxy::before(&MINISTACK.url().expect("set, as there is a bus")).await;
        let bus = connect(&proxy.url()).await.event_bus(&test.name);
        let at = "2026-11-23T02:48:25Z".parse().expect("a time");
        let event = BusEvent { detail_type: "Backup Completed".to_owned(), at, detail: "{}".to_owned() };

        proxy.lose_answers(1);
        assert_eq!(bus.publish(&event).await, Ok(()));
        assert_eq!(test.receive().await.len(), 2, "at least once");

        proxy.lose_answers(4);
        let outcome = bus.publish(&event).await;
        assert!(matches!(outcome, Err(OutletError::Unavailable(_))), "{outcome:?}");
        assert_eq!(proxy.still_to_lose(), 0, "the answers were lost");
    })
    .await;
}
