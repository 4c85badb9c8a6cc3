//! The contract of object storage on every storage.

use contracts::backends::{LOCALSTACK_S3, MINISTACK, with_bucket};
use contracts::objects;

macro_rules! on_every_storage {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::objects::$case(&::in_memory::MemoryObjects::new()).await;
            })+
        }
        mod ministack {
            $(#[tokio::test]
            async fn $case() {
                super::with_bucket(super::MINISTACK, async |objects, _| super::objects::$case(&objects).await).await;
            })+
        }
        mod localstack_s3 {
            $(#[tokio::test]
            async fn $case() {
                super::with_bucket(super::LOCALSTACK_S3, async |objects, _| super::objects::$case(&objects).await).await;
            })+
        }
    };
}

on_every_storage!(
    an_absent_object_is_absent,
    objects_are_read_as_they_were_written,
    ranges_outside_of_the_object_are_refused,
    an_object_is_not_written_over,
    one_writer_of_several_at_once_wins,
    a_sweep_takes_what_is_below_its_prefix,
    a_sweep_needs_a_prefix,
    a_sweep_takes_more_than_a_thousand,
    parts_make_an_object,
    a_part_written_again_replaces_the_former,
    ranges_of_objects_become_parts,
    copies_need_the_source_that_was_meant,
    an_upload_does_not_replace_an_object,
    completing_names_parts_that_are_there_in_order,
    an_aborted_upload_is_over,
    a_link_is_valid_for_a_week_at_most,
);

#[tokio::test]
async fn small_parts_are_refused_in_memory() {
    objects::small_parts_are_refused_unless_last(&in_memory::MemoryObjects::new()).await;
}

#[tokio::test]
async fn small_parts_are_refused_by_localstack() {
    with_bucket(LOCALSTACK_S3, async |bucket, _| objects::small_parts_are_refused_unless_last(&bucket).await).await;
}

#[tokio::test]
async fn ranges_of_small_objects_are_not_copied_in_memory() {
    objects::ranges_of_small_objects_are_not_copied(&in_memory::MemoryObjects::new()).await;
}

#[tokio::test]
async fn links_download_from_ministack() {
    with_bucket(MINISTACK, async |bucket, _| objects::a_link_downloads_one_object(&bucket).await).await;
}

#[tokio::test]
async fn links_download_from_localstack() {
    with_bucket(LOCALSTACK_S3, async |bucket, _| objects::a_link_downloads_one_object(&bucket).await).await;
}
