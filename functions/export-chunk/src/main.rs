//! export-chunk: reads id ranges of objects into segments, and closes objects after their last range.

mod handler;

use aws::QueueUrls;
use runtime::telemetry;
use worker::sqs;
use worker::wiring::CrmWorker;
use workflows::backup::dispatch::RunCap;
use workflows::backup::export::{Export, MOST_LANES};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut runs = None;
    let worker = CrmWorker::from_env(|env| {
        runs = env.export_runs_per_backup();
        QueueUrls {
            export: env.export_queue_url(),
            assemble: env.assemble_queue_url(),
            notify: env.notify_queue_url(),
            ..QueueUrls::default()
        }
    })
    .await?;
    let cap = RunCap(usize::try_from(runs.ok_or("EXPORT_RUNS_PER_BACKUP was not read")?)?);
    let export = Export {
        sessions: worker.sessions,
        queue: worker.worker.queue,
        reader: worker.storage.clone(),
        writer: worker.storage.clone(),
        uploads: worker.storage,
        cap,
        lanes: MOST_LANES,
        patience: worker.patience,
    };
    sqs::serve(|work, deadline| handler::handle(&export, work, deadline)).await
}
