//! Creates a delivery for every channel of a notification.

use domain::account::Account;
use domain::audit::AuditEntry;
use domain::notification::channel::Channel;
use domain::notification::delivery::Delivery;
use domain::notification::{Event, Notification};
use domain::ports::ledger::{self, Change};
use domain::work::NotificationRef;

use super::Notify;
use crate::contention::{self, Attempt};
use crate::run::StepError;

impl Notify {
    /// Creates the deliveries of a notification and its entry in the audit log in one transaction, and tries the
    /// deliveries. Does nothing if the notification was announced before.
    ///
    /// # Errors
    /// [`StepError`] when the message should be delivered again.
    pub async fn announce(&self, reference: &NotificationRef) -> Result<(), StepError> {
        let made = contention::retry(|| self.try_announce(reference)).await?;
        let tries = made.iter().map(|delivery| self.deliver(reference, delivery.channel));
        for tried in futures_util::future::join_all(tries).await {
            tried?;
        }
        Ok(())
    }

    async fn try_announce(&self, reference: &NotificationRef) -> Result<Attempt<Vec<Delivery>>, StepError> {
        let loaded = ledger::load::<Notification>(&*self.ledger, &Notification::key_of(reference)).await?;
        let Some(loaded) = loaded else { return Ok(Attempt::Settled(Vec::new())) };
        let now = self.clock.now();
        let Ok(announced) = loaded.record.announced(now) else { return Ok(Attempt::Settled(Vec::new())) };
        let account = ledger::load::<Account>(&*self.ledger, &Account::key_of(&reference.account_id)).await?;
        let channels = self.channels(&loaded.record, account.as_ref().map(|account| &account.record));
        let made: Vec<_> = channels.into_iter().map(|channel| Delivery::new(reference, channel, now)).collect();
        let mut changes = vec![Change::replace(&loaded, &announced)];
        changes.extend(made.iter().map(Change::create));
        changes.extend(AuditEntry::of(&loaded.record, self.audit_kept_for).as_ref().map(Change::create));
        Ok(contention::settle(self.ledger.commit(&changes).await, made)?)
    }

    /// The channels of a notification. A notification that one channel failed goes by the others.
    fn channels(&self, notification: &Notification, account: Option<&Account>) -> Vec<Channel> {
        let targets = account.map(|account| account.notification_targets.clone()).unwrap_or_default();
        let has_address = notification.requester.as_ref().is_some_and(|requester| requester.email.is_some());
        let mut channels = vec![Channel::EventBus];
        if self.mailer.is_some() && (has_address || !targets.email.is_empty()) {
            channels.push(Channel::Email);
        }
        if targets.webhook.is_some() {
            channels.push(Channel::Webhook);
        }
        if let Event::DeliveryGivenUp { channel: failed, .. } = &notification.event {
            channels.retain(|channel| channel != failed);
        }
        channels
    }
}
