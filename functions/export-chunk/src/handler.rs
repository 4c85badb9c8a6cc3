//! Each message exports one chunk, or closes one object.

use std::time::Instant;

use domain::work::Work;
use runtime::deadline::Deadline;
use worker::sqs::Outcome;
use worker::step;
use workflows::backup::export::Export;

pub(crate) async fn handle(export: &Export, work: Work, deadline: Deadline) -> Outcome {
    let run = step::run(deadline);
    match &work {
        Work::Export { backup, chunk } => {
            let began = Instant::now();
            let result = export.run(backup, chunk, &run).await;
            if let Ok(usage) = &result {
                step::report(&usage.gate, usage.records, began);
            }
            step::outcome(&work, result)
        }
        Work::CloseObject { backup, object_type } => {
            step::outcome(&work, export.close_object(backup, object_type, &run).await)
        }
        _ => step::misrouted(&work),
    }
}
