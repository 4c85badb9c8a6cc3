//! assemble-archive: makes a backup's zip inside S3, and removes the leftovers of backups that have ended.

mod handler;

use std::sync::Arc;

use aws::{Aws, QueueUrls};
use runtime::config::Environment;
use runtime::telemetry;
use worker::sqs;
use worker::wiring::Worker;
use workflows::backup::assemble::Assemble;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (tables, bucket) = (env.ledger_tables(), env.archive_bucket());
    let queues =
        QueueUrls { assemble: env.assemble_queue_url(), notify: env.notify_queue_url(), ..QueueUrls::default() };
    let (tables, bucket) = env.finish(|| Some((tables?, bucket?)))?;
    let aws = Aws::load().await;
    let worker = Worker::on(&aws, tables, queues);
    let storage = Arc::new(aws.storage(bucket));
    let assemble = Assemble {
        ledger: worker.ledger,
        queue: worker.queue,
        clock: worker.clock,
        reader: storage.clone(),
        writer: storage.clone(),
        uploads: storage.clone(),
        sweeper: storage,
    };
    sqs::serve(|work, deadline| handler::handle(&assemble, work, deadline)).await
}
