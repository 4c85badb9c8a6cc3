//! Listing an account's backups, and looking at one with its progress.

use domain::account::Account;
use domain::backup::{Backup, BackupState};
use domain::chunk::{Chunk, ChunkState, Reading};
use domain::ids::{AccountId, BackupId};
use domain::lease::Wait;
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
    pub waiting: Option<Wait>,
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
    let waiting = waiting(&found, &at_work, now);
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

/// What a backup waits for: its own next step, or the first of its chunks if none of them is being worked on.
fn waiting(backup: &Backup, at_work: &[Chunk], now: Timestamp) -> Option<Wait> {
    match backup.state {
        BackupState::Queued | BackupState::Discovering | BackupState::Assembling => {
            backup.leasing.wait.filter(|wait| wait.until > now)
        }
        BackupState::Exporting => {
            let waits = at_work.iter().map(|chunk| chunk.leasing.wait.filter(|wait| wait.until > now));
            waits.collect::<Option<Vec<_>>>()?.into_iter().min_by_key(|wait| wait.until)
        }
        BackupState::Completed | BackupState::Failed | BackupState::Cancelled => None,
    }
}
