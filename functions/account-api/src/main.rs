//! account-api: creates accounts, connects them to their CRM, and keeps their schedules, plans and notifications.

mod body;
mod handler;
mod inbox;
mod problems;
mod representation;
mod schedule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, QueueUrls, SystemClock};
use lambda::audit::AuditLog;
use lambda::config::{ApiConfig, Environment};
use lambda::{http, random, telemetry};
use webhook::HttpWebhooks;
use workflows::connect_account::ConnectAccount;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (api, tokens, base_urls) = (env.api(), env.crm_token_prefix(), env.crm_base_urls());
    let (secrets, private) = (env.webhook_secret_prefix(), env.webhook_private_targets());
    let queues = QueueUrls { notify: env.notify_queue_url(), ..QueueUrls::default() };
    let (api, tokens, base_urls, secrets, private) =
        env.finish(|| Some((api?, tokens?, base_urls?, secrets?, private?)))?;
    let ApiConfig { tables, audience, audit_kept_for } = api;
    let aws = Aws::load().await;
    let accounts = ConnectAccount {
        ledger: Arc::new(aws.ledger(tables)),
        tokens: Arc::new(aws.tokens(tokens)),
        webhook_secrets: Arc::new(aws.webhook_secrets(secrets)),
        webhooks: Arc::new(HttpWebhooks::new(private)?),
        new_webhook_secret: || webhook::new_secret(random::key()),
        queue: Arc::new(aws.queues(queues)),
        connector: Arc::new(hubspot::Connector::new(Arc::new(SystemClock))?),
        clock: Arc::new(SystemClock),
        base_urls,
    };
    let audit = AuditLog { ledger: accounts.ledger.clone(), kept_for: audit_kept_for, audience: audience.clone() };
    let handler = Handler { accounts, audience };
    http::serve(audit, |request| handler.handle(request)).await
}
