//! Wiring of the functions that take work from queues: their ports on AWS and HubSpot, from the environment.

use std::sync::Arc;

use aws::{Aws, LedgerTables, QueueUrls, S3Storage, SystemClock};
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use domain::ports::queue::WorkQueue;
use lambda_runtime::Error;
use runtime::config::Environment;
use workflows::crm_session::CrmSessions;
use workflows::run::Patience;

/// The ports that every worker function uses.
#[derive(Clone)]
pub struct Worker {
    pub ledger: Arc<dyn Ledger>,
    /// Only the queues that the function may send to.
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
}

/// The same for worker functions that call the CRM.
#[derive(Clone)]
pub struct CrmWorker {
    pub worker: Worker,
    pub sessions: CrmSessions,
    pub storage: Arc<S3Storage>,
    /// How long a run waits for a CRM that does not answer.
    pub patience: Patience,
}

impl Worker {
    /// The ports on `aws`: the ledger in `tables`, and the queues at `urls`.
    pub fn on(aws: &Aws, tables: LedgerTables, urls: QueueUrls) -> Self {
        Self { ledger: Arc::new(aws.ledger(tables)), queue: Arc::new(aws.queues(urls)), clock: Arc::new(SystemClock) }
    }
}

impl CrmWorker {
    /// Reads `LEDGER_TABLE`, `AUDIT_TABLE`, `ARCHIVE_BUCKET`, `CRM_TOKEN_PREFIX`, `CRM_BASE_URLS`,
    /// `CRM_RETRY_BASE_SECONDS`, `CRM_OUTAGE_PATIENCE_HOURS`, and the variables that `queues` reads.
    ///
    /// # Errors
    /// If a variable is missing or wrong (the error names all of them), or the system has no certificate authorities.
    pub async fn from_env(queues: impl FnOnce(&mut Environment) -> QueueUrls) -> Result<Self, Error> {
        let mut env = Environment::of_process();
        let (tables, bucket, tokens) = (env.ledger_tables(), env.archive_bucket(), env.crm_token_prefix());
        let (retry_base, urls) = (env.crm_retry_base(), queues(&mut env));
        let (base_urls, outage) = (env.crm_base_urls(), env.crm_outage_patience());
        let patience = || Some(Patience { first_pause: retry_base?, outage: outage? });
        let (tables, bucket, tokens, patience, base_urls) =
            env.finish(|| Some((tables?, bucket?, tokens?, patience()?, base_urls?)))?;
        let aws = Aws::load().await;
        let worker = Worker::on(&aws, tables, urls);
        let sessions = CrmSessions {
            ledger: worker.ledger.clone(),
            clock: worker.clock.clone(),
            tokens: Arc::new(aws.tokens(tokens)),
            connector: Arc::new(hubspot::Connector::new(worker.clock.clone())?),
            base_urls: base_urls.into(),
        };
        let storage = Arc::new(aws.storage(bucket));
        Ok(Self { worker, sessions, storage, patience })
    }
}
