//! Wiring of the functions that work off queues: their ports on AWS and HubSpot, from the environment.

use std::sync::Arc;
use std::time::Instant;

use aws::{Aws, LedgerTables, QueueUrls, S3Storage, SystemClock};
use domain::ports::clock::Clock;
use domain::ports::ledger::Ledger;
use domain::ports::queue::WorkQueue;
use domain::work::Work;
use lambda_runtime::Error;
use workflows::backup::dispatch::WorkerCap;
use workflows::call_gate::GateUsage;
use workflows::crm_session::CrmSessions;
use workflows::run::{Patience, Run, StepError};

use crate::config::Environment;
use crate::deadline::Deadline;
use crate::metrics::{self, Metric};
use crate::random;
use crate::sqs::Outcome;

/// What every worker function works with.
#[derive(Clone)]
pub struct Worker {
    /// Knows what has been done.
    pub ledger: Arc<dyn Ledger>,
    /// Takes messages for the queues that the function may send to.
    pub queue: Arc<dyn WorkQueue>,
    pub clock: Arc<dyn Clock>,
}

/// What those that call the CRM work with on top.
#[derive(Clone)]
pub struct CrmWorker {
    /// What every worker has.
    pub worker: Worker,
    pub sessions: CrmSessions,
    pub storage: Arc<S3Storage>,
    /// How many workers a backup may have.
    pub cap: WorkerCap,
    /// How long the CRM is waited for.
    pub patience: Patience,
}

impl Worker {
    /// The ports on `aws`: the ledger in `tables`, and the queues at `urls`.
    pub fn on(aws: &Aws, tables: LedgerTables, urls: QueueUrls) -> Self {
        Self { ledger: Arc::new(aws.ledger(tables)), queue: Arc::new(aws.queues(urls)), clock: Arc::new(SystemClock) }
    }
}

impl CrmWorker {
    /// Reads `LEDGER_TABLE`, `AUDIT_TABLE`, `ARCHIVE_BUCKET`, `CRM_TOKEN_PREFIX`, `CRM_BASE_URLS`, `WORKERS_PER_ACCOUNT`,
    /// `CRM_RETRY_BASE_SECONDS`, `CRM_OUTAGE_PATIENCE_HOURS`, and what `queues` reads.
    ///
    /// # Errors
    /// When a variable is missing or wrong (the error names all of them), or the system has no certificate authorities.
    pub async fn from_env(queues: impl FnOnce(&mut Environment) -> QueueUrls) -> Result<Self, Error> {
        let mut env = Environment::of_process();
        let (tables, bucket, tokens) = (env.ledger_tables(), env.archive_bucket(), env.crm_token_prefix());
        let (cap, retry_base, urls) = (env.workers_per_account(), env.crm_retry_base(), queues(&mut env));
        let (base_urls, outage) = (env.crm_base_urls(), env.crm_outage_patience());
        let patience = || Some(Patience { first_pause: retry_base?, outage: outage? });
        let (tables, bucket, tokens, cap, patience, base_urls) =
            env.finish(|| Some((tables?, bucket?, tokens?, cap?, patience()?, base_urls?)))?;
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
        Ok(Self { worker, sessions, storage, cap: WorkerCap(usize::try_from(cap)?), patience })
    }
}

/// A run for a message that must be done by `deadline`.
pub fn run(deadline: Deadline) -> Run {
    let owner = random::bytes().iter().fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
    Run { owner, ends: deadline.begin_nothing_after(), stopped_at: deadline.stopped_at() }
}

/// Writes as metrics what a run that began at `began` has used of the call budget, and how many records a second it has
/// dealt with.
pub fn report(gate: &GateUsage, records: u64, began: Instant) {
    // Deliveries that found nothing to do would only blur the picture.
    if gate.calls == 0 {
        return;
    }
    // Far below 2⁵² records.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more precision")]
    let records_per_second = records as f64 / began.elapsed().as_secs_f64().max(0.001);
    metrics::emit(&[
        Metric::Calls(gate.calls),
        Metric::CallsRefused(gate.calls_refused),
        Metric::BudgetUse(gate.budget_used_percent),
        Metric::RecordsPerSecond(records_per_second),
    ]);
}

/// What a step's result means for its message; a failure is logged here and nowhere else.
pub fn outcome<T>(work: &Work, result: Result<T, StepError>) -> Outcome {
    match result {
        Ok(_) | Err(StepError::TakenOver(_)) => Outcome::Done,
        Err(error) => {
            let account = work.account_id();
            tracing::error!(%error, account.id = %account, run.id = work.run_id(), "step.failed");
            Outcome::Failed
        }
    }
}

/// For work that came to a function that does not do such work: it goes to the dead-letter queue, where somebody sees it.
pub fn misrouted(work: &Work) -> Outcome {
    tracing::error!(run.id = work.run_id(), "message.misrouted");
    Outcome::Failed
}
