//! One step of a worker: the run that does it, what its result means for the message, and its metrics.

use std::time::Instant;

use domain::work::Work;
use runtime::deadline::Deadline;
use runtime::metrics::{self, Metric};
use runtime::random;
use workflows::call_gate::GateUsage;
use workflows::run::{Run, StepError};

use crate::sqs::Outcome;

/// A run that must end by `deadline`.
pub fn run(deadline: Deadline) -> Run {
    let owner = random::bytes().iter().fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
    Run { owner, ends: deadline.begin_nothing_after(), stopped_at: deadline.stopped_at() }
}

/// Emits metrics of a run that began at `began`: its use of the call budget, and records per second.
pub fn report(gate: &GateUsage, records: u64, began: Instant) {
    // Deliveries without work would only distort the metrics.
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

/// The outcome of a message whose step had this result. Logs a failure; nothing else logs it.
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

/// For work that another function does: the message goes to the dead-letter queue, which raises an alarm.
pub fn misrouted(work: &Work) -> Outcome {
    tracing::error!(run.id = work.run_id(), "message.misrouted");
    Outcome::Failed
}
