//! account-api: creates accounts and connects them to their CRM.

mod body;
mod handler;
mod problems;
mod representation;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws::{Aws, SystemClock};
use lambda::config::Environment;
use lambda::{http, telemetry};
use workflows::connect_account::ConnectAccount;

use crate::handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init()?;
    let mut env = Environment::of_process();
    let (table, tokens) = (env.ledger_table(), env.crm_token_prefix());
    let (base_urls, audience) = (env.crm_base_urls(), env.token_audience());
    let (table, tokens, base_urls, audience) = env.finish(|| Some((table?, tokens?, base_urls?, audience?)))?;
    let aws = Aws::load().await;
    let accounts = ConnectAccount {
        ledger: Arc::new(aws.ledger(table)),
        tokens: Arc::new(aws.tokens(tokens)),
        connector: Arc::new(hubspot::Connector::new(Arc::new(SystemClock))?),
        clock: Arc::new(SystemClock),
        base_urls,
    };
    let handler = Handler { accounts, audience };
    http::serve(|request| handler.handle(request)).await
}
