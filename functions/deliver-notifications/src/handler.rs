//! Each message announces one notification, or makes one delivery.

use domain::work::Work;
use worker::sqs::Outcome;
use worker::step;
use workflows::notify::Notify;

pub(crate) async fn handle(notify: &Notify, work: Work) -> Outcome {
    match &work {
        Work::Announce { notification } => step::outcome(&work, notify.announce(notification).await),
        Work::Deliver { notification, channel } => step::outcome(&work, notify.deliver(notification, *channel).await),
        _ => step::misrouted(&work),
    }
}
