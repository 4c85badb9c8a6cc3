//! Deliveries that fail at first.

use Channel::{Email, EventBus, Webhook};
use DeliveryState::{Delivered, Dropped, GivenUp, Pending};
use async_trait::async_trait;
use domain::ids::AccountId;
use domain::ports::secrets::SecretsError;
use domain::ports::webhook::{WebhookError, WebhookRefused};
use secrecy::SecretString;

use super::*;

const DOWN: WebhookError = WebhookError::Status(503);

/// More than all pauses of a delivery together.
const TWO_DAYS: u32 = 2 * 24 * 60;

/// The failed channels that the notifications about failed deliveries name, and the deliveries of those notifications.
async fn given_up(world: &World) -> Vec<(Channel, Vec<(Channel, DeliveryState)>)> {
    let mut all = Vec::new();
    for notification in &world.inbox().await {
        let Event::DeliveryGivenUp { channel, .. } = notification.event else { continue };
        all.push((channel, world.states(notification).await));
    }
    all.sort_by_key(|(channel, _)| *channel);
    all
}

#[tokio::test]
async fn a_webhook_that_fails_twice_gets_the_same_message_again_after_the_pauses() {
    let world = World::with(MemoryWebhooks::failing_first([DOWN, WebhookError::NoAnswer("timeout")])).await;

    let notification = world.announce().await;

    assert_eq!(world.webhook_delivery(&notification).await.state, Pending);
    let mut waited = Vec::new();
    while let Some(next) = world.queue.next_available_at() {
        world.clock.set(next);
        waited.push(next.duration_since(samples::NOW).as_mins());
        world.work_off(&world.notify()).await;
    }
    assert_eq!(waited, [1, 6], "after one minute, and after five more");
    let delivery = world.webhook_delivery(&notification).await;
    assert_eq!((delivery.state, delivery.attempts), (Delivered, 3));
    let attempts = world.webhooks.attempts();
    assert!(attempts.iter().all(|attempt| attempt.id == notification.notification_id.as_str()));
    assert!(attempts.iter().all(|attempt| attempt.body == attempts[0].body));
    let at: Vec<_> = attempts.iter().map(|attempt| attempt.at.duration_since(samples::NOW).as_mins()).collect();
    assert_eq!(at, [0, 1, 6], "each is signed with its own time");
    assert_eq!((world.bus.published().len(), world.mailer.sent().len()), (1, 1), "the others are not repeated");
}

#[tokio::test]
async fn a_delivery_is_not_tried_before_it_is_due() {
    let world = World::with(MemoryWebhooks::failing_first([DOWN])).await;
    let notification = world.announce().await;
    world.clock.advance(MINUTE - SignedDuration::from_millis(1));
    world.notify().deliver(&notification.reference(), Webhook).await.expect("nothing to do");
    assert_eq!(world.webhooks.attempts().len(), 1);
}

#[tokio::test]
async fn a_delivery_with_a_permanent_failure_is_given_up_at_once() {
    let world = World::with(MemoryWebhooks::failing_first([WebhookError::SecretUnusable])).await;
    let notification = world.announce().await;
    let delivery = world.webhook_delivery(&notification).await;
    assert_eq!((delivery.state, delivery.attempts), (GivenUp, 1));

    for why in [WebhookRefused::Private, WebhookRefused::Malformed] {
        let world = World::new().await;
        world.webhooks.refuse(HOOK, why);
        let notification = world.announce().await;
        let delivery = world.webhook_delivery(&notification).await;
        assert_eq!((delivery.state, delivery.attempts), (GivenUp, 1), "{why}");
        assert!(world.webhooks.attempts().is_empty());
    }
}

#[tokio::test]
async fn a_webhook_without_a_secret_is_given_up_and_not_sent_unsigned() {
    let world = World::new().await;
    let notify = Notify { secrets: Arc::new(MemoryWebhookSecrets::new()), ..world.notify() };
    let notification = world.tell().await;
    notify.announce(&notification.reference()).await.expect("no faults");
    assert_eq!(world.webhook_delivery(&notification).await.state, GivenUp);
    assert!(world.webhooks.attempts().is_empty());
}

#[tokio::test]
async fn a_host_without_an_address_is_looked_up_again() {
    let world = World::new().await;
    world.webhooks.refuse(HOOK, WebhookRefused::Unresolved);
    let notification = world.announce().await;
    assert_eq!(world.webhook_delivery(&notification).await.state, Pending);
}

#[tokio::test]
async fn a_delivery_is_given_up_after_seven_failures_and_announced_by_the_others() {
    let world = World::with(MemoryWebhooks::failing_first(vec![DOWN; 7])).await;
    let notification = world.announce().await;

    world.minutes_pass(TWO_DAYS).await;

    let delivery = world.webhook_delivery(&notification).await;
    assert_eq!((delivery.state, delivery.attempts), (GivenUp, 7));
    assert_eq!(world.webhooks.attempts().len(), 7);
    assert_eq!(given_up(&world).await, [(Webhook, vec![(Email, Delivered), (EventBus, Delivered)])]);
    let inbox = world.inbox().await;
    let about = inbox.iter().find(|notification| notification.event.slug() == "delivery-given-up");
    let about = about.expect("a notification");
    assert_eq!(about.requester, notification.requester);
    assert!(about.event.sentence().contains("webhook") && about.event.sentence().contains("503"));
    assert!(!about.event.sentence().contains(HOOK), "a webhook's path may be a secret");
    assert_eq!(about.path(), Some(format!("/accounts/42/notifications/{}", notification.notification_id)));
}

#[tokio::test]
async fn a_delivery_that_was_given_up_is_announced_once() {
    let world = World::new().await;
    world.webhooks.refuse(HOOK, WebhookRefused::Private);
    world.mailer.refuse("ada@example.com");

    let notification = world.announce().await;
    world.minutes_pass(10).await;

    assert_eq!(world.states(&notification).await, [(Email, GivenUp), (EventBus, Delivered), (Webhook, GivenUp)]);
    let expected = [
        (Email, vec![(EventBus, Delivered), (Webhook, GivenUp)]),
        (Webhook, vec![(Email, GivenUp), (EventBus, Delivered)]),
    ];
    assert_eq!(given_up(&world).await, expected, "each by the others only, and nothing about that");
    assert_eq!(world.inbox().await.len(), 3);
    assert_eq!(world.bus.published().len(), 3);
}

#[tokio::test]
async fn a_webhook_removed_meanwhile_gets_no_further_message() {
    let world = World::with(MemoryWebhooks::failing_first([DOWN])).await;
    let notification = world.announce().await;
    world.edit_account(|account| account.notification_targets.webhook = None).await;

    world.minutes_pass(5).await;

    let delivery = world.webhook_delivery(&notification).await;
    assert_eq!((delivery.state, delivery.ended_at.is_some()), (Dropped, true));
    assert_eq!(world.webhooks.attempts().len(), 1);
    assert!(given_up(&world).await.is_empty(), "somebody wanted it so");
}

#[tokio::test]
async fn a_webhook_moved_meanwhile_gets_the_message_at_its_new_url() {
    let world = World::with(MemoryWebhooks::failing_first([DOWN])).await;
    let notification = world.announce().await;
    let moved = "https://hooks.example.org/new";
    world.edit_account(|account| account.notification_targets.webhook = Some(moved.to_owned())).await;
    world.minutes_pass(5).await;
    assert_eq!(world.webhook_delivery(&notification).await.state, Delivered);
    assert_eq!(world.webhooks.attempts()[1].url, moved);
}

/// A secret store that does not answer.
struct AwaySecrets;

#[async_trait]
impl WebhookSecrets for AwaySecrets {
    async fn webhook_secret(&self, _: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        Err(SecretsError::Unavailable("no answer".to_owned()))
    }

    async fn store_webhook_secret(&self, _: &AccountId, _: &SecretString) -> Result<(), SecretsError> {
        Err(SecretsError::Unavailable("no answer".to_owned()))
    }

    async fn tidy(&self, _: &AccountId) -> Result<(), SecretsError> {
        Err(SecretsError::Unavailable("no answer".to_owned()))
    }
}

#[tokio::test]
async fn an_unavailable_secret_store_ends_a_delivery_like_an_unavailable_receiver() {
    let world = World::new().await;
    let away = Notify { secrets: Arc::new(AwaySecrets), ..world.notify() };
    let notification = world.tell().await;
    away.announce(&notification.reference()).await.expect("the failed attempt is noted");
    assert_eq!(world.webhook_delivery(&notification).await.state, Pending, "it may answer again");

    for _ in 0..TWO_DAYS {
        world.clock.advance(MINUTE);
        world.recover().await;
        world.work_off(&away).await;
    }

    let delivery = world.webhook_delivery(&notification).await;
    assert_eq!((delivery.state, delivery.attempts), (GivenUp, 7));
    assert_eq!(given_up(&world).await, [(Webhook, vec![(Email, Delivered), (EventBus, Delivered)])]);
}
