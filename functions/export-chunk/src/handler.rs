//! One message: one chunk, or one object to close.

use std::time::Instant;

use domain::work::Work;
use lambda::deadline::Deadline;
use lambda::sqs::Outcome;
use lambda::worker;
use workflows::backup::export::Export;

pub(crate) async fn handle(export: &Export, work: Work, deadline: Deadline) -> Outcome {
    let run = worker::run(deadline);
    match &work {
        Work::Export { backup, chunk } => {
            let began = Instant::now();
            let result = export.run(backup, chunk, &run).await;
            if let Ok(usage) = &result {
                worker::report(&usage.gate, usage.records, began);
            }
            worker::outcome(&work, result)
        }
        Work::CloseObject { backup, object_type } => {
            worker::outcome(&work, export.close_object(backup, object_type, &run).await)
        }
        _ => worker::misrouted(&work),
    }
}
