//! The ledger's contract on every ledger.

use contracts::backends::{Backend, DYNAMODB_LOCAL, MINISTACK, with_table};
use contracts::ledger;

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

async fn on(backend: Backend, case: impl AsyncFnOnce(aws::DynamoDbLedger)) {
    with_table(backend, async |ledger, _| case(ledger).await).await;
}

on_every_ledger!(
    an_absent_record_is_none,
    a_record_comes_back_as_it_was_written,
    large_records_are_kept_and_too_large_ones_refused,
    nothing_to_change_is_fine,
    what_exists_is_not_created_again,
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
    due_times_move_and_go,
    nothing_is_due_too_early,
);
