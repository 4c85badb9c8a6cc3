//! Records are created and deleted while a backup runs, between its pages and around the boundaries of its chunks.

use std::collections::BTreeSet;

use domain::chunk::Chunk;
use domain::ids::RecordId;
use domain::object::Verdict;
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger;
use faults::crm::{Change, Cursors, Edit, Moment};
use faults::{Settings, World, samples};

use crate::worlds::{assert_tidy, in_memory};

/// Enough for two chunks and too few for more.
const RECORDS: u64 = 2_300;

async fn world() -> World {
    let settings = Settings { workers: 2, ..Settings::default() };
    in_memory(vec![samples::many_contacts(RECORDS, Cursors::Ids)], settings).await
}

/// Where the calm run splits the contacts, and how many pages it reads.
async fn calm() -> (RecordId, u64) {
    let world = world().await;
    let backup = world.request().await;
    world.to_the_end(&backup).await;
    let partition = format!("BACKUP#{}", backup.backup_id);
    let chunks = ledger::list::<Chunk>(&*world.ledger, &partition, "CHUNK#").await.expect("the ledger answers");
    let [_, right] = chunks.as_slice() else { panic!("two chunks, not {}", chunks.len()) };
    (right.record.key.lower, world.crm.change("contacts", |contacts| contacts.pages()))
}

/// Makes `changes`, each before its page, and checks what the archive holds.
async fn nothing_old_is_lost(changes: &[(u64, Change)]) {
    let world = world().await;
    let before: BTreeSet<u64> = world.crm.change("contacts", |contacts| {
        for (page, change) in changes {
            contacts.at_page(*page, *change);
        }
        contacts.ids().into_iter().map(|id| id.0).collect()
    });
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_tidy(&world, &backup).await;
    assert!(ended.archive.is_some(), "{changes:?}: {:?}", ended.failure);

    let after = world.crm.truth().remove("contacts.csv").expect("contacts are left");
    let exported = world.exported(&backup).await;
    let found = exported.table("contacts.csv").ids();
    let rows: BTreeSet<u64> = found.iter().copied().collect();
    assert!(found.is_sorted() && found.len() == rows.len(), "{changes:?}: in order, and none twice");
    let now: BTreeSet<u64> = after.ids().into_iter().collect();
    let lost: Vec<_> = before.intersection(&now).filter(|id| !rows.contains(id)).collect();
    assert!(lost.is_empty(), "{changes:?}: {lost:?} were there all the time");
    let invented: Vec<_> = rows.iter().filter(|id| !before.contains(id) && !now.contains(id)).collect();
    assert!(invented.is_empty(), "{changes:?}: {invented:?} were never there");

    let verdict = exported.manifest.files[0].verdict;
    assert!(matches!(verdict, Verdict::Exact | Verdict::Drift), "{changes:?}: {verdict:?}");
    assert_eq!(world.objects_of(&backup).await[0].mode, ReadMode::Ranges, "{changes:?}: ranges are honoured");
}

/// The records around a boundary: the last two of the left chunk, the first two of the right one.
fn around(bound: RecordId) -> [RecordId; 4] {
    let ids = samples::clumpy_ids(RECORDS);
    let place = ids.partition_point(|id| *id <= bound.0);
    [place - 2, place - 1, place, place + 1].map(|place| RecordId(ids[place]))
}

#[tokio::test(start_paused = true)]
async fn a_deletion_around_a_boundary_loses_nothing_else() {
    let (bound, pages) = calm().await;
    for page in 2..=pages {
        for id in around(bound) {
            nothing_old_is_lost(&[(page, Change::Delete(id))]).await;
            nothing_old_is_lost(&[(page, Change::DeleteOnceListed(id))]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_around_a_boundary_loses_nothing() {
    let (bound, pages) = calm().await;
    for page in 2..=pages {
        for id in around(bound) {
            nothing_old_is_lost(&[(page, Change::Create(samples::beside(id)))]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whole_pages_deleted_around_a_boundary_lose_nothing_else() {
    let (bound, pages) = calm().await;
    let ids = samples::clumpy_ids(RECORDS);
    let place = ids.partition_point(|id| *id <= bound.0);
    for page in (2..=pages).step_by(3) {
        for range in [place - 150..place, place..place + 150, place - 100..place + 100, place..ids.len()] {
            let gone: Vec<_> = ids[range].iter().map(|id| (page, Change::Delete(RecordId(*id)))).collect();
            nothing_old_is_lost(&gone).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn anything_at_any_time_loses_nothing() {
    let (bound, pages) = calm().await;
    let ids = samples::clumpy_ids(RECORDS);
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut changes = Vec::new();
        for _ in 0..random.usize(2..40) {
            let near = random.bool();
            let id = if near {
                *random.choice(around(bound).map(|id| id.0).iter()).expect("four")
            } else {
                ids[random.usize(..ids.len())]
            };
            let change = match random.u8(..4) {
                0 => Change::Delete(RecordId(id)),
                1 => Change::DeleteOnceListed(RecordId(id)),
                2 => Change::Create(samples::beside(RecordId(id))),
                _ => Change::Create(RecordId(ids[ids.len() - 1] + random.u64(1..1_000))),
            };
            changes.push((random.u64(2..=pages), change));
        }
        nothing_old_is_lost(&changes).await;
    }
}

/// The date of a creation can be set by an import, so what was created meanwhile cannot be counted for certain. An
/// import with old dates, while others delete as many records, looks like a loss: the ranges that lack records are read
/// again.
#[tokio::test(start_paused = true)]
async fn an_import_with_old_dates_is_found_by_counting_and_read() {
    let world = world().await;
    let (_, pages) = calm().await;
    let ids = samples::clumpy_ids(RECORDS);
    let (read, unread) = (&ids[..40], &ids[ids.len() - 40..]);
    let long_ago = samples::beginning() - jiff::SignedDuration::from_hours(24 * 300);
    let before: BTreeSet<u64> = world.crm.change("contacts", |contacts| {
        for (new, gone) in read.iter().zip(unread) {
            contacts.at_page(pages / 2, Change::Import(samples::beside(RecordId(*new)), long_ago));
            contacts.at_page(pages / 2, Change::Delete(RecordId(*gone)));
        }
        contacts.ids().into_iter().map(|id| id.0).collect()
    });

    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;

    assert!(ended.archive.is_some(), "{:?}", ended.failure);
    let exported = world.exported(&backup).await;
    let rows: BTreeSet<u64> = exported.table("contacts.csv").ids().into_iter().collect();
    let now: BTreeSet<u64> = world.crm.truth()["contacts.csv"].ids().into_iter().collect();
    assert!(before.intersection(&now).all(|id| rows.contains(id)), "nothing that was there all the time is lost");
    assert_eq!((rows, exported.manifest.files[0].verdict), (now, Verdict::Exact));
}

/// X09: reading begins before the count, so that a record that is created just after the last page is known to be new.
/// Nothing is read once more for it.
#[tokio::test(start_paused = true)]
async fn a_record_that_is_created_behind_the_last_page_is_not_looked_for() {
    let small = || in_memory(vec![samples::many_contacts(50, Cursors::Ids)], Settings::default());
    let calm = small().await;
    let backup = calm.request().await;
    calm.to_the_end(&backup).await;
    let pages = calm.crm.calls("page");

    let world = small().await;
    let last = *samples::clumpy_ids(50).last().expect("50 ids");
    let edit = Edit::Create(samples::beside(RecordId(last)));
    // The first count is that of discovery, the second one is made when the object is to be closed.
    world.crm.edit_at(Moment::CallOf("census", 2), "contacts", edit);
    let backup = world.request().await;
    world.to_the_end(&backup).await;

    assert_eq!(world.crm.calm(), 0, "the record was created");
    let exported = world.exported(&backup).await;
    assert_eq!(exported.table("contacts.csv").ids().len(), 50);
    assert_eq!(exported.manifest.files[0].verdict, Verdict::Drift);
    assert_eq!(world.crm.calls("page"), pages);
}
