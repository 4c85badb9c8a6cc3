//! create-backup: accepts requests for backups, and cancels backups.

mod handler;
mod problems;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, QueueUrls, SystemClock};
use lambda::config::Environment;
use lambda::{http, telemetry};
use workflows::create_backup::CreateBackup;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (table, audience) = (env.ledger_table(), env.token_audience());
    let queues =
        QueueUrls { discover: env.discover_queue_url(), assemble: env.assemble_queue_url(), ..QueueUrls::default() };
    let (table, audience) = env.finish(|| Some((table?, audience?)))?;
    let aws = Aws::load().await;
    let create = CreateBackup {
        ledger: Arc::new(aws.ledger(table)),
        queue: Arc::new(aws.queues(queues)),
        clock: Arc::new(SystemClock),
    };
    let handler = Handler { create, audience };
    http::serve(|request| handler.handle(request)).await
}
