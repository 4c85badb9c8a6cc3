//! The inbox: an account's notifications and who has read them.

use domain::account::Account;
use domain::ids::{AccountId, NotificationId};
use domain::notification::Notification;
use domain::notification::delivery::Delivery;
use domain::ports::clock::Clock;
use domain::ports::ledger::{self, Change, Ledger, LedgerError, ListRequest};
use domain::work::NotificationRef;

use crate::contention::{self, Attempt};
use crate::listing;

/// Unread notifications are counted among this many of the newest: more than an account gets in 90 days.
const COUNTED: u32 = 1_000;

/// Why the inbox or a notification cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// No operator has created the account.
    #[error("there is no such account")]
    AccountUnknown,
    /// The account has no such notification, or no longer has it.
    #[error("there is no such notification")]
    Unknown,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A page of an account's notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    pub notifications: Vec<Notification>,
    /// The notification to list after for the next page. None at the end.
    pub next: Option<NotificationId>,
    /// Notifications that the reader has not read, in the whole inbox and not only on this page.
    pub unread: usize,
    /// Notifications left out because the present code cannot read them.
    pub left_out: usize,
}

/// A notification and its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationDetails {
    pub notification: Notification,
    /// Its deliveries by channels other than the inbox.
    pub deliveries: Vec<Delivery>,
}

/// Lists an account's notifications, newest first: at most `limit`, older than `after` if given. Unread notifications
/// are counted for the subject `reader`.
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

/// The notifications of a page that are still kept. Notifications left out do not count as unread.
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
    // Ids ascend with time, except those of dead letters. So a page without a kept notification is the last one.
    let next = last.filter(|_| page.more && notifications.len() + left_out > 0);
    Ok(InboxPage { notifications, next, unread: 0, left_out })
}

/// Reads a notification with its deliveries.
///
/// # Errors
/// [`InboxError`].
pub async fn read(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    reference: &NotificationRef,
) -> Result<NotificationDetails, InboxError> {
    let loaded = ledger::load::<Notification>(ledger, &Notification::key_of(reference)).await?;
    let notification = loaded.map(|loaded| loaded.record).filter(|found| !found.is_forgotten(clock.now()));
    let notification = notification.ok_or(InboxError::Unknown)?;
    let (partition, prefix) = (Account::key_of(&reference.account_id).partition, &reference.notification_id);
    let deliveries = ledger::list::<Delivery>(ledger, &partition, &Delivery::prefix(prefix)).await?;
    Ok(NotificationDetails { notification, deliveries: deliveries.into_iter().map(|loaded| loaded.record).collect() })
}

/// Marks a notification as read or unread by `reader`.
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
