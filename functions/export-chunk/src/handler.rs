//! One message: one chunk, or one object to close.

use std::time::Instant;

use domain::work::Work;
use lambda::deadline::Deadline;
use lambda::metrics::{self, Metric};
use lambda::sqs::Outcome;
use lambda::worker;
use workflows::export::{Export, ExportUsage};

pub(crate) async fn handle(export: &Export, work: Work, deadline: Deadline) -> Outcome {
    let run = worker::run(deadline);
    match &work {
        Work::Export { backup, chunk } => {
            let began = Instant::now();
            let result = export.run(backup, chunk, &run).await;
            if let Ok(usage) = &result {
                report(usage, began);
            }
            worker::outcome(&work, result)
        }
        Work::CloseObject { backup, object_type } => {
            worker::outcome(&work, export.close_object(backup, object_type, &run).await)
        }
        _ => worker::misrouted(&work),
    }
}

fn report(usage: &ExportUsage, began: Instant) {
    // Deliveries that found nothing to do would only blur the picture.
    if usage.gate.calls == 0 {
        return;
    }
    // Far below 2⁵² records.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more precision")]
    let records_per_second = usage.records as f64 / began.elapsed().as_secs_f64().max(0.001);
    metrics::emit(&[
        Metric::Calls(usage.gate.calls),
        Metric::CallsRefused(usage.gate.calls_refused),
        Metric::BudgetUse(usage.gate.budget_used_percent),
        Metric::RecordsPerSecond(records_per_second),
    ]);
}
