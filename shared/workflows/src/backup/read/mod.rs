//! Lists an account's backups, and reads one with its progress.

mod overall;

use domain::account::Account;
use domain::backup::{Backup, BackupState};
use domain::chunk::{Chunk, ChunkState, ReadSoFar};
use domain::ids::{AccountId, BackupId};
use domain::lease::WaitReason;
use domain::lease::{CrmTrouble, Leasing, Wait};
use domain::object::{ObjectExport, ObjectState};
use domain::ports::ledger::{self, Ledger, LedgerError, ListRequest};
use domain::work::BackupRef;
use jiff::Timestamp;

pub use self::overall::Overall;
use crate::backup::dispatch;
use crate::listing;

/// Why no backup was returned.
#[derive(Debug, thiserror::Error)]
pub enum ReadBackupsError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    #[error("there is no such backup")]
    BackupUnknown,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A page of an account's backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPage {
    pub backups: Vec<Backup>,
    /// The backup to list after for the next page. None at the end.
    pub next: Option<BackupId>,
    /// Backups left out because the present code cannot read them.
    pub left_out: usize,
}

/// Lists an account's backups, newest first: at most `limit`, older than `after` if given.
///
/// # Errors
/// [`ReadBackupsError`].
pub async fn list(
    ledger: &dyn Ledger,
    account: &AccountId,
    after: Option<&BackupId>,
    limit: u32,
) -> Result<BackupPage, ReadBackupsError> {
    if ledger.get(&Account::key_of(account)).await?.is_none() {
        return Err(ReadBackupsError::AccountUnknown);
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
    let next = listing::last_id(&page.records, Backup::PREFIX, BackupId::parse).filter(|_| page.more);
    let listing::Readable { records: backups, left_out } = listing::of_page(page.records);
    Ok(BackupPage { backups, next, left_out })
}

/// A backup and its progress.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupProgress {
    pub backup: Backup,
    /// The objects discovered so far, by name.
    pub objects: Vec<ObjectProgress>,
    pub overall: Overall,
    /// Set if no run can work on it at the moment.
    pub waiting: Option<Waiting>,
}

/// Why and until when a backup waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// When it continues by itself.
    pub until: Timestamp,
    pub reason: WaitReason,
    /// Since when the CRM has been unavailable, or since when a run has given no sign of life.
    pub since: Option<Timestamp>,
}

impl Waiting {
    /// The wait of a leased item: its own wait, or the rest of a lease whose run was killed.
    pub(crate) fn of_leasing(leasing: &Leasing, now: Timestamp) -> Option<Self> {
        let Some(lease) = &leasing.lease else { return Self::of(leasing.wait, leasing.trouble, now) };
        let since = leasing.silent_since(now)?;
        Some(Self { until: lease.expires_at.max(now), reason: WaitReason::RunsEnding, since: Some(since) })
    }

    fn of(wait: Option<Wait>, trouble: CrmTrouble, now: Timestamp) -> Option<Self> {
        let Wait { until, reason } = wait.filter(|wait| wait.until > now)?;
        Some(Self { until, reason, since: trouble.since().filter(|_| reason == WaitReason::CrmUnavailable) })
    }
}

/// The progress of an object, including records that are read but not yet committed.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectProgress {
    pub object: ObjectExport,
    /// Records read. Within a generation the number goes down only if a run and the records that it read are lost, or
    /// if a range is read again.
    pub records: u64,
    pub pages: u64,
    /// The bytes of the file so far, including its header line. 0 without records, because then there is no file.
    pub bytes: u64,
    /// From 0 to 1; 1 only when exported. None while the expected number of records is unknown.
    pub share_done: Option<f64>,
    /// Estimate of the seconds until it is exported, from the rate so far. None without a rate or an expected number.
    pub seconds_left: Option<u64>,
    /// Its backup ended before it was exported.
    pub is_unfinished: bool,
}

/// Reads a backup with its progress.
///
/// # Errors
/// [`ReadBackupsError`].
pub async fn read(ledger: &dyn Ledger, backup: &BackupRef, now: Timestamp) -> Result<BackupProgress, ReadBackupsError> {
    let loaded = ledger::load::<Backup>(ledger, &Backup::key_of(backup)).await?;
    let found = loaded.ok_or(ReadBackupsError::BackupUnknown)?.record;
    let (objects, chunks) = work(ledger, &found).await?;
    let waiting = waiting(&found, &chunks, &objects, now);
    let objects: Vec<_> =
        objects.into_iter().map(|object| object_progress(object, &chunks, found.state, now)).collect();
    let overall = overall::of(&found, &objects, waiting, now);
    Ok(BackupProgress { backup: found, objects, overall, waiting })
}

/// How often objects and chunks are listed at most, to get both as of the same moment.
const MOST_LOOKS: u32 = 4;

/// A backup's objects, and the chunks of their present generations. Objects are listed first. So rows that a chunk has
/// committed when it is listed may be missing in its object, but never the reverse. If the two lists do not agree, both
/// are listed again, up to [`MOST_LOOKS`] times.
async fn work(ledger: &dyn Ledger, backup: &Backup) -> Result<(Vec<ObjectExport>, Vec<Chunk>), LedgerError> {
    let is_read = matches!(backup.state, BackupState::Discovering | BackupState::Exporting);
    let was_interrupted = matches!(backup.state, BackupState::Failed | BackupState::Cancelled);
    let mut looks = 0;
    loop {
        looks += 1;
        let objects = dispatch::objects(ledger, &backup.backup_id).await?;
        if !is_read && !was_interrupted {
            return Ok((objects, Vec::new()));
        }
        let chunks = dispatch::present_chunks(ledger, &backup.backup_id, &objects).await?;
        let chunks: Vec<_> = chunks.into_iter().map(|chunk| chunk.record).collect();
        let at_one_moment = objects.iter().all(|object| committed(object, &chunks) == object.records);
        if at_one_moment || was_interrupted || looks == MOST_LOOKS {
            return Ok((objects, chunks));
        }
    }
}

fn of_object<'a>(object: &ObjectExport, chunks: &'a [Chunk]) -> impl Iterator<Item = &'a Chunk> {
    let object_type = object.definition.object_type.clone();
    chunks.iter().filter(move |chunk| chunk.key.object_type == object_type)
}

/// Records committed by the object's chunks.
fn committed(object: &ObjectExport, chunks: &[Chunk]) -> u64 {
    of_object(object, chunks).map(|chunk| chunk.records).sum()
}

/// A chunk's own record contains both the committed and the uncommitted number of records. So records are counted
/// there, and a commit in between is neither missed nor counted twice.
fn object_progress(object: ObjectExport, chunks: &[Chunk], state: BackupState, now: Timestamp) -> ObjectProgress {
    let is_exported = object.state == ObjectState::Exported;
    let is_unfinished = state.is_terminal() && !is_exported;
    let read = of_object(&object, chunks).filter(|_| !is_exported).fold(ReadSoFar::default(), |sum, chunk| ReadSoFar {
        records: sum.records + chunk.reading.records,
        pages: sum.pages + chunk.reading.pages,
        plain_bytes: sum.plain_bytes + chunk.reading.plain_bytes,
    });
    let records = object.records.max(committed(&object, chunks)) + read.records;
    let pages = object.pages + read.pages;
    let header_bytes = if records == 0 { 0 } else { object.header_bytes };
    let bytes = object.plain_bytes + read.plain_bytes + header_bytes;
    let expected = object.expected_records();
    let (share_done, seconds_left) = if is_exported {
        (Some(1.0), Some(0))
    } else {
        let elapsed = now.duration_since(object.window_from).as_secs_f64();
        let left = expected.filter(|_| !is_unfinished).and_then(|expected| seconds_left(records, expected, elapsed));
        (expected.map(|expected| share(records, expected)), left)
    };
    ObjectProgress { object, records, pages, bytes, share_done, seconds_left, is_unfinished }
}

/// The CRM can return more records than expected, so an unfinished object is never shown as more than 99% done.
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

/// The wait of a backup: that of its own next step, or the earliest among its chunks and the objects to be closed, if
/// no run is working on any of them.
fn waiting(backup: &Backup, chunks: &[Chunk], objects: &[ObjectExport], now: Timestamp) -> Option<Waiting> {
    let of = |leasing: &Leasing| Waiting::of_leasing(leasing, now);
    match backup.state {
        BackupState::Queued | BackupState::Discovering | BackupState::Assembling => of(&backup.leasing),
        BackupState::Exporting => {
            let at_work = chunks.iter().filter(|chunk| chunk.state == ChunkState::Ready);
            let reading = at_work.map(|chunk| of(&chunk.leasing));
            let closing = objects.iter().filter(|object| object.is_closing());
            // Counts that lag are requested again in a moment. That is work, not a wait to report.
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
mod tests;
