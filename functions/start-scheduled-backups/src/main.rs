//! start-scheduled-backups: every minute, starts the scheduled backups that are due.

use aws::{Aws, QueueUrls};
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::config::Environment;
use runtime::deadline::Deadline;
use runtime::{random, telemetry};
use worker::wiring::Worker;
use workflows::schedule::{StartScheduled, Started};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (tables, kept_for) = (env.ledger_tables(), env.audit_retention());
    let queues =
        QueueUrls { discover: env.discover_queue_url(), notify: env.notify_queue_url(), ..QueueUrls::default() };
    let (tables, audit_kept_for) = env.finish(|| Some((tables?, kept_for?)))?;
    let Worker { ledger, queue, clock } = Worker::on(&Aws::load().await, tables, queues);
    let start = &StartScheduled { ledger, queue, clock: clock.clone(), random: random::bytes, audit_kept_for };
    // The content of the rule's event is not used.
    let handler = |event: LambdaEvent<serde_json::Value>| {
        let deadline = Deadline::of(&event.context, clock.now());
        async move {
            let round = start.round(deadline.begin_nothing_after()).await?;
            let Started { started, skipped, waiting, failed } = round;
            if round != Started::default() {
                tracing::info!(started, skipped, waiting, failed, "schedule.round");
            }
            Ok::<_, lambda_runtime::Error>(())
        }
    };
    lambda_runtime::run(service_fn(handler)).await
}
