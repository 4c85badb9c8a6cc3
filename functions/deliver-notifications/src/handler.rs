//! One message: one notification to announce, or one delivery to make.

use domain::work::Work;
use lambda::sqs::Outcome;
use lambda::worker;
use workflows::notify::Notify;

pub(crate) async fn handle(notify: &Notify, work: Work) -> Outcome {
    match &work {
        Work::Announce { notification } => worker::outcome(&work, notify.announce(notification).await),
        Work::Deliver { notification, channel } => worker::outcome(&work, notify.deliver(notification, *channel).await),
        _ => worker::misrouted(&work),
    }
}
