//! restore-chunk: plans, applies and concludes restores, slice by slice.

mod handler;

use aws::QueueUrls;
use runtime::telemetry;
use worker::sqs;
use worker::wiring::CrmWorker;
use workflows::restore::{Places, RestoreWork};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut places = None;
    let worker = CrmWorker::from_env(|env| {
        places = env.restore_concurrency();
        QueueUrls { restore: env.restore_queue_url(), notify: env.notify_queue_url(), ..QueueUrls::default() }
    })
    .await?;
    let places = Places(usize::try_from(places.ok_or("RESTORE_CONCURRENCY was not read")?)?);
    let restores = RestoreWork {
        sessions: worker.sessions,
        queue: worker.worker.queue,
        reader: worker.storage.clone(),
        writer: worker.storage.clone(),
        uploads: worker.storage,
        places,
        patience: worker.patience,
    };
    sqs::serve(|work, deadline| handler::handle(&restores, work, deadline)).await
}
