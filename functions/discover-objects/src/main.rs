//! discover-objects: lists an account's object types and properties, and creates the first chunks of a backup.

mod handler;

use aws::QueueUrls;
use runtime::telemetry;
use worker::sqs;
use worker::wiring::CrmWorker;
use workflows::backup::discover::Discover;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let worker = CrmWorker::from_env(|env| QueueUrls {
        discover: env.discover_queue_url(),
        export: env.export_queue_url(),
        assemble: env.assemble_queue_url(),
        notify: env.notify_queue_url(),
        ..QueueUrls::default()
    })
    .await?;
    let discover = Discover {
        sessions: worker.sessions,
        queue: worker.worker.queue,
        writer: worker.storage,
        patience: worker.patience,
    };
    sqs::serve(|work, deadline| handler::handle(&discover, work, deadline)).await
}
