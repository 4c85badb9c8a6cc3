//! E-mails: their recipients and contents.

use domain::notification::examples;
use domain::ports::outlets::{Mail, OutletError};
use expect_test::expect_file;

use super::*;

#[tokio::test]
async fn an_email_names_the_route_that_makes_a_fresh_link_and_contains_no_download_link() {
    let world = World::new().await;
    world.announce().await;

    let sent = world.mailer.sent();
    let [mail] = sent.as_slice() else { panic!("one mail: {sent:?}") };
    let backup = BackupId::new(samples::NOW, [7; 10]);
    let link = format!("https://api.example.com/accounts/42/backups/{backup}/download");
    assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
    assert!(!mail.text.contains('?') && !mail.text.to_lowercase().contains("signature"), "{}", mail.text);
    assert_eq!(mail.subject, "Backup completed (account 42)");
}

#[tokio::test]
async fn the_requester_and_the_accounts_addresses_get_one_email_each_in_any_spelling() {
    let world = World::new().await;
    let addresses = ["Ada@Example.com", "ops@example.com", "OPS@example.com"].map(str::to_owned);
    world.edit_account(|account| account.notification_targets.email = addresses.to_vec()).await;

    world.announce().await;

    let sent = world.mailer.sent();
    let mut to: Vec<_> = sent.iter().map(|mail| mail.to.to_lowercase()).collect();
    to.sort();
    assert_eq!(to, ["ada@example.com", "ops@example.com"]);
}

#[tokio::test]
async fn a_notification_without_a_requester_goes_to_the_accounts_addresses() {
    let world = World::new().await;
    world.edit_account(|account| account.notification_targets.email = vec!["ops@example.com".to_owned()]).await;
    let event = Event::DeadLetters { step: "export".to_owned(), run_id: "a run".to_owned() };
    let notification = world.tell_to(event, None).await;
    world.notify().announce(&notification.reference()).await.expect("no faults");
    let sent = world.mailer.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].to, "ops@example.com");
    let text = &sent[0].text;
    assert!(text.contains("runbook") && !text.contains("https://") && !text.contains("ID token"), "{text}");
}

#[tokio::test]
async fn a_mail_is_sent_again_only_to_addresses_without_it() {
    let world = World::new().await;
    let addresses = ["down@example.com", "Ops@example.com"].map(str::to_owned);
    world.edit_account(|account| account.notification_targets.email = addresses.to_vec()).await;
    world.mailer.fail_next("down@example.com", OutletError::Unavailable("SendEmail: timed out".to_owned()));

    let notification = world.announce().await;

    let delivery = world.delivery(&notification, Channel::Email).await;
    assert_eq!(delivery.state, DeliveryState::Pending);
    assert_eq!(delivery.last_error.as_deref(), Some("1 of 3 recipients: not delivered: SendEmail: timed out"));
    world.minutes_pass(2).await;
    assert_eq!(world.delivery(&notification, Channel::Email).await.state, DeliveryState::Delivered);
    let mut to: Vec<_> = world.mailer.sent().into_iter().map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, ["Ops@example.com", "ada@example.com", "down@example.com"]);
}

#[tokio::test]
async fn a_refused_address_is_reported_and_the_others_get_their_mail() {
    let world = World::new().await;
    let addresses = ["gone@example.com", "ops@example.com"].map(str::to_owned);
    world.edit_account(|account| account.notification_targets.email = addresses.to_vec()).await;
    world.mailer.refuse("gone@example.com");

    let notification = world.announce().await;

    assert_eq!(world.delivery(&notification, Channel::Email).await.state, DeliveryState::GivenUp);
    assert_eq!(world.mailer.sent().len(), 2);
    let given_up = world.inbox().await.into_iter().filter_map(|notification| match notification.event {
        Event::DeliveryGivenUp { channel, reason, .. } => Some((channel, reason)),
        _ => None,
    });
    let reason = "1 of 3 recipients: refused: the recipient".to_owned();
    assert_eq!(given_up.collect::<Vec<_>>(), [(Channel::Email, reason)]);
}

/// B5: a loop of failing backups was an e-mail each time to each address, and the sender is that of all accounts.
#[tokio::test]
async fn an_account_gets_forty_mails_an_hour_and_the_last_says_so() {
    let world = World::new().await;
    let first = world.clock.now();
    let mut states = Vec::new();
    for _ in 0..100 {
        let notification = world.announce().await;
        states.push(world.delivery(&notification, Channel::Email).await.state);
        world.clock.advance(SignedDuration::from_secs(10));
    }
    let sent = world.mailer.sent();
    assert_eq!(sent.len(), 40);
    let says = |mail: &&Mail| mail.text.contains("the last e-mail before 2027-01-15T09:00:00Z");
    assert_eq!(sent.iter().filter(says).count(), 1);
    assert!(says(&&sent[39]) && sent[39].text.contains("https://api.example.com/accounts/42/notifications"));
    let dropped = states.iter().filter(|state| **state == DeliveryState::Dropped).count();
    assert_eq!((dropped, states[39]), (60, DeliveryState::Delivered));
    let given_up = |notification: &Notification| matches!(notification.event, Event::DeliveryGivenUp { .. });
    let inbox = world.inbox().await;
    assert_eq!((inbox.len(), inbox.iter().any(given_up)), (100, false), "all are in the inbox, and nothing else");
    let left_out = world.delivery(inbox.last().expect("a hundred"), Channel::Email).await;
    assert!(left_out.last_error.is_some_and(|why| why.contains("at most 40 e-mails an hour")));

    world.clock.set(first + SignedDuration::from_hours(1));
    world.announce().await;
    assert_eq!(world.mailer.sent().len(), 41);
}

#[tokio::test]
async fn several_recipients_share_the_mails_of_the_hour_and_each_gets_the_last_one() {
    let world = World::new().await;
    let addresses: Vec<_> = (0..10).map(|nth| format!("ops-{nth}@example.com")).collect();
    world.edit_account(|account| account.notification_targets.email = addresses).await;
    for _ in 0..10 {
        world.announce().await;
    }
    let sent = world.mailer.sent();
    let says = sent.iter().filter(|mail| mail.text.contains("the last e-mail before"));
    assert_eq!((sent.len(), says.count()), (33, 11));
}

/// The e-mails as people read them. After a wanted change: `UPDATE_EXPECT=1 cargo test -p workflows mail`.
#[tokio::test]
async fn the_emails_of_all_events_read_as_in_the_snapshot() {
    let world = World::new().await;
    let mut mails = Vec::new();
    for event in examples::every_event() {
        let notification = world.tell_to(event, None).await;
        let mail = world.notify().mail(&notification, "ops@example.com", None);
        mails.push(format!("Subject: {}\n\n{}", mail.subject, mail.text));
    }
    expect_file!["../../../tests/snapshots/emails.txt"].assert_eq(&mails.join("\n----\n\n"));
}
