//! The channels of a notification, each used once.

use Channel::{Email, EventBus, Webhook};
use DeliveryState::Delivered;
use in_memory::faults::{Fault, Faults, Sweep};

use super::*;

#[tokio::test]
async fn a_notification_goes_by_every_channel_of_the_account() {
    let world = World::new().await;

    let notification = world.announce().await;

    assert_eq!(world.states(&notification).await, [(Email, Delivered), (EventBus, Delivered), (Webhook, Delivered)]);
    assert_eq!(world.inbox().await.len(), 1);
    assert_eq!(world.mailer.sent().len(), 1);
    let events = world.bus.published();
    let event = &events[0];
    assert_eq!((event.detail_type.as_str(), event.at), ("Backup Completed", samples::NOW));
    let attempts = world.webhooks.attempts();
    assert_eq!((attempts[0].url.as_str(), attempts[0].id.as_str()), (HOOK, notification.notification_id.as_str()));
    assert_eq!((events.len(), attempts.len(), &event.detail), (1, 1, &attempts[0].body), "the same to both");
    let body: serde_json::Value = serde_json::from_str(&event.detail).expect("JSON");
    assert_eq!(body["event"], "backup-completed");
    assert_eq!(body["notificationId"], notification.notification_id.as_str());
    assert_eq!(body["accountId"], "42");
}

#[tokio::test]
async fn an_absent_channel_gets_no_delivery() {
    let nobody = Requester { email: None, ..samples::requester() };
    let with_mailer = World::new().await;
    with_mailer.edit_account(|account| account.notification_targets.webhook = None).await;
    let notification = with_mailer.tell_to(completed(), Some(nobody.clone())).await;
    with_mailer.notify().announce(&notification.reference()).await.expect("no faults");
    assert_eq!(with_mailer.states(&notification).await, [(EventBus, Delivered)], "nobody has an address");

    with_mailer.edit_account(|account| account.notification_targets.email = vec!["ops@example.com".to_owned()]).await;
    let notification = with_mailer.tell_to(completed(), Some(nobody)).await;
    with_mailer.notify().announce(&notification.reference()).await.expect("no faults");
    assert_eq!(with_mailer.states(&notification).await, [(Email, Delivered), (EventBus, Delivered)]);

    let world = World::new().await;
    let notification = world.tell().await;
    let without_mailer = Notify { mailer: None, ..world.notify() };
    without_mailer.announce(&notification.reference()).await.expect("no faults");
    assert_eq!(world.states(&notification).await, [(EventBus, Delivered), (Webhook, Delivered)]);
}

#[tokio::test]
async fn a_notification_announced_twice_is_sent_once() {
    let world = World::new().await;
    let notification = world.announce().await;
    world.notify().announce(&notification.reference()).await.expect("no faults");
    world.minutes_pass(10).await;
    let sent = (world.bus.published().len(), world.mailer.sent().len(), world.webhooks.attempts().len());
    assert_eq!((sent, world.inbox().await.len()), ((1, 1, 1), 1));
    assert_eq!(world.audit_log().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_notification_announced_twice_simultaneously_is_sent_once() {
    let counted = Faults::none();
    let world = World::new().await;
    let notification = world.tell().await;
    world.notify_as(&counted.worker()).announce(&notification.reference()).await.expect("no faults");

    let sweep = Sweep::expecting(20).up_to(counted.calls());
    sweep
        .of(Fault::CallHeld, async |faults| {
            let world = World::new().await;
            let notification = world.tell().await;
            let slow = world.notify_as(&faults.worker());
            let fast = async {
                faults.until_struck().await;
                world.notify().announce(&notification.reference()).await.expect("no faults");
                faults.release();
            };
            let reference = notification.reference();
            let (late, ()) = tokio::join!(slow.announce(&reference), fast);
            late.expect("no faults");

            let sent = (world.bus.published().len(), world.mailer.sent().len(), world.webhooks.attempts().len());
            assert_eq!(sent, (1, 1, 1), "{:?}", faults.struck());
            assert!(
                world.states(&notification).await.iter().all(|(_, state)| *state == Delivered),
                "{:?}",
                faults.struck()
            );
            assert_eq!(world.audit_log().await.len(), 1, "{:?}", faults.struck());
        })
        .await;
}

#[tokio::test]
async fn acts_of_the_deployment_are_audited_and_reminders_are_not() {
    let world = World::new().await;
    let notification = world.announce().await;
    let log = world.audit_log().await;
    assert_eq!((log.len(), log[0].action.as_str(), log[0].at), (1, "backup-completed", notification.at));
    assert_eq!((log[0].subject.as_deref(), log[0].source_address.as_deref()), (Some("user-1"), None));

    let backup_id = BackupId::new(samples::NOW, [7; 10]);
    let expiring = Event::BackupExpiring { backup_id, expires_at: samples::NOW + MINUTE };
    let reminder = world.tell_to(expiring, None).await;
    world.notify().announce(&reminder.reference()).await.expect("no faults");
    assert_eq!(world.audit_log().await.len(), 1);
}

#[tokio::test]
async fn a_message_about_an_absent_notification_does_nothing() {
    let world = World::new().await;
    let account = samples::account_id("42");
    let absent = Notification::new(account, [9; 10], completed(), None, samples::NOW).reference();
    world.notify().announce(&absent).await.expect("nothing to do");
    world.notify().deliver(&absent, Webhook).await.expect("nothing to do");
    assert!(world.bus.published().is_empty() && world.webhooks.attempts().is_empty());
}
