//! The contract of object storage on every storage.

use contracts::backends::{LOCALSTACK_S3, MINISTACK, with_bucket};
use contracts::storage;

macro_rules! on_every_storage {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::storage::$case(&::in_memory::MemoryStorage::new()).await;
            })+
        }
        mod ministack {
            $(#[tokio::test]
            async fn $case() {
                super::with_bucket(super::MINISTACK, async |blobs, _| super::storage::$case(&blobs).await).await;
            })+
        }
        mod localstack_s3 {
            $(#[tokio::test]
            async fn $case() {
                super::with_bucket(super::LOCALSTACK_S3, async |blobs, _| super::storage::$case(&blobs).await).await;
            })+
        }
    };
}

on_every_storage!(
    an_absent_object_is_absent,
    objects_are_read_as_they_were_written,
    ranges_outside_of_the_object_are_refused,
    a_source_is_read_unless_it_has_changed,
    an_object_is_not_written_over,
    one_writer_of_several_at_once_wins,
    a_sweep_takes_what_is_below_its_prefix,
    a_sweep_needs_a_prefix,
    a_sweep_takes_more_than_a_thousand,
    parts_make_an_object,
    a_part_written_again_replaces_the_former,
    ranges_of_objects_become_parts,
    copies_need_a_source_with_that_range,
    an_upload_does_not_replace_an_object,
    completing_names_parts_that_are_there,
    an_aborted_upload_is_over,
    all_uploads_below_a_prefix_are_aborted,
    a_link_is_valid_for_a_week_at_most,
);

/// Cases that some backends do not enforce. Each names the backends that do.
macro_rules! on {
    ($backend:ident: $($case:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $case() {
            super::with_bucket(super::$backend, async |blobs, _| super::storage::$case(&blobs).await).await;
        })+
    };
    ($($case:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $case() {
            super::storage::$case(&::in_memory::MemoryStorage::new()).await;
        })+
    };
}

mod memory_strictly {
    on!(
        ranges_of_small_objects_are_not_copied,
        small_parts_are_refused_unless_last,
        completing_names_parts_in_order,
        copies_need_the_source_that_was_meant,
    );
}

mod ministack_strictly {
    on!(MINISTACK: copies_need_the_source_that_was_meant, a_link_downloads_an_object, a_link_downloads_no_other_object);
}

mod localstack_s3_strictly {
    on!(LOCALSTACK_S3: small_parts_are_refused_unless_last, completing_names_parts_in_order, a_link_downloads_an_object);
}
