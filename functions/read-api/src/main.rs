//! read-api: lists and shows backups and the audit log, hands out download links, describes the API, and answers
//! requests without a route.

mod audit_log;
mod handler;
mod problems;
mod progress;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, SystemClock};
use http_api::config::ApiConfig;
use http_api::serving;
use runtime::config::Environment;
use runtime::telemetry;
use workflows::audit_log::ExportAuditLog;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (api, bucket, valid_for) = (ApiConfig::from_env(&mut env), env.archive_bucket(), env.download_link_validity());
    let (api, bucket, link_valid_for) = env.finish(|| Some((api?, bucket?, valid_for?)))?;
    let aws = Aws::load().await;
    let storage = Arc::new(aws.storage(bucket));
    let ledger = Arc::new(aws.ledger(api.tables.clone()));
    let export = ExportAuditLog {
        ledger: ledger.clone(),
        clock: Arc::new(SystemClock),
        reader: storage.clone(),
        writer: storage.clone(),
        uploads: storage.clone(),
        links: storage.clone(),
    };
    let (audit, clock) = (api.audit_log(ledger.clone()), Arc::new(SystemClock));
    let step_up = api.step_up(ledger.clone(), clock.clone());
    let handler = Handler { ledger, links: storage, clock, export, audience: api.audience, link_valid_for, step_up };
    serving::serve(audit, |request| handler.handle(request)).await
}
