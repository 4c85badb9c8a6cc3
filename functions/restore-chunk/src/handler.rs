//! Each message does one step of a restore, or works on one of its slices.

use std::time::Instant;

use domain::work::Work;
use runtime::deadline::Deadline;
use worker::sqs::Outcome;
use worker::step;
use workflows::restore::RestoreWork;

pub(crate) async fn handle(restores: &RestoreWork, work: Work, deadline: Deadline) -> Outcome {
    let run = step::run(deadline);
    match &work {
        Work::Restore { restore } => step::outcome(&work, restores.step(restore, &run).await),
        Work::RestoreSlice { restore, slice } => {
            let began = Instant::now();
            let result = restores.slice(restore, *slice, &run).await;
            if let Ok(usage) = &result {
                step::report(&usage.gate, usage.records, began);
            }
            step::outcome(&work, result)
        }
        _ => step::misrouted(&work),
    }
}
