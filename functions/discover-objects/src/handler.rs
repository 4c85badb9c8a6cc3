//! Each message runs the discovery of one backup.

use domain::work::Work;
use runtime::deadline::Deadline;
use worker::sqs::Outcome;
use worker::step;
use workflows::backup::discover::Discover;

pub(crate) async fn handle(discover: &Discover, work: Work, deadline: Deadline) -> Outcome {
    let Work::Discover { backup } = &work else { return step::misrouted(&work) };
    step::outcome(&work, discover.run(backup, &step::run(deadline)).await)
}
