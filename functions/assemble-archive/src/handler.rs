//! Each message makes one archive, or removes the leftovers of one backup.

use domain::work::Work;
use runtime::deadline::Deadline;
use worker::sqs::Outcome;
use worker::step;
use workflows::backup::assemble::Assemble;

pub(crate) async fn handle(assemble: &Assemble, work: Work, deadline: Deadline) -> Outcome {
    match &work {
        Work::Assemble { backup } => step::outcome(&work, assemble.run(backup, &step::run(deadline)).await),
        Work::Sweep { backup } => step::outcome(&work, assemble.sweep(backup).await),
        _ => step::misrouted(&work),
    }
}
