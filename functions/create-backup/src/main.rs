//! create-backup: accepts requests for backups, cancels backups, and deletes archives.

mod handler;
mod problems;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, QueueUrls, SystemClock};
use http_api::config::ApiConfig;
use http_api::serving;
use runtime::config::Environment;
use runtime::telemetry;
use workflows::backup::create::CreateBackup;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let api = ApiConfig::from_env(&mut env);
    let queues =
        QueueUrls { discover: env.discover_queue_url(), assemble: env.assemble_queue_url(), ..QueueUrls::default() };
    let api = env.finish(|| api)?;
    let aws = Aws::load().await;
    let create = CreateBackup {
        ledger: Arc::new(aws.ledger(api.tables.clone())),
        queue: Arc::new(aws.queues(queues)),
        clock: Arc::new(SystemClock),
    };
    let audit = api.audit_log(create.ledger.clone());
    let step_up = api.step_up(create.ledger.clone(), create.clock.clone());
    let handler = Handler { create, audience: api.audience, step_up };
    serving::serve(audit, |request| handler.handle(request)).await
}
