//! One message: one step of a restore, or one of its slices.

use std::time::Instant;

use domain::work::Work;
use lambda::deadline::Deadline;
use lambda::sqs::Outcome;
use lambda::worker;
use workflows::restore::RestoreWork;

pub(crate) async fn handle(restores: &RestoreWork, work: Work, deadline: Deadline) -> Outcome {
    let run = worker::run(deadline);
    match &work {
        Work::Restore { restore } => worker::outcome(&work, restores.step(restore, &run).await),
        Work::RestoreSlice { restore, slice } => {
            let began = Instant::now();
            let result = restores.slice(restore, *slice, &run).await;
            if let Ok(usage) = &result {
                worker::report(&usage.gate, usage.records, began);
            }
            worker::outcome(&work, result)
        }
        _ => worker::misrouted(&work),
    }
}
