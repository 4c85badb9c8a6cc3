//! Lists and exports the audit log, and records acts that belong to no other change.

mod strangers;

use std::sync::Arc;
use std::time::Duration;

use domain::account::Account;
use domain::audit::{Act, AuditEntry, AuditFilter, minute_of};
use domain::ids::{AccountId, AuditEntryId};
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, ListRequest};
use domain::ports::storage::{BlobReader, BlobWriter, DownloadLinks, MultipartUploads, StorageError};
use domain::storage_keys;
use jiff::Timestamp;

use crate::growing_blob::{GrowingBlob, ObjectPorts};
use crate::link::Link;
use crate::listing;

pub use self::strangers::record_stranger;

/// Entries that one request reads at most, even if its filter selects few of them.
const LOOKED_AT: usize = 2_000;

/// Entries per read of the ledger.
const PER_READ: u32 = 500;

const HEADER: [&str; 11] =
    ["time", "subject", "email", "address", "action", "target", "outcome", "reason", "detail", "entryId", "requests"];

/// Why the audit log cannot be listed or exported.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// There are more entries than one export can write in its time.
    #[error("there is too much to export at once")]
    TooMuch,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Records an entry that belongs to no other change. Repeating it changes nothing.
///
/// # Errors
/// [`LedgerError`].
pub async fn record(ledger: &dyn Ledger, entry: &AuditEntry) -> Result<(), LedgerError> {
    match ledger.commit(&[Change::create(entry)]).await {
        // Ids are unique: an earlier try, whose answer was lost, has created the entry.
        Ok(()) | Err(LedgerError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Checks that the account exists. What operators and users in its groups have tried before its creation is listed once
/// it exists.
///
/// # Errors
/// [`AuditError::AccountUnknown`], [`AuditError::Ledger`].
pub async fn check_account(ledger: &dyn Ledger, account: &AccountId) -> Result<(), AuditError> {
    let found = ledger.get(&Account::key_of(account)).await?;
    found.map(drop).ok_or(AuditError::AccountUnknown)
}

/// A page of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// The entry to list after for the next page. None at the end. An empty page can have a next page.
    pub next: Option<AuditEntryId>,
    /// Entries left out because the present code cannot read them.
    pub left_out: usize,
}

/// Lists an account's entries that `filter` selects, newest first: at most `limit`, older than `after` if given.
///
/// # Errors
/// [`LedgerError`].
pub async fn list(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    account: &AccountId,
    filter: &AuditFilter,
    after: Option<&AuditEntryId>,
    limit: usize,
) -> Result<AuditPage, LedgerError> {
    let mut walk = Walk::new(account, filter, after, clock.now());
    let mut page = AuditPage { entries: Vec::new(), next: None, left_out: 0 };
    let mut looked_at = 0;
    while let Some(batch) = walk.next(ledger).await? {
        page.left_out = walk.unreadable.len();
        let mut batch = batch.into_iter();
        while let Some(entry) = batch.next() {
            looked_at += 1;
            page.next = (batch.len() > 0 || !walk.is_over).then(|| entry.entry_id.clone());
            if filter.takes(&entry, walk.now) {
                page.entries.push(entry);
            }
            if page.entries.len() >= limit || looked_at >= LOOKED_AT {
                return Ok(page);
            }
        }
    }
    page.next = None;
    Ok(page)
}

/// A walk over an account's entries, newest first.
struct Walk<'a> {
    partition: String,
    after: Option<String>,
    filter: &'a AuditFilter,
    now: Timestamp,
    is_over: bool,
    /// Entries left out because the present code cannot read them.
    unreadable: Vec<LedgerError>,
}

impl<'a> Walk<'a> {
    fn new(account: &AccountId, filter: &'a AuditFilter, after: Option<&AuditEntryId>, now: Timestamp) -> Self {
        // Ids start with a millisecond timestamp, so entries later than `until` sort after this id.
        let until = filter.until.map(|until| AuditEntryId::new(until, [u8::MAX; 10]).to_string());
        let after = after.map(ToString::to_string);
        // The older of the two.
        let after = match (after, until) {
            (Some(after), Some(until)) => Some(after.min(until)),
            (after, until) => after.or(until),
        };
        let partition = if filter.strangers { AuditEntry::stranger_partition } else { AuditEntry::partition };
        Self { partition: partition(account), after, filter, now, is_over: false, unreadable: Vec::new() }
    }

    /// The next entries. None if no entries are left, or only entries older than the filter's range.
    async fn next(&mut self, ledger: &dyn Ledger) -> Result<Option<Vec<AuditEntry>>, LedgerError> {
        if self.is_over {
            return Ok(None);
        }
        let request = ListRequest {
            partition: self.partition.clone(),
            prefix: String::new(),
            after: self.after.take(),
            newest_first: true,
            limit: PER_READ,
        };
        let page = ledger.list(&request).await?;
        let mut entries = Vec::with_capacity(page.records.len());
        for stored in page.records {
            self.after = Some(stored.key.sort.clone());
            match ledger::read::<AuditEntry>(stored) {
                Ok(entry) => entries.push(entry.record),
                Err(error) => {
                    listing::unreadable(&error);
                    self.unreadable.push(error);
                }
            }
        }
        self.is_over = !page.more || self.after.is_none();
        let read = entries.len();
        // Entries of one millisecond, and those about strangers of one minute, are unordered. So read all of `from`'s
        // minute.
        let from = self.filter.from.map(minute_of);
        entries.retain(|entry| from.is_none_or(|from| entry.at >= from));
        self.is_over |= entries.len() < read;
        Ok(Some(entries))
    }
}

/// Exports the audit log as a CSV file.
#[derive(Clone)]
pub struct ExportAuditLog {
    pub ledger: Arc<dyn Ledger>,
    pub clock: Arc<dyn Clock>,
    /// Checks what was written.
    pub reader: Arc<dyn BlobReader>,
    pub writer: Arc<dyn BlobWriter>,
    pub uploads: Arc<dyn MultipartUploads>,
    pub links: Arc<dyn DownloadLinks>,
}

impl ExportAuditLog {
    /// Writes the entries that `filter` selects as CSV for spreadsheets, newest first, and makes a link to the file
    /// that works for `valid_for`. Gives up at `ends`.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn export(
        &self,
        filter: &AuditFilter,
        act: &Act,
        valid_for: Duration,
        ends: Timestamp,
    ) -> Result<Link, AuditError> {
        let key = storage_keys::audit_export(&act.account_id, &act.entry_id);
        let ports = ObjectPorts { reader: &*self.reader, writer: &*self.writer, uploads: &*self.uploads };
        let mut object = GrowingBlob::new(ports, key, "text/csv");
        archive::report::write_line(HEADER, object.buffer());
        if let Err(error) = self.write(filter, &act.account_id, &mut object, ends).await {
            object.abandon().await;
            return Err(error);
        }
        let key = object.finish().await?;
        let now = self.clock.now();
        let name = format!("crm-backup-{}-audit-log.csv", act.account_id);
        let url = self.links.link(&key, &name, valid_for).await?;
        record(&*self.ledger, &act.succeeded(None)).await?;
        Ok(Link { url, expires_at: now + valid_for })
    }

    async fn write(
        &self,
        filter: &AuditFilter,
        account: &AccountId,
        object: &mut GrowingBlob<'_>,
        ends: Timestamp,
    ) -> Result<(), AuditError> {
        let mut walk = Walk::new(account, filter, None, self.clock.now());
        while let Some(batch) = walk.next(&*self.ledger).await? {
            // An incomplete file would look complete.
            if let Some(unreadable) = walk.unreadable.pop() {
                return Err(unreadable.into());
            }
            if self.clock.now() >= ends {
                return Err(AuditError::TooMuch);
            }
            for entry in batch.iter().filter(|entry| filter.takes(entry, walk.now)) {
                write_entry(entry, object.buffer());
            }
            object.flush().await?;
        }
        Ok(())
    }
}

fn write_entry(entry: &AuditEntry, out: &mut Vec<u8>) {
    fn or_empty(text: Option<&String>) -> &str {
        text.map_or("", String::as_str)
    }
    let reason = entry.reason.as_ref();
    let at = entry.at.to_string();
    let requests = entry.requests.map(|requests| requests.to_string());
    let cells = [
        at.as_str(),
        or_empty(entry.subject.as_ref()),
        or_empty(entry.email.as_ref()),
        or_empty(entry.source_address.as_ref()),
        &entry.action,
        or_empty(entry.target.as_ref()),
        entry.outcome.slug(),
        reason.map_or("", |reason| reason.kind.as_str()),
        reason.map_or("", |reason| reason.sentence.as_str()),
        entry.entry_id.as_str(),
        or_empty(requests.as_ref()),
    ];
    archive::report::write_line(cells, out);
}

#[cfg(test)]
mod tests;
