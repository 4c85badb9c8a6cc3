//! The contract of ledgers on every ledger.

use contracts::backends::{Backend, DYNAMODB_LOCAL, MINISTACK, raw_item, with_tables};
use contracts::ledger;
use domain::ports::ledger::{Change, DueList, Key, Ledger, due_shard};
use jiff::Timestamp;
use serde_json::json;

macro_rules! on_every_ledger {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::ledger::$case(&::in_memory::MemoryLedger::new()).await;
            })+
        }
        mod dynamodb_local {
            $(#[tokio::test]
            async fn $case() {
                super::on(super::DYNAMODB_LOCAL, async |ledger| super::ledger::$case(&ledger).await).await;
            })+
        }
        mod ministack {
            $(#[tokio::test]
            async fn $case() {
                super::on(super::MINISTACK, async |ledger| super::ledger::$case(&ledger).await).await;
            })+
        }
    };
}

#[tokio::test]
async fn one_record_twice_is_refused_in_memory() {
    ledger::one_record_twice_is_refused(&in_memory::MemoryLedger::new()).await;
}

#[tokio::test]
async fn one_record_twice_is_refused_by_ministack() {
    on(MINISTACK, async |ledger| ledger::one_record_twice_is_refused(&ledger).await).await;
}

/// The deployed table's index and its time to live use these attributes.
#[tokio::test]
async fn items_have_the_attributes_that_the_table_needs() {
    with_tables(DYNAMODB_LOCAL, async |ledger, tables| {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let change = Change {
            key: Key::new("p", "s"),
            expected: None,
            body: Some(json!({ "field": 1 })),
            format: 2,
            due_at: Some(at("2026-11-22T12:00:00.25Z")),
            due_in: DueList::Work,
            forget_at: Some(at("2026-11-23T12:00:00.25Z")),
        };
        ledger.commit(std::slice::from_ref(&change)).await.expect("committed");

        let item = raw_item(DYNAMODB_LOCAL, &tables.ledger, &change.key).await;

        let names: Vec<_> = item.keys().map(String::as_str).collect();
        let expected = ["dueAt", "dueShard", "forgetAt", "format", "partition", "record", "sort", "version", "writer"];
        assert_eq!(names, expected);
        assert_eq!(item["dueAt"].as_deref(), Some("1795348800250"));
        assert_eq!(item["dueShard"], Some(due_shard(&change.key).to_string()));
        assert_eq!(item["forgetAt"].as_deref(), Some("1795435201"));
        assert_eq!(item["format"].as_deref(), Some("2"));
        let undue = Change { expected: Some(1), due_at: None, forget_at: None, ..change };
        ledger.commit(&[undue]).await.expect("committed");
        let item = raw_item(DYNAMODB_LOCAL, &tables.ledger, &Key::new("p", "s")).await;
        assert!(["dueAt", "dueShard", "forgetAt"].iter().all(|name| !item.contains_key(*name)), "{item:?}");
    })
    .await;
}

/// Both kinds of entries are in the table whose roles may not delete.
#[tokio::test]
async fn entries_of_the_audit_log_are_in_its_own_table() {
    with_tables(DYNAMODB_LOCAL, async |ledger, tables| {
        for partition in ["AUDIT#42", "STRANGERS#42"] {
            let change = Change {
                key: Key::new(partition, "s"),
                expected: None,
                body: Some(json!({})),
                format: 1,
                due_at: None,
                due_in: DueList::Work,
                forget_at: None,
            };
            ledger.commit(std::slice::from_ref(&change)).await.expect("committed");
            let item = raw_item(DYNAMODB_LOCAL, &tables.audit_log, &change.key).await;
            assert_eq!(item["partition"].as_deref(), Some(partition));
        }
    })
    .await;
}

async fn on(backend: Backend, case: impl AsyncFnOnce(aws::DynamoDbLedger)) {
    with_tables(backend, async |ledger, _| case(ledger).await).await;
}

on_every_ledger!(
    an_absent_record_is_none,
    a_record_comes_back_as_it_was_written,
    large_records_are_kept_and_too_large_ones_refused,
    a_record_keeps_its_format,
    a_record_of_a_later_format_is_unreadable,
    members_added_by_a_later_version_stay,
    an_unreadable_record_delays_no_other,
    an_empty_commit_succeeds,
    an_existing_record_is_not_created_again,
    a_replacement_needs_the_present_version,
    a_transaction_changes_all_or_nothing,
    a_condition_alone_changes_nothing,
    the_size_of_a_transaction_is_bounded,
    one_of_several_at_once_wins,
    one_of_several_transactions_at_once_wins,
    a_partition_lists_in_order_both_ways,
    a_prefix_keeps_everything_else_out,
    a_list_starts_behind_a_key,
    pages_make_the_whole_list,
    a_list_may_be_megabytes,
    due_records_list_earliest_first,
    due_records_are_spread_over_shards,
    due_records_are_in_their_own_list,
    due_times_move_and_go,
    nothing_is_due_too_early,
    audit_records_list_newest_first,
    audit_records_share_a_transaction_with_others,
    audit_records_are_never_replaced,
    entries_about_strangers_are_replaced,
);
