//! Object storage that silently keeps wrong bytes.

use domain::backup::BackupState;
use faults::{Settings, World, samples};
use in_memory::Damage;

use crate::cases::SMALL;
use crate::worlds::{assert_tidy, in_memory};

/// The archive gets damaged while it is written: the backup fails, and there is no archive to download.
async fn nothing_is_published(world: &World, damage: Damage) {
    world.blobs.damage_when_written(".zip", damage);
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Failed, "{damage:?}");
    assert_eq!(ended.failure.as_ref().map(|failure| failure.kind.as_str()), Some("archive-broken"), "{damage:?}");
    assert!(ended.archive.is_none(), "{damage:?}");
    assert_tidy(world, &backup).await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_archive_is_not_published() {
    for damage in [Damage::Altered(0), Damage::Cut(1), Damage::Cut(10)] {
        nothing_is_published(&SMALL.calm().await, damage).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_archive_that_was_made_in_parts_is_not_published() {
    for damage in [Damage::Altered(0), Damage::Cut(1)] {
        let objects = vec![samples::long_notes("contacts", 1_350, 8_000), samples::long_notes("deals", 150, 8_000)];
        nothing_is_published(&in_memory(objects, Settings::default()).await, damage).await;
    }
}
