//! Nothing goes wrong.

use contracts::backends::{DYNAMODB_LOCAL, with_tables};
use domain::object::Verdict;
use domain::property::Sensitivity;
use faults::{Settings, World, samples};
use std::sync::Arc;

use crate::worlds::{assert_complete, assert_tidy, in_memory, on_ledger};

async fn the_archive_holds_what_the_crm_holds(world: &World) {
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;

    assert_complete(world, &ended).await;
    assert_tidy(world, &backup).await;

    let manifest = world.exported(&backup).await.manifest;
    assert!(manifest.contains_sensitive_data);
    let rows: Vec<_> = manifest.files.iter().map(|file| (file.name.as_str(), file.rows, file.verdict)).collect();
    assert_eq!(
        rows,
        [
            ("contacts.csv", 350, Verdict::Exact),
            ("conversations.csv", 130, Verdict::Uncounted),
            ("p7654321_pets.csv", 3, Verdict::Exact),
        ]
    );
    assert_eq!(manifest.files[0].crm_total, Some(350));
    assert_eq!(manifest.files[1].crm_total, None);
    let sensitivity: Vec<_> = manifest.files[0].columns.iter().map(|column| column.sensitivity).collect();
    assert_eq!(
        sensitivity,
        [
            Sensitivity::NonSensitive,
            Sensitivity::NonSensitive,
            Sensitivity::HighlySensitive,
            Sensitivity::NonSensitive,
            Sensitivity::Sensitive
        ]
    );
    for file in &manifest.files {
        assert!(backup_window(&ended, file.window.from) && backup_window(&ended, file.window.to));
        assert!(file.window.from < file.window.to);
    }
}

fn backup_window(backup: &domain::backup::Backup, at: jiff::Timestamp) -> bool {
    backup.created_at <= at && backup.ended_at.is_some_and(|end| at <= end)
}

#[tokio::test(start_paused = true)]
async fn the_archive_holds_what_the_crm_holds_in_memory() {
    let world = in_memory(samples::one_of_everything(), Settings::default()).await;
    the_archive_holds_what_the_crm_holds(&world).await;
}

#[tokio::test(start_paused = true)]
async fn several_workers_make_the_same_archive() {
    for seed in 0..20 {
        let settings = Settings { workers: 6, seed, ..Settings::default() };
        the_archive_holds_what_the_crm_holds(&in_memory(samples::one_of_everything(), settings).await).await;
    }
}

#[tokio::test]
async fn the_archive_holds_what_the_crm_holds_on_dynamodb_local() {
    with_tables(DYNAMODB_LOCAL, async |ledger, _| {
        let settings = Settings { workers: 4, ..Settings::default() };
        let world = on_ledger(Arc::new(ledger), samples::one_of_everything(), settings).await;
        the_archive_holds_what_the_crm_holds(&world).await;
    })
    .await;
}
