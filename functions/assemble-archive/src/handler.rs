//! One message: one archive to make, or the leftovers of one backup to remove.

use domain::work::Work;
use lambda::deadline::Deadline;
use lambda::sqs::Outcome;
use lambda::worker;
use workflows::backup::assemble::Assemble;

pub(crate) async fn handle(assemble: &Assemble, work: Work, deadline: Deadline) -> Outcome {
    match &work {
        Work::Assemble { backup } => worker::outcome(&work, assemble.run(backup, &worker::run(deadline)).await),
        Work::Sweep { backup } => worker::outcome(&work, assemble.sweep(backup).await),
        _ => worker::misrouted(&work),
    }
}
