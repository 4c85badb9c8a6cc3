//! account-api: creates accounts, connects them to their CRM, and manages their schedules, plans and notifications.

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
use http_api::config::ApiConfig;
use http_api::serving;
use runtime::config::Environment;
use runtime::{random, telemetry};
use webhook::HttpWebhooks;
use workflows::change_account::ChangeAccount;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (api, tokens, base_urls) = (ApiConfig::from_env(&mut env), env.crm_token_prefix(), env.crm_base_urls());
    let (earlier_secrets, private) = (env.webhook_secret_prefix(), env.webhook_private_targets());
    let queues = QueueUrls { notify: env.notify_queue_url(), ..QueueUrls::default() };
    let (api, tokens, base_urls, earlier_secrets, private) =
        env.finish(|| Some((api?, tokens?, base_urls?, earlier_secrets?, private?)))?;
    let aws = Aws::load().await;
    let ledger = Arc::new(aws.ledger(api.tables.clone()));
    let accounts = ChangeAccount {
        ledger: ledger.clone(),
        tokens: Arc::new(aws.tokens(&tokens)),
        webhook_secrets: Arc::new(aws.webhook_secrets(tokens, earlier_secrets)),
        webhooks: Arc::new(HttpWebhooks::new(private)?),
        new_webhook_secret: || webhook::new_secret(random::key()),
        queue: Arc::new(aws.queues(queues)),
        connector: Arc::new(hubspot::Connector::new(Arc::new(SystemClock))?),
        clock: Arc::new(SystemClock),
        base_urls,
    };
    let audit = api.audit_log(ledger.clone());
    let step_up = api.step_up(ledger.clone(), accounts.clock.clone());
    let handler = Handler { ledger, clock: Arc::new(SystemClock), accounts, audience: api.audience, step_up };
    serving::serve(audit, |request| handler.handle(request)).await
}
