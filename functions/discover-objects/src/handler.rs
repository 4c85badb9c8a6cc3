//! One message: one discovery.

use domain::work::Work;
use lambda::deadline::Deadline;
use lambda::sqs::Outcome;
use lambda::worker;
use workflows::backup::discover::Discover;

pub(crate) async fn handle(discover: &Discover, work: Work, deadline: Deadline) -> Outcome {
    let Work::Discover { backup } = &work else { return worker::misrouted(&work) };
    worker::outcome(&work, discover.run(backup, &worker::run(deadline)).await)
}
