//! restore-api: plans, shows, confirms, stops and undoes restores, and shows imports.

mod body;
mod handler;
mod plan;
mod problems;
mod representation;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, QueueUrls, SystemClock};
use http_api::config::ApiConfig;
use http_api::serving;
use runtime::config::Environment;
use runtime::telemetry;
use workflows::restore::ask::AskRestore;
use workflows::restore::decide::DecideRestore;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (api, bucket, valid_for) = (ApiConfig::from_env(&mut env), env.archive_bucket(), env.download_link_validity());
    let queues = QueueUrls { restore: env.restore_queue_url(), ..QueueUrls::default() };
    let (api, bucket, link_valid_for) = env.finish(|| Some((api?, bucket?, valid_for?)))?;
    let aws = Aws::load().await;
    let storage = Arc::new(aws.storage(bucket));
    let ask = AskRestore {
        ledger: Arc::new(aws.ledger(api.tables.clone())),
        reader: storage.clone(),
        queue: Arc::new(aws.queues(queues)),
        clock: Arc::new(SystemClock),
        crm: Arc::new(hubspot::Model),
    };
    let decide = DecideRestore { ledger: ask.ledger.clone(), queue: ask.queue.clone(), clock: ask.clock.clone() };
    let audit = api.audit_log(ask.ledger.clone());
    let step_up = api.step_up(ask.ledger.clone(), ask.clock.clone());
    let handler = Handler { ask, decide, links: storage, audience: api.audience, link_valid_for, step_up };
    serving::serve(audit, |request| handler.handle(request)).await
}
