//! read-api: lists and shows backups, hands out download links, describes the API, and answers what has no route.

mod handler;
mod problems;
mod progress;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, SystemClock};
use lambda::config::Environment;
use lambda::{http, telemetry};

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (table, bucket) = (env.ledger_table(), env.archive_bucket());
    let (audience, valid_for) = (env.token_audience(), env.download_link_validity());
    let (table, bucket, audience, link_valid_for) = env.finish(|| Some((table?, bucket?, audience?, valid_for?)))?;
    let aws = Aws::load().await;
    let handler = Handler {
        ledger: Arc::new(aws.ledger(table)),
        links: Arc::new(aws.objects(bucket)),
        clock: Arc::new(SystemClock),
        audience,
        link_valid_for,
    };
    http::serve(|request| handler.handle(request)).await
}
