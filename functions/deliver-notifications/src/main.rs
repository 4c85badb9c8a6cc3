//! deliver-notifications: delivers notifications by the event bus, by e-mail and by webhooks.

mod handler;

use std::sync::Arc;

use aws::{Aws, QueueUrls};
use runtime::config::Environment;
use runtime::telemetry;
use webhook::HttpWebhooks;
use worker::sqs;
use worker::wiring::Worker;
use workflows::notify::Notify;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (bus, sender, api_url) = (env.event_bus(), env.email_sender(), env.api_url());
    let (secrets, earlier_secrets) = (env.crm_token_prefix(), env.webhook_secret_prefix());
    let private = env.webhook_private_targets();
    let (tables, pause, kept_for) = (env.ledger_tables(), env.delivery_retry_base(), env.audit_retention());
    let queues = QueueUrls { notify: env.notify_queue_url(), ..QueueUrls::default() };
    let (tables, bus, sender, api_url, secrets, earlier_secrets, private, first_pause, audit_kept_for) =
        env.finish(|| {
            let secrets = (secrets?, earlier_secrets?);
            Some((tables?, bus?, sender?, api_url?, secrets.0, secrets.1, private?, pause?, kept_for?))
        })?;
    let aws = Aws::load().await;
    let worker = Worker::on(&aws, tables, queues);
    let notify = Notify {
        ledger: worker.ledger,
        queue: worker.queue,
        clock: worker.clock,
        bus: Arc::new(aws.event_bus(bus)),
        mailer: sender.map(|sender| Arc::new(aws.mailer(sender)) as _),
        webhooks: Arc::new(HttpWebhooks::new(private)?),
        secrets: Arc::new(aws.webhook_secrets(secrets, earlier_secrets)),
        api_url,
        first_pause,
        audit_kept_for,
    };
    sqs::serve(|work, _| handler::handle(&notify, work)).await
}
