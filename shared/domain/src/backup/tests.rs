use jiff::SignedDuration;

use super::*;
use crate::{Failure, FailureKind};

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// With the lease that `discovering` holds.
const ADDED: BackupEvent = BackupEvent::ObjectAdded { lease: 1 };
const FINISHED: BackupEvent =
    BackupEvent::DiscoveryFinished { lease: 1, contains_sensitive_data: false, gaps: Vec::new() };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn queued() -> Backup {
    let backup =
        BackupRef { account_id: AccountId::parse("1").expect("valid"), backup_id: BackupId::new(at(0), [1; 10]) };
    let by = Requester { subject: "s".into(), email: None };
    Backup::accepted(backup, 1, ApiVersion::V2026_09, by, at(0))
}

fn discovering() -> Backup {
    queued().lease("a", at(1), MINUTE).expect("free")
}

#[test]
fn a_backup_is_assembled_after_all_objects_were_added_and_exported() {
    let backup = discovering().apply(ADDED, at(2)).expect("discovering");
    let backup = backup.apply(BackupEvent::ObjectExported, at(3)).expect("exported early");
    assert_eq!(backup.state, BackupState::Discovering);
    let backup = backup.apply(ADDED, at(4)).expect("discovering");
    let backup = backup.apply(FINISHED, at(5)).expect("discovering");
    assert_eq!((backup.state, backup.open_objects), (BackupState::Exporting, 1));
    let backup = backup.apply(BackupEvent::ObjectExported, at(6)).expect("exporting");
    assert_eq!(backup.state, BackupState::Assembling);
    assert!(backup.apply(BackupEvent::ObjectExported, at(7)).is_err());
}

#[test]
fn a_backup_without_objects_is_assembled_at_once() {
    let backup = discovering().apply(FINISHED, at(5)).expect("discovering");
    assert_eq!(backup.state, BackupState::Assembling);
}

#[test]
fn a_backup_that_has_ended_never_changes() {
    for end in [BackupEvent::Cancelled, BackupEvent::Failed(Failure::new(FailureKind::ExportFailed, "s"))] {
        let ended = queued().apply(end, at(1)).expect("running");
        for event in [BackupEvent::Cancelled, ADDED] {
            assert!(ended.apply(event, at(2)).is_err());
        }
        assert!(ended.lease("a", at(3), MINUTE).is_err());
    }
}

#[test]
fn a_backup_that_has_ended_is_due_until_it_is_swept() {
    assert!(queued().apply(BackupEvent::Swept, at(1)).is_err(), "it is needed still");
    let ended = queued().apply(BackupEvent::Cancelled, at(1)).expect("running");
    assert!(matches!(ended.work(), Some(Work::Sweep { .. })));
    let queued_again = ended.apply(BackupEvent::Requeued, at(200)).expect("not swept");
    assert_eq!(queued_again.due_at(), Some(at(200) + QUEUE_GRACE));

    let swept = queued_again.apply(BackupEvent::Swept, at(201)).expect("not swept");
    assert_eq!((swept.work(), swept.due_at()), (None, None));
    assert_eq!((swept.state, swept.ended_at), (BackupState::Cancelled, Some(at(1))));
    assert!(swept.apply(BackupEvent::Requeued, at(202)).is_err());
    assert!(swept.apply(BackupEvent::Swept, at(202)).is_err());
}

#[test]
fn a_run_that_lost_its_lease_changes_nothing() {
    let first = discovering();
    let second = first.lease("b", at(100), MINUTE).expect("ran out");
    for event in [ADDED, FINISHED, BackupEvent::Released { lease: 1, wait: None }] {
        assert!(second.apply(event, at(101)).is_err());
    }
}

#[test]
fn progress_of_discovery_gives_back_its_attempts() {
    let mut backup = queued();
    for attempt in 1..20 {
        backup = backup.lease("a", at(attempt * 100), MINUTE).expect("has attempts left");
        let added = BackupEvent::ObjectAdded { lease: backup.leasing.last_number };
        backup = backup.apply(added, at(attempt * 100)).expect("held");
    }
    assert_eq!(backup.open_objects, 20);
}

#[test]
fn an_archive_is_usable_until_it_is_deleted_or_expires() {
    assert_eq!(queued().usable_archive(at(1)), Err(NoArchive::NotCompleted(BackupState::Queued)));

    let assembling = discovering().apply(FINISHED, at(5)).expect("discovering");
    let assembling = assembling.lease("b", at(6), MINUTE).expect("free");
    let expires_at = at(100);
    let (storage_key, manifest_key, etag) = ("zip".into(), "manifest".into(), ETag("e".into()));
    let archive = Archive { storage_key, manifest_key, etag, bytes: 1, expires_at };
    let completed = assembling.apply(BackupEvent::Completed { lease: 2, archive: archive.clone() }, at(7));
    let completed = completed.expect("leased");
    let last = expires_at - SignedDuration::from_nanos(1);
    assert_eq!(completed.usable_archive(last), Ok(&archive));
    assert_eq!(completed.usable_archive(expires_at), Err(NoArchive::Expired(expires_at)));

    let by = Requester { subject: "s".into(), email: None };
    let deleted = completed.apply(BackupEvent::ArchiveDeleted(by.clone()), at(8)).expect("usable");
    for now in [at(8), expires_at] {
        assert_eq!(deleted.usable_archive(now), Err(NoArchive::Deleted(at(8))));
        assert!(deleted.apply(BackupEvent::ArchiveDeleted(by.clone()), now).is_err());
    }
}
