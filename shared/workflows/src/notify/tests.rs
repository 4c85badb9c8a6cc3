//! The common start of all tests of notifications.

mod announcing;
mod attempts;
mod faults;
mod mail;
mod reading;

use domain::account::Account;
use domain::account::Requester;
use domain::audit::AuditEntry;
use domain::ids::BackupId;
use domain::notification::channel::Channel;
use domain::notification::delivery::{Delivery, DeliveryState};
use domain::notification::{Event, Notification, Shortfalls};
use domain::ports::ledger::Change;
use domain::work::Work;
use in_memory::faults::Worker;
use in_memory::{
    ManualClock, MemoryDeadLetters, MemoryEventBus, MemoryLedger, MemoryMailer, MemoryQueue, MemoryWebhookSecrets,
    MemoryWebhooks,
};

use super::*;
use crate::recover::Recover;
use crate::run::StepError;
use crate::samples;

const HOOK: &str = "https://hooks.example.com/crm-backup";
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

struct World {
    ledger: Arc<MemoryLedger>,
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
    bus: Arc<MemoryEventBus>,
    mailer: Arc<MemoryMailer>,
    webhooks: Arc<MemoryWebhooks>,
    secrets: Arc<MemoryWebhookSecrets>,
}

impl World {
    /// An account with a webhook whose receiver is `webhooks`.
    async fn with(webhooks: MemoryWebhooks) -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let world = Self {
            ledger: Arc::new(MemoryLedger::new()),
            queue: Arc::new(MemoryQueue::new(clock.clone())),
            clock,
            bus: Arc::new(MemoryEventBus::new()),
            mailer: Arc::new(MemoryMailer::new()),
            webhooks: Arc::new(webhooks),
            secrets: Arc::new(MemoryWebhookSecrets::new()),
        };
        let mut account = samples::connected_account("42");
        account.notification_targets.webhook = Some(HOOK.to_owned());
        world.ledger.commit(&[Change::create(&account)]).await.expect("empty ledger");
        world.secrets.store_webhook_secret(&account.account_id, &"whsec_a2V5".into()).await.expect("stored");
        world
    }

    async fn new() -> Self {
        Self::with(MemoryWebhooks::new()).await
    }

    fn notify(&self) -> Notify {
        Notify {
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            bus: self.bus.clone(),
            mailer: Some(self.mailer.clone()),
            webhooks: self.webhooks.clone(),
            secrets: self.secrets.clone(),
            api_url: "https://api.example.com".to_owned(),
            first_pause: Duration::from_mins(1),
            audit_kept_for: SignedDuration::from_hours(400 * 24),
        }
    }

    fn notify_as(&self, worker: &Arc<Worker>) -> Notify {
        Notify {
            ledger: worker.wrap(self.ledger.clone()),
            queue: worker.wrap(self.queue.clone()),
            bus: worker.wrap(self.bus.clone()),
            mailer: Some(worker.wrap(self.mailer.clone())),
            webhooks: worker.wrap(self.webhooks.clone()),
            secrets: worker.wrap(self.secrets.clone()),
            ..self.notify()
        }
    }

    async fn edit_account(&self, change: impl FnOnce(&mut Account)) {
        samples::edit(&*self.ledger, &Account::key_of(&samples::account_id("42")), change).await;
    }

    /// Makes `event` true now, with `requester` as the person who requested it.
    async fn tell_to(&self, event: Event, requester: Option<Requester>) -> Notification {
        let (account, now) = (samples::account_id("42"), self.clock.now());
        let notification = Notification::new(account, samples::random(), event, requester, now);
        self.ledger.commit(&[Change::create(&notification)]).await.expect("a new notification");
        notification
    }

    /// Completes a backup of [`samples::requester`].
    async fn tell(&self) -> Notification {
        self.tell_to(completed(), Some(samples::requester())).await
    }

    /// Completes a backup and announces it.
    async fn announce(&self) -> Notification {
        let notification = self.tell().await;
        self.notify().announce(&notification.reference()).await.expect("no faults");
        notification
    }

    /// Handles the queued messages that can be received now.
    async fn work_off(&self, notify: &Notify) {
        while let Some(work) = self.queue.receive() {
            handle(notify, work).await.expect("no faults");
        }
    }

    /// Lets `times` minutes pass. Every minute handles its messages and its overdue work.
    async fn minutes_pass(&self, times: u32) {
        for _ in 0..times {
            self.clock.advance(MINUTE);
            self.recover().await;
            self.work_off(&self.notify()).await;
        }
    }

    async fn recover(&self) {
        let recover = Recover {
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            dead_letters: Arc::new(MemoryDeadLetters::new()),
        };
        assert_eq!(recover.round().await.expect("readable").failed, 0);
    }

    /// The notifications in the inbox, oldest first.
    async fn inbox(&self) -> Vec<Notification> {
        samples::records(&*self.ledger, Notification::PREFIX).await
    }

    async fn deliveries(&self, of: &Notification) -> Vec<Delivery> {
        samples::records(&*self.ledger, &Delivery::prefix(&of.notification_id)).await
    }

    /// The states of the deliveries, in order of their channels' slugs: e-mail, event bus, webhook.
    async fn states(&self, of: &Notification) -> Vec<(Channel, DeliveryState)> {
        let deliveries = self.deliveries(of).await;
        deliveries.into_iter().map(|delivery| (delivery.channel, delivery.state)).collect()
    }

    async fn delivery(&self, of: &Notification, channel: Channel) -> Delivery {
        let deliveries = self.deliveries(of).await;
        deliveries.into_iter().find(|delivery| delivery.channel == channel).expect("it goes by this channel")
    }

    async fn webhook_delivery(&self, of: &Notification) -> Delivery {
        self.delivery(of, Channel::Webhook).await
    }

    async fn audit_log(&self) -> Vec<AuditEntry> {
        samples::audit_log(&*self.ledger).await
    }
}

/// Handles one message like deliver-notifications.
async fn handle(notify: &Notify, work: Work) -> Result<(), StepError> {
    match work {
        Work::Announce { notification } => notify.announce(&notification).await,
        Work::Deliver { notification, channel } => notify.deliver(&notification, channel).await,
        other => panic!("no work of notifications: {other:?}"),
    }
}

fn completed() -> Event {
    Event::BackupCompleted {
        backup_id: BackupId::new(samples::NOW, [7; 10]),
        bytes: 1_000,
        expires_at: samples::NOW + SignedDuration::from_hours(14 * 24),
        contains_sensitive_data: false,
        shortfalls: Shortfalls::default(),
        another_allowed: false,
    }
}
