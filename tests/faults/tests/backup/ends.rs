//! Lists that stop before their end, leave records out, or move while they are read; and the notifications about a
//! backup that stays short.

use domain::allowance::Allowance;
use domain::backup::{Backup, BackupState};
use domain::chunk::Chunk;
use domain::ids::RecordId;
use domain::notification::{Event, Notification};
use domain::object::{ObjectExport, Verdict};
use domain::ports::crm_model::ReadMode;
use domain::ports::ledger;
use domain::work::BackupRef;
use faults::crm::{Change, Cursors, Otherwise};
use faults::{Exported, Settings, SimulatedObject, World, samples};
use jiff::SignedDuration;

use crate::worlds::{assert_complete, assert_consistent, assert_tidy, in_memory};

const RECORDS: u64 = 5_000;

/// The id of the contact at `place`.
fn id(place: usize) -> RecordId {
    RecordId(samples::clumpy_ids(RECORDS)[place])
}

async fn world(contacts: SimulatedObject, workers: usize) -> World {
    in_memory(vec![contacts], Settings { workers, ..Settings::default() }).await
}

struct Read {
    ended: Backup,
    exported: Exported,
    object: ObjectExport,
    /// Where each chunk begins, in the order of ids.
    lower: Vec<RecordId>,
    pages: u64,
}

impl Read {
    fn verdict(&self) -> Verdict {
        self.exported.manifest.files[0].verdict
    }
}

async fn read(world: &World) -> Read {
    let before = world.crm.calls("page");
    let backup = world.request().await;
    let ended = world.to_the_end(&backup).await;
    assert_eq!(ended.state, BackupState::Completed, "{:?}", ended.failure);
    assert_consistent(world, &backup).await;
    assert_tidy(world, &backup).await;
    let object = world.objects_of(&backup).await.remove(0);
    let pages = world.crm.calls("page") - before;
    let prefix = Chunk::prefix(&object.definition.object_type, object.generation);
    let partition = Backup::partition(&backup.backup_id);
    let chunks = ledger::list::<Chunk>(&*world.ledger, &partition, &prefix).await.expect("the ledger answers");
    let lower = chunks.iter().map(|chunk| chunk.record.key.lower).collect();
    Read { ended, exported: world.exported(&backup).await, object, lower, pages }
}

/// As [`read`]; the archive must hold all that the CRM holds.
async fn read_all(world: &World) -> Read {
    let read = read(world).await;
    assert_complete(world, &read.ended).await;
    read
}

/// B1: one page without a next cursor is no end.
#[tokio::test(start_paused = true)]
async fn a_page_without_a_next_cursor_cuts_nothing_off() {
    for (cursors, workers) in [
        (Cursors::Ids, 1),
        (Cursors::Ids, 4),
        (Cursors::NextIds, 4),
        (Cursors::Opaque, 1),
        (Cursors::Opaque, 4),
        (Cursors::Offsets, 1),
    ] {
        let calm = read_all(&world(samples::many_contacts(RECORDS, cursors), workers).await).await;
        for page in [2, 3, 4, 20, 49, 50] {
            let mut contacts = samples::many_contacts(RECORDS, cursors);
            contacts.ends_once = Some(page);
            let read = read_all(&world(contacts, workers).await).await;
            assert_eq!(read.verdict(), Verdict::Exact, "{cursors:?}, page {page}");
            // Page 3 of an opaque list is a second look already: closing the object finds that it was no end.
            let is_second_look = page == 3 && matches!(cursors, Cursors::Opaque | Cursors::Offsets);
            assert_eq!(read.object.reopened, u32::from(is_second_look), "{cursors:?}, page {page}");
            assert!(read.pages <= calm.pages + 2, "{cursors:?}, page {page}: {} pages, not {}", read.pages, calm.pages);
        }
    }
}

/// B1: where nothing is counted, the page is asked for again as well.
#[tokio::test(start_paused = true)]
async fn a_page_without_a_next_cursor_cuts_no_conversations_off() {
    for run in [1, 290] {
        for page in [1, 2, 4, 12] {
            let mut threads = samples::many_contacts(1_250, Cursors::Ids).uncounted();
            threads.ends_once = Some(page);
            let export_run = SignedDuration::from_secs(run);
            let world = in_memory(vec![threads], Settings { export_run, ..Settings::default() }).await;
            assert_eq!(read_all(&world).await.verdict(), Verdict::Uncounted, "page {page}, runs of {run} s");
        }
    }
}

/// B1: a list that always ends too early is gone on with by searches, from where it ended, and nothing is read twice.
#[tokio::test(start_paused = true)]
async fn a_list_that_always_ends_early_is_gone_on_with_by_searches() {
    for cursors in [Cursors::Ids, Cursors::Opaque] {
        for workers in [1, 4] {
            for last in [0, 250, 2_600, 4_990, 4_998] {
                let mut contacts = samples::many_contacts(RECORDS, cursors);
                contacts.list_ends_at = Some(id(last));
                let read = read_all(&world(contacts, workers).await).await;
                let what = format!("{cursors:?}, {workers} workers, ends at {last}");
                assert_eq!((read.verdict(), read.object.mode), (Verdict::Exact, ReadMode::Ranges), "{what}");
                assert!(read.pages <= 50 + 25, "{what}: {} pages", read.pages);
            }
        }
    }
}

/// B1: a cut that the deletion of as many records hides in the counts.
#[tokio::test(start_paused = true)]
async fn deletions_hide_no_early_end() {
    for workers in [1, 4] {
        let mut contacts = samples::many_contacts(RECORDS, Cursors::Ids);
        contacts.list_ends_at = Some(id(4_996));
        for place in [3, 4, 5] {
            contacts.at_page(12, Change::Delete(id(place)));
        }
        let read = read(&world(contacts, workers).await).await;
        let rows = read.exported.table("contacts.csv").ids();
        assert!(rows.ends_with(&[id(4_997).0, id(4_998).0, id(4_999).0]), "{workers} workers: {:?}", rows.last());
    }
}

/// Records that the list never shows are found by counting range by range, and only their ranges are read again.
#[tokio::test(start_paused = true)]
async fn only_ranges_with_too_few_rows_are_read_again() {
    let calm = read_all(&world(samples::many_contacts(RECORDS, Cursors::Ids), 4).await).await;
    let bound = calm.lower[2];
    let above_a_bound = samples::clumpy_ids(RECORDS).iter().filter(|id| **id <= bound.0).count();
    for (places, reopened) in [
        (vec![7], 1),
        (vec![2_400], 1),
        (vec![2_400, 2_401, 2_700], 1),
        (vec![4_999], 1),
        // Once the range above shows it, the one below is read again too: it did not see it.
        (vec![above_a_bound], 2),
    ] {
        let mut contacts = samples::many_contacts(RECORDS, Cursors::Ids);
        contacts.unlisted = places.iter().map(|place| id(*place)).collect();
        let read = read_all(&world(contacts, 4).await).await;
        assert_eq!((read.verdict(), read.object.generation), (Verdict::Exact, 1), "{places:?}");
        assert_eq!(read.object.reopened, reopened, "{places:?}");
        assert!(read.pages < calm.pages + 20, "{places:?}: {} pages instead of {}", read.pages, calm.pages);
    }
}

/// An object whose list is empty is counted only when it is closed. That count finds what the list does not show.
#[tokio::test(start_paused = true)]
async fn a_list_that_is_wrongly_empty_is_not_believed() {
    for cursors in [Cursors::Ids, Cursors::Opaque] {
        let mut contacts = samples::many_contacts(300, cursors);
        contacts.unlisted = samples::clumpy_ids(300).into_iter().map(RecordId).collect();
        let read = read_all(&world(contacts, 4).await).await;
        assert_eq!((read.verdict(), read.object.records), (Verdict::Exact, 300), "{cursors:?}");
    }
    let world = world(samples::many_contacts(0, Cursors::Ids), 4).await;
    let read = read_all(&world).await;
    assert_eq!((read.object.verdict, read.object.reopened), (Some(Verdict::Exact), 0));
    assert_eq!(world.crm.calls("census"), 1, "counted once, when it is closed");
}

/// B2: with cursors that stand for a number of records, the deletion of one that was read moves another past the
/// cursor.
#[tokio::test(start_paused = true)]
async fn what_moves_past_the_cursor_of_a_list_is_not_lost() {
    for changes in [
        vec![Change::Delete(id(3))],
        // The counts before and after are the same.
        vec![Change::Delete(id(3)), Change::Create(RecordId(id(4_999).0 + 7))],
        (0..150).map(|place| Change::Delete(id(place))).collect(),
    ] {
        for (workers, run) in [(1, 290), (1, 2), (4, 290)] {
            let mut contacts = samples::many_contacts(RECORDS, Cursors::Offsets);
            for change in &changes {
                contacts.at_page(8, *change);
            }
            let export_run = SignedDuration::from_secs(run);
            let world = in_memory(vec![contacts], Settings { workers, export_run, ..Settings::default() }).await;
            let read = read_all(&world).await;
            assert_eq!(read.verdict(), Verdict::Exact, "{} changes, {workers} workers", changes.len());
        }
    }
}

/// The same, where that list also ends before the bound of its chunk and is gone on with by searches first.
#[tokio::test(start_paused = true)]
async fn what_moved_before_a_list_ended_early_is_not_lost() {
    let mut contacts = samples::many_contacts(RECORDS, Cursors::Offsets);
    contacts.list_ends_at = Some(id(1_200));
    contacts.at_page(16, Change::Delete(id(3)));
    let read = read_all(&world(contacts, 4).await).await;
    assert_eq!((read.verdict(), read.object.reopened), (Verdict::Exact, 2), "gone on with, then read again");
}

/// Where nothing was deleted, such a list is read once.
#[tokio::test(start_paused = true)]
async fn a_list_with_offsets_is_read_once_when_nothing_is_deleted() {
    let read = read_all(&world(samples::many_contacts(RECORDS, Cursors::Offsets), 1).await).await;
    assert_eq!((read.verdict(), read.object.reopened), (Verdict::Exact, 0));
    assert!(read.pages <= 53, "{} pages", read.pages);
}

/// The right neighbour of a boundary missed a record, and a deletion makes the counts agree all the same.
#[tokio::test(start_paused = true)]
async fn boundaries_show_what_the_counts_hide() {
    for skipped in [1, 30] {
        let mut contacts = samples::many_contacts(RECORDS, Cursors::OnlyGiven(Otherwise::Skips(skipped)));
        for place in 0..90 {
            contacts.at_page(20, Change::Delete(id(place)));
        }
        let world = world(contacts, 4).await;
        let read = read(&world).await;
        let rows = read.exported.table("contacts.csv").ids();
        let lost: Vec<_> = (90..5_000).map(|place| id(place).0).filter(|id| rows.binary_search(id).is_err()).collect();
        assert!(lost.is_empty(), "{skipped} skipped: {lost:?}");
        assert_eq!(read.object.generation, 1, "only the parts that missed records are read again");
    }
}

/// A list whose cursors are not known any more in another run: what was committed stays.
#[tokio::test(start_paused = true)]
async fn what_is_committed_stays_when_the_list_cannot_be_gone_on_with() {
    for otherwise in [Otherwise::Refused, Otherwise::Restarts] {
        let contacts = samples::many_contacts(RECORDS, Cursors::OnlyGiven(otherwise));
        let read = read_all(&world(contacts, 4).await).await;
        assert_eq!((read.object.generation, read.object.mode), (1, ReadMode::Ranges), "{otherwise:?}");
    }
}

async fn allowance(world: &World) -> Allowance {
    let loaded = ledger::load::<Allowance>(&*world.ledger, &Allowance::key_of(&world.account)).await;
    loaded.expect("the ledger answers").expect("an allowance").record
}

async fn event_of(world: &World, backup: &BackupRef) -> Event {
    let partition = format!("ACCOUNT#{}", world.account);
    let notifications =
        ledger::list::<Notification>(&*world.ledger, &partition, "NOTIFICATION#").await.expect("a list");
    let of_backup =
        |event: &Event| matches!(event, Event::BackupCompleted { backup_id, .. } if *backup_id == backup.backup_id);
    notifications.into_iter().map(|loaded| loaded.record.event).find(of_backup).expect("a notification")
}

/// What stays unexplained is short: it is said, each range is read again once, and the backup can be repeated once.
#[tokio::test(start_paused = true)]
async fn what_stays_unexplained_is_reported_and_may_be_repeated_once() {
    let mut contacts = samples::many_contacts(RECORDS, Cursors::Ids);
    contacts.phantoms = [samples::beside(id(2_500))].into();
    let world = world(contacts, 4).await;
    for may_repeat in [true, false] {
        let read = read(&world).await;
        assert_eq!((read.verdict(), read.exported.table("contacts.csv").rows.len()), (Verdict::Short, 5_000));
        assert!(read.object.reopened == 1 && read.pages < 140, "{} pages", read.pages);
        let event = event_of(&world, &read.ended.reference()).await;
        let Event::BackupCompleted { shortfalls, another_allowed, .. } = &event else { panic!("{event:?}") };
        assert_eq!((shortfalls.short.as_slice(), *another_allowed), (["CONTACTS".to_owned()].as_slice(), may_repeat));
        assert!(event.sentence().starts_with("The backup has fewer records than the CRM counts: CONTACTS."));
        assert_eq!(event.sentence().contains("does not count against the plan"), may_repeat, "{}", event.sentence());
        assert_eq!(allowance(&world).await.used_at.is_none(), may_repeat);
    }
    world.crm.change("contacts", |contacts| contacts.phantoms.clear());
    let read = read_all(&world).await;
    assert_eq!(allowance(&world).await.used_at, Some(read.ended.created_at));
}

/// What a calm backup asks for: nothing more than pages and one count before and after.
#[tokio::test(start_paused = true)]
async fn a_calm_backup_makes_no_call_more_than_it_needs() {
    let conversations = SimulatedObject::new("conversations", &["status"], 1..=250, samples::beginning());
    let contacts = samples::many_contacts(300, Cursors::Ids);
    let world = in_memory(vec![contacts, conversations.uncounted()], Settings::default()).await;
    read_all(&world).await;
    // One of discovery and three full ones; one, three, and the last of them again.
    assert_eq!(world.crm.calls("page"), 1 + 3 + 1 + 3 + 1);
    // Conversations are asked for as well, and have no count.
    assert_eq!(world.crm.calls("census"), 2 + 2);
    for search in ["count_in", "nth_after", "created_since", "existing"] {
        assert_eq!(world.crm.calls(search), 0, "{search}");
    }
}

/// A record that is created meanwhile makes the counts differ: one search proves the end.
#[tokio::test(start_paused = true)]
async fn where_the_counts_differ_one_search_and_one_look_prove_the_end() {
    let mut contacts = samples::many_contacts(300, Cursors::Ids);
    contacts.at_page(4, Change::Delete(id(3)));
    let world = in_memory(vec![contacts], Settings::default()).await;
    let read = read(&world).await;
    assert_eq!((read.verdict(), read.object.reopened), (Verdict::Drift, 0));
    let calls = ["nth_after", "existing", "count_in"].map(|method| world.crm.calls(method));
    assert_eq!(calls, [1, 0, 0]);
}
