//! The inbox: an account's notifications, as its people read them.

use domain::account::Account;
use domain::ids::{AccountId, NotificationId};
use domain::notification::Notification;
use domain::notification::delivery::Delivery;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, ListRequest};
use domain::work::NotificationRef;

use crate::contention::{self, Attempt};
use crate::listing;

/// Unread notifications are counted among this many of the newest; more than an account gets in 90 days.
const COUNTED: u32 = 1_000;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The account has no such notification, or not any more.
    #[error("there is no such notification")]
    Unknown,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Some of an account's notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    pub notifications: Vec<Notification>,
    /// What to list after for the next page, or None at the end.
    pub next: Option<NotificationId>,
    /// How many of all, not only of these, the reader has not read.
    pub unread: usize,
    /// How many are left out because the present code cannot read them.
    pub left_out: usize,
}

/// A notification and how it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub notification: Notification,
    /// Its deliveries by channels other than the inbox.
    pub deliveries: Vec<Delivery>,
}

/// Lists an account's notifications, newest first: `limit` at most, those older than `after` if given. `reader` is the
/// subject for whom the unread ones are counted.
///
/// # Errors
/// [`InboxError`].
pub async fn list(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    account: &AccountId,
    reader: &str,
    after: Option<&NotificationId>,
    limit: u32,
) -> Result<InboxPage, InboxError> {
    if ledger.get(&Account::key_of(account)).await?.is_none() {
        return Err(InboxError::AccountUnknown);
    }
    let page = newest(ledger, clock, account, after, limit).await?;
    let counted = newest(ledger, clock, account, None, COUNTED).await?;
    let unread = counted.notifications.iter().filter(|notification| !notification.is_read_by(reader)).count();
    Ok(InboxPage { unread, ..page })
}

/// Those that are kept of a page. None of them is counted as unread.
async fn newest(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    account: &AccountId,
    after: Option<&NotificationId>,
    limit: u32,
) -> Result<InboxPage, LedgerError> {
    let request = ListRequest {
        partition: Account::key_of(account).partition,
        prefix: Notification::PREFIX.to_owned(),
        after: after.map(|after| format!("{}{after}", Notification::PREFIX)),
        newest_first: true,
        limit,
    };
    let page = ledger.list(&request).await?;
    let now = clock.now();
    let last = listing::last_id(&page.records, Notification::PREFIX, NotificationId::parse);
    let listing::Readable { records: mut notifications, left_out } = listing::of_page::<Notification>(page.records);
    notifications.retain(|notification| !notification.is_forgotten(now));
    // Ids ascend with the time, but for those of dead letters: a page of which nothing is kept is the last one.
    let next = last.filter(|_| page.more && notifications.len() + left_out > 0);
    Ok(InboxPage { notifications, next, unread: 0, left_out })
}

/// Reads a notification with its deliveries.
///
/// # Errors
/// [`InboxError`].
pub async fn read(ledger: &dyn Ledger, clock: &dyn Clock, reference: &NotificationRef) -> Result<Told, InboxError> {
    let loaded = ledger::load::<Notification>(ledger, &Notification::key_of(reference)).await?;
    let notification = loaded.map(|loaded| loaded.record).filter(|found| !found.is_forgotten(clock.now()));
    let notification = notification.ok_or(InboxError::Unknown)?;
    let (partition, prefix) = (Account::key_of(&reference.account_id).partition, &reference.notification_id);
    let deliveries = ledger::list::<Delivery>(ledger, &partition, &Delivery::prefix(prefix)).await?;
    Ok(Told { notification, deliveries: deliveries.into_iter().map(|loaded| loaded.record).collect() })
}

/// Notes that `reader` has read a notification, or takes that back.
///
/// # Errors
/// [`InboxError`].
pub async fn mark(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    reference: &NotificationRef,
    reader: &str,
    read: bool,
) -> Result<Notification, InboxError> {
    contention::retry(|| async {
        let loaded = ledger::load::<Notification>(ledger, &Notification::key_of(reference)).await?;
        let loaded = loaded.filter(|found| !found.record.is_forgotten(clock.now())).ok_or(InboxError::Unknown)?;
        let marked = loaded.record.marked(reader, read);
        if marked == loaded.record {
            return Ok(Attempt::Settled(marked));
        }
        Ok(contention::settle(ledger.commit(&[Change::replace(&loaded, &marked)]).await, marked)?)
    })
    .await
}
