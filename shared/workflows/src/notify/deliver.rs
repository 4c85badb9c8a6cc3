//! Makes a delivery.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::account::Account;
use domain::notification::channel::Channel;
use domain::notification::delivery::{Delivery, DeliveryState, FailedAttempt};
use domain::notification::mail_hour::MOST_MAILS;
use domain::notification::{Event, Notification};
use domain::ports::ledger::{self, Change, Versioned};
use domain::ports::outlets::{BusEvent, OutletError};
use domain::ports::queue::LONGEST_DELAY;
use domain::ports::webhook::{WebhookError, WebhookMessage, WebhookRefused};
use domain::work::NotificationRef;
use jiff::Timestamp;

use super::{Notify, announce_soon, payload};
use crate::contention::{self, Attempt};
use crate::run::{StepError, delay_until};

/// The result of an attempt to deliver.
pub(super) enum Delivered {
    There,
    /// The delivery no longer has a recipient.
    Nobody,
    /// The account has got all e-mails that it may get before this time.
    TooMany(Timestamp),
    Failed(FailedAttempt),
}

impl Delivered {
    fn failed(reason: String, may_retry: bool) -> Self {
        Self::Failed(FailedAttempt { reason, may_retry, reached: BTreeSet::new() })
    }
}

impl Notify {
    /// Tries to deliver a notification by one channel, if the delivery is due. A failure is recorded, and tried again
    /// later. If a delivery is given up, a notification by the other channels says so.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn deliver(&self, reference: &NotificationRef, channel: Channel) -> Result<(), StepError> {
        let Some(begun) = contention::retry(|| self.begin(reference, channel)).await? else { return Ok(()) };
        let loaded = ledger::load::<Notification>(&*self.ledger, &Notification::key_of(reference)).await?;
        let delivered = match &loaded {
            Some(_) if begun.was_begun_too_often() => {
                Delivered::failed("the attempts ended before there was an answer".to_owned(), false)
            }
            Some(loaded) => self.attempt(&begun, &loaded.record).await?,
            None => Delivered::Nobody,
        };
        let requester = loaded.and_then(|loaded| match loaded.record.event {
            // A failed delivery creates one notification. If that one fails too, it creates no further one.
            Event::DeliveryGivenUp { .. } => None,
            _ => Some(loaded.record.requester),
        });
        let (ended, notification) =
            contention::retry(|| self.note(reference, &begun, &delivered, requester.as_ref())).await?;
        log(&ended);
        if let Some(notification) = notification {
            announce_soon(&*self.queue, &notification).await;
        }
        self.again(&ended).await;
        Ok(())
    }

    async fn begin(
        &self,
        reference: &NotificationRef,
        channel: Channel,
    ) -> Result<Attempt<Option<Delivery>>, StepError> {
        let Some(loaded) = self.load(reference, channel).await? else { return Ok(Attempt::Settled(None)) };
        let Ok(begun) = loaded.record.begin(self.clock.now()) else { return Ok(Attempt::Settled(None)) };
        Ok(contention::settle(self.ledger.commit(&[Change::replace(&loaded, &begun)]).await, Some(begun))?)
    }

    async fn load(
        &self,
        reference: &NotificationRef,
        channel: Channel,
    ) -> Result<Option<Versioned<Delivery>>, StepError> {
        Ok(ledger::load::<Delivery>(&*self.ledger, &Delivery::key_of(reference, channel)).await?)
    }

    async fn attempt(&self, begun: &Delivery, notification: &Notification) -> Result<Delivered, StepError> {
        let key = Account::key_of(&notification.account_id);
        match begun.channel {
            Channel::EventBus => {
                let event = BusEvent {
                    detail_type: notification.event.title().to_owned(),
                    at: notification.at,
                    detail: payload::of(notification),
                };
                Ok(of_outlet(self.bus.publish(&event).await))
            }
            Channel::Email => {
                let account = ledger::load::<Account>(&*self.ledger, &key).await?;
                self.send_mails(begun, notification, account.map(|account| account.record).as_ref()).await
            }
            Channel::Webhook => {
                let account = ledger::load::<Account>(&*self.ledger, &key).await?;
                let url = account.and_then(|account| account.record.notification_targets.webhook);
                let Some(url) = url else { return Ok(Delivered::Nobody) };
                Ok(self.post(notification, &url).await)
            }
        }
    }

    async fn post(&self, notification: &Notification, url: &str) -> Delivered {
        let secret = match self.secrets.webhook_secret(&notification.account_id).await {
            Ok(Some(secret)) => secret,
            Ok(None) => return of_webhook(Err(WebhookError::SecretUnusable)),
            // Counted as a failed attempt, so that the attempts come to an end.
            Err(error) => {
                tracing::warn!(%error, notification.id = %notification.notification_id, "delivery.secret-unreadable");
                return Delivered::failed("the webhook's secret could not be read".to_owned(), true);
            }
        };
        let message = WebhookMessage {
            id: notification.notification_id.as_str(),
            at: self.clock.now(),
            body: &payload::of(notification),
            secret: &secret,
        };
        of_webhook(self.webhooks.send(url, message).await)
    }

    /// Records the result of an attempt. If it was the last one, the notification about the failure comes second.
    async fn note(
        &self,
        reference: &NotificationRef,
        begun: &Delivery,
        delivered: &Delivered,
        requester: Option<&Option<domain::account::Requester>>,
    ) -> Result<Attempt<(Delivery, Option<Notification>)>, StepError> {
        let now = self.clock.now();
        let Some(loaded) = self.load(reference, begun.channel).await? else {
            return Ok(Attempt::Settled((begun.clone(), None)));
        };
        let next = match delivered {
            Delivered::There => loaded.record.delivered(now),
            Delivered::Nobody => loaded.record.dropped(now),
            Delivered::TooMany(until) => loaded.record.left_out(too_many(*until), now),
            Delivered::Failed(failed) => loaded.record.failed(begun.attempts, failed, self.first_pause, now),
        };
        // Another run has settled it, or is trying it again.
        let Ok(next) = next else { return Ok(Attempt::Settled((loaded.record, None))) };
        let notification = requester.filter(|_| next.state == DeliveryState::GivenUp).map(|requester| {
            let event = Event::DeliveryGivenUp {
                undelivered_id: reference.notification_id.clone(),
                channel: next.channel,
                reason: next.last_error.clone().unwrap_or_default(),
            };
            let about = reference.notification_id.random();
            Notification::new(reference.account_id.clone(), about, event, requester.clone(), now)
        });
        let mut changes = vec![Change::replace(&loaded, &next)];
        changes.extend(notification.as_ref().map(Change::create));
        Ok(contention::settle(self.ledger.commit(&changes).await, (next, notification))?)
    }

    /// Queues the next attempt if it is soon. recover-stalled queues the later ones.
    async fn again(&self, delivery: &Delivery) {
        let pause = delay_until(delivery.next_at, self.clock.now());
        if delivery.state != DeliveryState::Pending || pause > LONGEST_DELAY || pause == Duration::ZERO {
            return;
        }
        if let Err(error) = self.queue.send(&[delivery.work()], pause).await {
            tracing::warn!(%error, notification.id = %delivery.notification_id, "delivery.not-queued");
        }
    }
}

fn too_many(until: Timestamp) -> String {
    format!("an account gets at most {MOST_MAILS} e-mails an hour; the next one may be sent at {until:.0}")
}

fn of_outlet(answer: Result<(), OutletError>) -> Delivered {
    match answer {
        Ok(()) => Delivered::There,
        Err(error) => Delivered::failed(error.to_string(), matches!(error, OutletError::Unavailable(_))),
    }
}

/// A receiver may recover, and a name can be looked up again. A malformed secret, and a URL that is not allowed, stay
/// so until the webhook is set again.
fn of_webhook(answer: Result<(), WebhookError>) -> Delivered {
    match answer {
        Ok(()) => Delivered::There,
        Err(error) => {
            let stays = matches!(
                error,
                WebhookError::SecretUnusable
                    | WebhookError::Refused(WebhookRefused::Private | WebhookRefused::Malformed)
            );
            Delivered::failed(error.to_string(), !stays)
        }
    }
}

fn log(delivery: &Delivery) {
    let (account, id) = (&delivery.account_id, &delivery.notification_id);
    let channel = delivery.channel.slug();
    match (delivery.state, &delivery.last_error) {
        (DeliveryState::GivenUp, Some(error)) => {
            tracing::warn!(account.id = %account, notification.id = %id, channel, error, "delivery.given-up");
        }
        (DeliveryState::Pending, Some(error)) => {
            let attempts = delivery.attempts;
            tracing::info!(account.id = %account, notification.id = %id, channel, attempts, error, "delivery.failed");
        }
        (state, _) => tracing::info!(account.id = %account, notification.id = %id, channel, ?state, "delivery.ended"),
    }
}
