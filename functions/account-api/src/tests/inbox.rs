//! Requests about notifications.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::account::Requester;
use domain::ids::BackupId;
use domain::notification::channel::Channel;
use domain::notification::delivery::{Delivery, FailedAttempt};
use domain::notification::{Event, Notification, examples};
use domain::ports::clock::Clock;
use domain::ports::ledger::{Change, Ledger};
use domain::{Failure, FailureKind};
use http_api::testing::account::{ADMIN, account_id};
use http_api::testing::{AUDIENCE, ApiCall, described, document, kind, problem};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::World;

const INBOX: &str = "/accounts/42/notifications";

/// Creates notifications about `count` failed backups of account 42, a minute apart.
async fn notified(world: &World, count: u8) -> Vec<Notification> {
    let mut all = Vec::new();
    for nth in 0..count {
        let now = world.clock.now() + SignedDuration::from_mins(nth.into());
        let backup_id = BackupId::new(now, [nth; 10]);
        let about = backup_id.random();
        let failure = Failure::new(FailureKind::CrmTokenRefused, "Connect again.");
        let event = Event::BackupFailed { backup_id, failure, paused_until: None };
        let by = Requester { subject: "user-1".to_owned(), email: None };
        let notification = Notification::new(account_id(), about, event, Some(by), now);
        world.ledger.commit(&[Change::create(&notification)]).await.expect("new");
        all.push(notification);
    }
    all
}

fn path(notification: &Notification) -> String {
    format!("{INBOX}/{}", notification.notification_id)
}

async fn get(world: &World, path: &str) -> Value {
    document(&world.described("GET", path, ADMIN, &json!({})).await)
}

async fn mark(world: &World, path: &str, read: bool) -> Value {
    document(&world.described("PATCH", path, ADMIN, &json!({ "read": read })).await)
}

#[tokio::test]
async fn the_inbox_lists_the_newest_first_and_counts_unread_notifications() {
    let world = World::with_account().await;
    assert_eq!(get(&world, INBOX).await, json!({"notifications": [], "unread": 0}), "nothing yet");
    let all = notified(&world, 3).await;
    let response = world.answer(ApiCall::get(INBOX).by(ADMIN).query("limit", "2")).await;
    described::check("GET", INBOX, &response);
    let page = document(&response);
    assert_eq!(page["unread"], 3);
    let ids = |page: &Value| {
        let listed = page["notifications"].as_array().expect("a list").iter();
        listed.map(|one| one["notificationId"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let expected: Vec<_> = all.iter().rev().map(|one| one.notification_id.to_string()).collect();
    assert_eq!(ids(&page), expected[..2]);
    let next = page["next"].as_str().expect("there are more");
    let rest = document(&world.answer(ApiCall::get(INBOX).by(ADMIN).query("cursor", next)).await);
    assert_eq!((ids(&rest), &rest["next"]), (expected[2..].to_vec(), &json!(null)));
}

#[tokio::test]
async fn each_user_has_their_own_read_marks() {
    let world = World::with_account().await;
    let all = notified(&world, 2).await;
    assert_eq!(mark(&world, &path(&all[0]), true).await["read"], true);
    assert_eq!(mark(&world, &path(&all[0]), true).await["read"], true, "again");
    assert_eq!(get(&world, INBOX).await["unread"], 1);
    let claims = json!({"sub": "user-2", "aud": AUDIENCE, "token_use": "id", "cognito:groups": ADMIN});
    let other = document(&world.answer(ApiCall::get(INBOX).with_claims(&claims)).await);
    assert_eq!(other["unread"], 2, "another user has read none");
    assert_eq!(mark(&world, &path(&all[0]), false).await["read"], false);
    assert_eq!(get(&world, INBOX).await["unread"], 2);
}

#[tokio::test]
async fn a_notification_contains_its_event_path_and_deliveries() {
    let world = World::with_account().await;
    let [one] = &notified(&world, 1).await[..] else { unreachable!("one") };
    let begun = Delivery::new(&one.reference(), Channel::Webhook, one.at).begin(one.at).expect("due");
    let why = FailedAttempt {
        reason: "the receiver answered with status 500".into(),
        may_retry: true,
        reached: BTreeSet::new(),
    };
    let failed = begun.failed(1, &why, Duration::from_mins(1), one.at);
    world.ledger.commit(&[Change::create(&failed.expect("begun"))]).await.expect("new");
    let shown = get(&world, &path(one)).await;
    assert_eq!((&shown["event"], &shown["failure"]["kind"]), (&json!("backup-failed"), &json!("crm-token-refused")));
    assert!(shown["path"].as_str().is_some_and(|path| path.starts_with("/accounts/42/backups/")), "{shown}");
    assert_eq!(
        shown["deliveries"],
        json!([{
            "channel": "webhook", "state": "pending", "attempts": 1, "nextAttemptAt": "2026-11-22T17:01:00Z",
            "lastError": "the receiver answered with status 500",
        }])
    );
}

#[tokio::test]
async fn a_notification_is_deleted_after_ninety_days() {
    let world = World::with_account().await;
    let [one] = &notified(&world, 1).await[..] else { unreachable!("one") };
    world.clock.advance(SignedDuration::from_hours(90 * 24));
    assert_eq!(get(&world, INBOX).await, json!({"notifications": [], "unread": 0}));
    for response in [
        world.described("GET", &path(one), ADMIN, &json!({})).await,
        world.described("PATCH", &path(one), ADMIN, &json!({"read": true})).await,
        world.described("GET", &format!("{INBOX}/x"), ADMIN, &json!({})).await,
    ] {
        assert_eq!(problem(&response), (404, kind("notification-unknown")));
    }
}

#[tokio::test]
async fn every_event_and_all_its_members_are_documented() {
    let world = World::with_account().await;
    let documented = include_str!("../../../../docs/events.md");
    for (nth, event) in (0_u8..).zip(examples::every_event()) {
        for (name, _) in serde_json::to_value(&event).expect("JSON").as_object().expect("members") {
            assert!(documented.contains(&format!("`{name}`")), "{name} of {}", event.slug());
        }
        assert!(documented.contains(&format!("| `{}` | {} |", event.slug(), event.title())), "{}", event.slug());
        let notification = Notification::new(account_id(), [nth; 10], event, None, world.clock.now());
        world.ledger.commit(&[Change::create(&notification)]).await.expect("new");
    }
    let shown = get(&world, INBOX).await;
    assert_eq!(shown["notifications"].as_array().map(Vec::len), Some(examples::every_event().len()));
}
