//! export-chunk: reads id ranges of objects into segments, and closes objects after their last range.

mod handler;

use aws::QueueUrls;
use runtime::telemetry;
use worker::sqs;
use worker::wiring::CrmWorker;
use workflows::backup::export::Export;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let worker = CrmWorker::from_env(|env| QueueUrls {
        export: env.export_queue_url(),
        assemble: env.assemble_queue_url(),
        notify: env.notify_queue_url(),
        ..QueueUrls::default()
    })
    .await?;
    let export = Export {
        sessions: worker.sessions,
        queue: worker.worker.queue,
        reader: worker.storage.clone(),
        writer: worker.storage.clone(),
        uploads: worker.storage,
        cap: worker.cap,
        patience: worker.patience,
    };
    sqs::serve(|work, deadline| handler::handle(&export, work, deadline)).await
}
