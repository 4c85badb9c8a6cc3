//! Reading the inbox.

use domain::notification::KEPT_FOR;

use super::*;
use crate::notify::inbox::{self, InboxError, InboxPage};

impl World {
    /// Creates `count` notifications, a minute apart, the newest last.
    async fn tell_all(&self, count: usize) -> Vec<Notification> {
        let mut notifications = Vec::new();
        for _ in 0..count {
            self.clock.advance(MINUTE);
            notifications.push(self.tell().await);
        }
        notifications
    }

    async fn page(&self, reader: &str, after: Option<&Notification>, limit: u32) -> InboxPage {
        let (account, after) = (samples::account_id("42"), after.map(|after| &after.notification_id));
        inbox::list(&*self.ledger, &*self.clock, &account, reader, after, limit).await.expect("an account")
    }
}

#[tokio::test]
async fn the_inbox_lists_the_newest_first_page_by_page() {
    let world = World::new().await;
    let mut notifications = world.tell_all(5).await;
    notifications.reverse();

    let first = world.page("ada", None, 2).await;
    assert_eq!((first.notifications.as_slice(), first.unread), (&notifications[..2], 5));
    assert_eq!(first.next.as_ref(), Some(&notifications[1].notification_id));
    let second = world.page("ada", Some(&notifications[1]), 2).await;
    assert_eq!((second.notifications.as_slice(), second.unread), (&notifications[2..4], 5));
    let last = world.page("ada", Some(&notifications[3]), 2).await;
    assert_eq!((last.notifications.as_slice(), last.next), (&notifications[4..], None));
}

#[tokio::test]
async fn each_person_has_unread_notifications_of_their_own() {
    let world = World::new().await;
    let notifications = world.tell_all(3).await;
    let (ledger, clock, reference) = (&*world.ledger, &*world.clock, notifications[0].reference());

    for _ in 0..2 {
        inbox::mark(ledger, clock, &reference, "ada", true).await.expect("it is there");
        assert_eq!((world.page("ada", None, 10).await.unread, world.page("grace", None, 10).await.unread), (2, 3));
    }
    inbox::mark(ledger, clock, &reference, "ada", false).await.expect("it is there");
    assert_eq!(world.page("ada", None, 10).await.unread, 3);
}

#[tokio::test]
async fn a_notification_shows_how_it_was_delivered() {
    let world = World::new().await;
    let notification = world.announce().await;
    let read = inbox::read(&*world.ledger, &*world.clock, &notification.reference()).await.expect("it is there");
    assert_eq!(read.notification.notification_id, notification.notification_id);
    assert_eq!(read.deliveries, world.deliveries(&notification).await);
    assert_eq!(read.deliveries.len(), 3);
}

#[tokio::test]
async fn after_ninety_days_a_notification_is_gone_before_the_ledger_deletes_it() {
    let world = World::new().await;
    let notifications = world.tell_all(2).await;
    let (ledger, clock) = (&*world.ledger, &*world.clock);
    world.clock.set(notifications[0].at + KEPT_FOR);

    let page = world.page("ada", None, 10).await;

    assert_eq!((page.notifications.as_slice(), page.unread, page.next), (&notifications[1..], 1, None));
    let gone = inbox::read(ledger, clock, &notifications[0].reference()).await;
    assert!(matches!(gone, Err(InboxError::Unknown)));
    let gone = inbox::mark(ledger, clock, &notifications[0].reference(), "ada", true).await;
    assert!(matches!(gone, Err(InboxError::Unknown)));
    assert!(inbox::read(ledger, clock, &notifications[1].reference()).await.is_ok());
}

#[tokio::test]
async fn an_unknown_account_has_no_inbox() {
    let world = World::new().await;
    let unknown = samples::account_id("43");
    let refused = inbox::list(&*world.ledger, &*world.clock, &unknown, "ada", None, 10).await;
    assert!(matches!(refused, Err(InboxError::AccountUnknown)));
}
