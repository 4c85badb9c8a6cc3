//! Listing an account's backups, and looking at one with its progress.

use domain::account::Account;
use domain::backup::{Backup, BackupState};
use domain::budget::WaitReason;
use domain::chunk::{Chunk, ChunkState, Reading};
use domain::ids::{AccountId, BackupId};
use domain::lease::{CrmTrouble, Leasing, Wait};
use domain::object::{ObjectExport, ObjectState};
use domain::ports::ledger::{self, Ledger, LedgerError, ListRequest};
use domain::work::BackupRef;
use jiff::Timestamp;

use crate::dispatch;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The account has no such backup.
    #[error("there is no such backup")]
    BackupUnknown,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Some of an account's backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPage {
    /// Newest first.
    pub backups: Vec<Backup>,
    /// What to list after for the next page, or None at the end.
    pub next: Option<BackupId>,
}

/// Lists an account's backups, newest first: `limit` at most, those older than `after` if given.
///
/// # Errors
/// [`ReadError`].
pub async fn list(
    ledger: &dyn Ledger,
    account: &AccountId,
    after: Option<&BackupId>,
    limit: u32,
) -> Result<BackupPage, ReadError> {
    if ledger.get(&Account::key_of(account)).await?.is_none() {
        return Err(ReadError::AccountUnknown);
    }
    let key_of =
        |backup_id: &BackupId| Backup::key_of(&BackupRef { account_id: account.clone(), backup_id: backup_id.clone() });
    let request = ListRequest {
        partition: Account::key_of(account).partition,
        prefix: Backup::PREFIX.to_owned(),
        after: after.map(|backup_id| key_of(backup_id).sort),
        newest_first: true,
        limit,
    };
    let page = ledger.list(&request).await?;
    let loaded = page.records.into_iter().map(|stored| Ok(ledger::read::<Backup>(stored)?.record));
    let backups = loaded.collect::<Result<Vec<_>, LedgerError>>()?;
    let next = backups.last().filter(|_| page.more).map(|backup| backup.backup_id.clone());
    Ok(BackupPage { backups, next })
}

/// A backup and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupProgress {
    /// The backup.
    pub backup: Backup,
    /// Its objects as far as they are discovered, by name.
    pub objects: Vec<ObjectProgress>,
    /// Set when nobody can do anything for it at the moment.
    pub waiting: Option<Waiting>,
}

/// What a backup waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// When it goes on by itself.
    pub until: Timestamp,
    /// Why not before.
    pub reason: WaitReason,
    /// Since when the CRM has been in the way, or a run gives no sign of life.
    pub since: Option<Timestamp>,
}

impl Waiting {
    /// What a leased item waits for: what it was left to wait for, or the end of a lease whose run was killed.
    fn of_leasing(leasing: &Leasing, now: Timestamp) -> Option<Self> {
        let Some(lease) = &leasing.lease else { return Self::of(leasing.wait, leasing.trouble, now) };
        let since = leasing.silent_since(now)?;
        Some(Self { until: lease.expires_at.max(now), reason: WaitReason::RunsEnding, since: Some(since) })
    }

    fn of(wait: Option<Wait>, trouble: CrmTrouble, now: Timestamp) -> Option<Self> {
        let Wait { until, reason } = wait.filter(|wait| wait.until > now)?;
        Some(Self { until, reason, since: trouble.since().filter(|_| reason == WaitReason::CrmUnavailable) })
    }
}

/// How far an object is, with what is read but not committed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectProgress {
    /// The object as the ledger knows it.
    pub object: ObjectExport,
    /// Records read.
    pub records: u64,
    /// Pages read.
    pub pages: u64,
    /// CSV bytes made of them.
    pub plain_bytes: u64,
    /// From 0 to 1; 1 only when exported. None while the number of records to expect is unknown.
    pub share_done: Option<f64>,
    /// Estimate of the seconds until it is exported, from the rate so far. None without anything to estimate from.
    pub seconds_left: Option<u64>,
}

/// Looks at a backup.
///
/// # Errors
/// [`ReadError`].
pub async fn read(ledger: &dyn Ledger, backup: &BackupRef, now: Timestamp) -> Result<BackupProgress, ReadError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    let found = loaded.ok_or(ReadError::BackupUnknown)?.record;
    let objects = dispatch::objects(ledger, &backup.backup_id).await?;
    let mut at_work = Vec::new();
    if matches!(found.state, BackupState::Discovering | BackupState::Exporting) {
        // Read after the objects: a commit in between is missed for a moment, and never counted twice.
        let chunks = dispatch::present_chunks(ledger, &backup.backup_id, &objects).await?;
        at_work.extend(chunks.into_iter().map(|c| c.record).filter(|chunk| chunk.state == ChunkState::Ready));
    }
    let waiting = waiting(&found, &at_work, &objects, now);
    let objects = objects.into_iter().map(|object| object_progress(object, &at_work, now)).collect();
    Ok(BackupProgress { backup: found, objects, waiting })
}

fn object_progress(object: ObjectExport, at_work: &[Chunk], now: Timestamp) -> ObjectProgress {
    let chunks = at_work.iter().filter(|chunk| chunk.key.object_type == object.definition.object_type);
    let read = chunks.fold(Reading::default(), |sum, chunk| Reading {
        records: sum.records + chunk.reading.records,
        pages: sum.pages + chunk.reading.pages,
        plain_bytes: sum.plain_bytes + chunk.reading.plain_bytes,
    });
    let records = object.records + read.records;
    let pages = object.pages + read.pages;
    let plain_bytes = object.plain_bytes + read.plain_bytes;
    let (share_done, seconds_left) = if object.state == ObjectState::Exported {
        (Some(1.0), Some(0))
    } else {
        let elapsed = now.duration_since(object.window_from).as_secs_f64();
        let expected = object.counts.before;
        (expected.map(|expected| share(records, expected)), expected.and_then(|e| seconds_left(records, e, elapsed)))
    };
    ObjectProgress { object, records, pages, plain_bytes, share_done, seconds_left }
}

/// More records than expected can turn up, so what is not exported is never shown as more than 99% done.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(records: u64, expected: u64) -> f64 {
    if expected == 0 { 0.0 } else { (records as f64 / expected as f64).min(0.99) }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither negative nor near the limit")]
fn seconds_left(records: u64, expected: u64, elapsed: f64) -> Option<u64> {
    let rate = records as f64 / elapsed;
    (elapsed > 0.0 && records > 0).then(|| (expected.saturating_sub(records) as f64 / rate).ceil() as u64)
}

/// What a backup waits for: its own next step, or the first of its chunks and of the objects to be closed, if none of them
/// is being worked on.
fn waiting(backup: &Backup, at_work: &[Chunk], objects: &[ObjectExport], now: Timestamp) -> Option<Waiting> {
    let of = |leasing: &Leasing| Waiting::of_leasing(leasing, now);
    match backup.state {
        BackupState::Queued | BackupState::Discovering | BackupState::Assembling => of(&backup.leasing),
        BackupState::Exporting => {
            let reading = at_work.iter().map(|chunk| of(&chunk.leasing));
            let closing = objects.iter().filter(|object| object.is_closing());
            // Counts that lag behind are asked for again in a moment; that is work and not a reason to worry.
            let closing = closing.map(|object| {
                let waiting = Waiting::of(object.close_wait, object.close_trouble, now);
                waiting.filter(|waiting| waiting.reason != WaitReason::CountsLag)
            });
            reading.chain(closing).collect::<Option<Vec<_>>>()?.into_iter().min_by_key(|wait| wait.until)
        }
        BackupState::Completed | BackupState::Failed | BackupState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::object::{Committed, Counts, Verdict};
    use domain::ports::ledger::Change;
    use in_memory::MemoryLedger;
    use jiff::SignedDuration;
    use proptest::prelude::*;

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
        let reading = Reading { records: 200, pages: 2, plain_bytes: 6_000 };
        chunk.lease("run", NOW, MINUTE * 2).expect("free").reading(1, reading).expect("leased")
    }

    fn waiting_until(chunk: &Chunk, until: Timestamp, reason: WaitReason) -> Chunk {
        let leased = chunk.lease("run", NOW, MINUTE).expect("free");
        leased.release(1, Some(Wait { until, reason }), NOW).expect("leased")
    }

    #[tokio::test]
    async fn progress_counts_what_is_read_and_not_yet_committed() {
        let (ledger, backup) = exporting(|chunk| working(&chunk)).await;

        let progress = read(&ledger, &backup.reference(), NOW + MINUTE).await.expect("present");

        let object = &progress.objects[0];
        assert_eq!((object.records, object.pages, object.plain_bytes), (500, 5, 15_000));
        assert_eq!((object.share_done, object.seconds_left), (Some(0.5), Some(60)));
        assert_eq!(progress.waiting, None);
    }

    #[tokio::test]
    async fn an_exported_object_is_done_whatever_was_expected() {
        let backup = samples::exporting(1);
        let (object, _) = samples::discovered(&backup, "contacts", Some(1_000));
        let added = Committed { records: 990, chunk_done: true, ..Committed::default() };
        let counts = Counts { before: Some(1_000), after: Some(990), created: Some(0) };
        let object = object.commit(1, &added, NOW).expect("open").close(1, counts, NOW, NOW).expect("all done");
        let ledger = MemoryLedger::new();
        ledger.commit(&[Change::create(&backup), Change::create(&object)]).await.expect("empty ledger");

        let progress = read(&ledger, &backup.reference(), NOW + MINUTE).await.expect("present");

        let object = &progress.objects[0];
        assert_eq!((object.share_done, object.seconds_left), (Some(1.0), Some(0)));
        assert_eq!(object.object.verdict, Some(Verdict::Exact));
    }

    #[tokio::test]
    async fn a_backup_whose_chunks_all_wait_says_until_when_and_why() {
        let midnight = NOW + SignedDuration::from_hours(5);
        let (ledger, backup) = exporting(|chunk| waiting_until(&chunk, midnight, WaitReason::DailyLimit)).await;
        let progress = read(&ledger, &backup.reference(), NOW).await.expect("present");
        assert_eq!(progress.waiting, Some(Waiting { until: midnight, reason: WaitReason::DailyLimit, since: None }));
    }

    #[test]
    fn a_backup_goes_on_while_one_chunk_does_and_when_the_wait_is_over() {
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
    fn a_backup_waits_for_the_object_that_cannot_be_closed_yet() {
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
    async fn what_does_not_exist_is_unknown() {
        let ledger = MemoryLedger::new();
        let listed = list(&ledger, &samples::account_id("42"), None, 10).await;
        assert!(matches!(listed, Err(ReadError::AccountUnknown)));
        let found = read(&ledger, &samples::queued(1).reference(), NOW).await;
        assert!(matches!(found, Err(ReadError::BackupUnknown)));
    }

    proptest! {
        /// Whatever the CRM counts and however many records turn up, an object that is not exported never looks done.
        #[test]
        fn what_is_not_exported_is_never_shown_as_done(
            records in 0_u64..2_000,
            expected in prop::option::of(0_u64..1_500),
            elapsed in 0_i64..100_000,
        ) {
            let (object, _) = samples::discovered(&samples::exporting(1), "contacts", expected);
            let object = ObjectExport { records, ..object };
            let progress = object_progress(object, &[], NOW + SignedDuration::from_secs(elapsed));
            prop_assert_eq!(progress.share_done.is_some(), expected.is_some());
            prop_assert!(progress.share_done.is_none_or(|share| (0.0..=0.99).contains(&share)));
            if let (Some(left), Some(expected)) = (progress.seconds_left, expected) {
                prop_assert!(records > 0 && elapsed > 0);
                prop_assert_eq!(left == 0, records >= expected);
            }
        }
    }
}
