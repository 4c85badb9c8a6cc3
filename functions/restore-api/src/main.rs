//! restore-api: plans, shows, confirms, stops and undoes restores, and shows what became of them.

mod body;
mod handler;
mod plan;
mod problems;
mod representation;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, QueueUrls, SystemClock};
use lambda::config::Environment;
use lambda::{http, telemetry};
use workflows::restore::ask::AskRestore;
use workflows::restore::decide::DecideRestore;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (table, bucket) = (env.ledger_table(), env.archive_bucket());
    let (audience, valid_for) = (env.token_audience(), env.download_link_validity());
    let second_factor = env.second_factor_policy();
    let queues = QueueUrls { restore: env.restore_queue_url(), ..QueueUrls::default() };
    let (table, bucket, audience, link_valid_for, second_factor) =
        env.finish(|| Some((table?, bucket?, audience?, valid_for?, second_factor?)))?;
    let aws = Aws::load().await;
    let objects = Arc::new(aws.objects(bucket));
    let ask = AskRestore {
        ledger: Arc::new(aws.ledger(table)),
        reader: objects.clone(),
        queue: Arc::new(aws.queues(queues)),
        clock: Arc::new(SystemClock),
    };
    let decide = DecideRestore { ledger: ask.ledger.clone(), queue: ask.queue.clone(), clock: ask.clock.clone() };
    let handler = Handler { ask, decide, links: objects, audience, link_valid_for, second_factor };
    http::serve(|request| handler.handle(request)).await
}
