//! recover-stalled: every minute, queues stalled work again, and creates notifications about archives that will soon
//! expire and about dead letters.

use std::sync::Arc;

use aws::{Aws, QueueUrls};
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::config::Environment;
use runtime::metrics::{self, Metric};
use runtime::telemetry;
use worker::wiring::Worker;
use workflows::recover::Recover;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (tables, dead_letters) = (env.ledger_tables(), env.dead_letter_queue_urls());
    let queues = QueueUrls {
        discover: env.discover_queue_url(),
        export: env.export_queue_url(),
        assemble: env.assemble_queue_url(),
        restore: env.restore_queue_url(),
        notify: env.notify_queue_url(),
    };
    let (tables, dead_letters) = env.finish(|| Some((tables?, dead_letters?)))?;
    let aws = Aws::load().await;
    let worker = Worker::on(&aws, tables, queues);
    let dead_letters = Arc::new(aws.dead_letters(dead_letters));
    let recover = &Recover { ledger: worker.ledger, queue: worker.queue, clock: worker.clock, dead_letters };
    // The content of the rule's event is not used.
    let handler = |_: LambdaEvent<serde_json::Value>| async move {
        let round = recover.round().await?;
        metrics::emit(&[Metric::OldestStalledSeconds(round.oldest.as_secs_f64())]);
        if round.due > 0 || round.failed > 0 {
            tracing::info!(items.due = round.due, items.failed = round.failed, "recover.round");
        }
        Ok::<_, lambda_runtime::Error>(())
    };
    lambda_runtime::run(service_fn(handler)).await
}
