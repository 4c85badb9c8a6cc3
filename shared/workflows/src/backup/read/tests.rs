use domain::backup::BackupEvent;
use domain::object::{Committed, Counts, Verdict};
use domain::ports::ledger::Change;
use in_memory::MemoryLedger;
use jiff::SignedDuration;
use proptest::prelude::*;

mod busy;

use super::*;
use crate::samples::{self, NOW};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A ledger with an exporting backup, an object of 1,000 records of which 300 are committed, and its chunk.
async fn exporting(chunk: impl FnOnce(Chunk) -> Chunk) -> (MemoryLedger, Backup) {
    let ledger = MemoryLedger::new();
    let backup = samples::exporting(1);
    let (object, first) = samples::discovered(&backup, "contacts", Some(1_000));
    let added = Committed { records: 300, pages: 3, plain_bytes: 9_000, ..Committed::default() };
    let object = object.commit(1, &added, NOW).expect("exporting");
    let chunk = chunk(first.activate(NOW).expect("waiting"));
    let changes = [Change::create(&backup), Change::create(&object), Change::create(&chunk)];
    ledger.commit(&changes).await.expect("empty ledger");
    (ledger, backup)
}

fn working(chunk: &Chunk) -> Chunk {
    let reading = ReadSoFar { records: 200, pages: 2, plain_bytes: 6_000 };
    chunk.lease("run", NOW, MINUTE * 2).expect("free").reading(1, reading).expect("leased")
}

fn waiting_until(chunk: &Chunk, until: Timestamp, reason: WaitReason) -> Chunk {
    let leased = chunk.lease("run", NOW, MINUTE).expect("free");
    leased.release(1, Some(Wait { until, reason }), NOW).expect("leased")
}

#[tokio::test]
async fn progress_includes_records_that_are_not_yet_committed() {
    let (ledger, backup) = exporting(|chunk| working(&chunk)).await;

    let progress = read(&ledger, &backup.reference(), NOW + MINUTE).await.expect("present");

    let object = &progress.objects[0];
    let first_line = "hs_object_id\r\n".len() as u64;
    assert_eq!((object.records, object.pages, object.bytes), (500, 5, 15_000 + first_line));
    assert_eq!((object.share_done, object.seconds_left), (Some(0.5), Some(60)));
    assert_eq!(progress.waiting, None);
}

#[tokio::test]
async fn an_exported_object_is_done_with_any_expected_number() {
    let backup = samples::exporting(1);
    let (object, _) = samples::discovered(&backup, "contacts", Some(1_000));
    let added = Committed { records: 990, chunk_done: true, ..Committed::default() };
    let counts = Counts { before: Some(1_000), after: Some(990), created: Some(0) };
    let object = object.commit(1, &added, NOW).expect("open");
    let object = object.close(&object, counts, NOW, NOW).expect("all done");
    let ledger = MemoryLedger::new();
    ledger.commit(&[Change::create(&backup), Change::create(&object)]).await.expect("empty ledger");

    let progress = read(&ledger, &backup.reference(), NOW + MINUTE).await.expect("present");

    let object = &progress.objects[0];
    assert_eq!((object.share_done, object.seconds_left), (Some(1.0), Some(0)));
    assert_eq!(object.object.verdict, Some(Verdict::Exact));
}

#[tokio::test]
async fn a_backup_whose_chunks_all_wait_shows_until_when_and_why() {
    let midnight = NOW + SignedDuration::from_hours(5);
    let (ledger, backup) = exporting(|chunk| waiting_until(&chunk, midnight, WaitReason::DailyLimit)).await;
    let progress = read(&ledger, &backup.reference(), NOW).await.expect("present");
    assert_eq!(progress.waiting, Some(Waiting { until: midnight, reason: WaitReason::DailyLimit, since: None }));
}

#[test]
fn a_backup_does_not_wait_while_one_chunk_works_or_after_the_wait() {
    let backup = samples::exporting(1);
    let (_, chunk) = samples::discovered(&backup, "contacts", None);
    let chunk = chunk.activate(NOW).expect("waiting");
    let later = NOW + SignedDuration::from_hours(1);
    let sooner = NOW + MINUTE;
    let one = waiting_until(&chunk, later, WaitReason::DailyLimit);
    let other = waiting_until(&chunk, sooner, WaitReason::CrmUnavailable);
    let both = [one.clone(), other];
    let wait = Waiting { until: sooner, reason: WaitReason::CrmUnavailable, since: None };
    assert_eq!(waiting(&backup, &both, &[], NOW), Some(wait));
    assert_eq!(waiting(&backup, &both, &[], sooner), None);
    assert_eq!(waiting(&backup, &[one, working(&chunk)], &[], NOW), None);
    assert_eq!(waiting(&backup, &[], &[], NOW), None);
}

#[test]
fn a_backup_waits_for_an_object_that_cannot_be_closed_yet() {
    let backup = samples::exporting(1);
    let (object, _) = samples::discovered(&backup, "contacts", Some(0));
    let read = object.commit(1, &Committed { chunk_done: true, ..Committed::default() }, NOW).expect("exporting");
    let wait = Wait { until: NOW + MINUTE, reason: WaitReason::DailyLimit };
    let limited = read.close_later(wait, CrmTrouble::default());
    let waits = |since, Wait { until, reason }| Some(Waiting { until, reason, since });
    assert_eq!(waiting(&backup, &[], &[limited], NOW), waits(None, wait));
    let wait = Wait { reason: WaitReason::CrmUnavailable, ..wait };
    let (trouble, _) = CrmTrouble::default().unanswered(NOW - MINUTE);
    assert_eq!(waiting(&backup, &[], &[read.close_later(wait, trouble)], NOW), waits(Some(NOW - MINUTE), wait));
    let recount = Wait { until: NOW + MINUTE, reason: WaitReason::CountsLag };
    assert_eq!(waiting(&backup, &[], &[read.recount(recount)], NOW), None, "only for a moment");
    assert_eq!(waiting(&backup, &[], &[read], NOW), None, "it is being closed");
}

/// D9: the list of objects shows that no run works on them any longer.
#[tokio::test]
async fn the_objects_of_an_ended_backup_are_not_being_exported() {
    let (ledger, backup) = exporting(|chunk| working(&chunk)).await;
    let key = Backup::key_of(&backup.reference());
    samples::edit::<Backup>(&ledger, &key, |backup| {
        *backup = backup.apply(BackupEvent::Cancelled, NOW).expect("running");
    })
    .await;

    let progress = read(&ledger, &backup.reference(), NOW + MINUTE).await.expect("present");

    let object = &progress.objects[0];
    assert!(object.is_unfinished);
    assert_eq!((object.records, object.share_done, object.seconds_left), (500, Some(0.5), None));
    assert_eq!(progress.overall, Overall { share_done: Some(0.5 * 0.97), seconds_left: None });
}

fn seen(object: ObjectExport, state: BackupState) -> ObjectProgress {
    object_progress(object, &[], state, NOW + MINUTE)
}

/// D9: one figure for all objects, weighted by their expected numbers. A wait is added.
#[test]
fn the_progress_of_a_backup_is_that_of_all_its_objects() {
    let backup = samples::exporting(1);
    let of = |name: &str, expected: Option<u64>, records: u64| {
        let (object, _) = samples::discovered(&backup, name, expected);
        seen(ObjectExport { records, ..object }, BackupState::Exporting)
    };
    let overall = |objects: &[ObjectProgress], waiting| overall::of(&backup, objects, waiting, NOW + MINUTE);
    // 600 of 1,000 after a minute: another 40 seconds, plus 5 to assemble.
    let objects = [of("contacts", Some(900), 500), of("deals", Some(100), 150), of("conversations", None, 7)];
    let expected = Overall { share_done: Some(0.6 * 0.97), seconds_left: Some(40 + 5) };
    assert_eq!(overall(&objects, None), expected);
    let wait = Waiting { until: NOW + MINUTE * 2, reason: WaitReason::DailyLimit, since: None };
    assert_eq!(overall(&objects, Some(wait)).seconds_left, Some(40 + 5 + 60));
    assert_eq!(overall(&objects[2..], None), Overall::default(), "nothing to compare with");
    let left = [of("deals", Some(100), 150), of("conversations", None, 7)];
    assert_eq!(overall(&left, None).seconds_left, None, "only what nobody counts is left");
}

/// D9: during assembly the archive's size gives the remaining time.
#[test]
fn a_backup_that_is_being_assembled_has_an_estimate() {
    let backup = samples::assembling(1);
    let (object, _) = samples::discovered(&backup, "contacts", Some(10));
    let exported = ObjectExport { state: ObjectState::Exported, packed_bytes: 1_000_000_000, ..object };
    let at = |seconds: i64| {
        let objects = [seen(exported.clone(), BackupState::Assembling)];
        overall::of(&backup, &objects, None, NOW + SignedDuration::from_secs(seconds))
    };
    assert_eq!(at(0), Overall { share_done: Some(0.97), seconds_left: Some(15) });
    assert_eq!(at(14).seconds_left, Some(1));
    assert_eq!(at(15).seconds_left, None, "nobody knows");
    assert!(at(7).share_done > at(0).share_done && at(60).share_done == Some(0.99));
}

#[tokio::test]
async fn backups_are_listed_newest_first_page_by_page() {
    let ledger = MemoryLedger::new();
    let account = samples::connected_account("42");
    let backups = [samples::queued(1), samples::queued(2), samples::queued(3)];
    ledger.commit(&[Change::create(&account)]).await.expect("empty ledger");
    for backup in &backups {
        ledger.commit(&[Change::create(backup)]).await.expect("new");
    }
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = list(&ledger, &account.account_id, after.as_ref(), 2).await.expect("present");
        assert!(page.backups.len() <= 2);
        listed.extend(page.backups);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let newest_first: Vec<_> = backups.into_iter().rev().collect();
    assert_eq!(listed, newest_first);
}

#[tokio::test]
async fn an_absent_account_or_backup_is_unknown() {
    let ledger = MemoryLedger::new();
    let listed = list(&ledger, &samples::account_id("42"), None, 10).await;
    assert!(matches!(listed, Err(ReadBackupsError::AccountUnknown)));
    let found = read(&ledger, &samples::queued(1).reference(), NOW).await;
    assert!(matches!(found, Err(ReadBackupsError::BackupUnknown)));
}

proptest! {
    /// With any count of the CRM and any number of records, an unfinished object never looks done.
    #[test]
    fn an_unfinished_object_is_never_shown_as_done(
        records in 0_u64..2_000,
        expected in prop::option::of(0_u64..1_500),
        elapsed in 0_i64..100_000,
    ) {
        let (object, _) = samples::discovered(&samples::exporting(1), "contacts", expected);
        let object = ObjectExport { records, ..object };
        let now = NOW + SignedDuration::from_secs(elapsed);
        let progress = object_progress(object, &[], BackupState::Exporting, now);
        prop_assert_eq!(progress.share_done.is_some(), expected.is_some());
        prop_assert!(progress.share_done.is_none_or(|share| (0.0..=0.99).contains(&share)));
        if let (Some(left), Some(expected)) = (progress.seconds_left, expected) {
            prop_assert!(records > 0 && elapsed > 0);
            prop_assert_eq!(left == 0, records >= expected);
        }
    }
}
