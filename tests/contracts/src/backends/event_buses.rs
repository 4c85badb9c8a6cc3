//! Event buses.

use aws::{EVENT_SOURCE, EventBridgeBus};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::{Backend, connect, finally, random_name};

/// The name of the rule and of its target.
const RULE: &str = "to-queue";

/// A bus of one case. A rule passes this product's events on to a queue.
#[derive(Debug)]
pub struct TestBus {
    events: Client,
    queues: aws_sdk_sqs::Client,
    pub name: String,
    queue_url: String,
}

impl TestBus {
    async fn create(events: Client, queues: aws_sdk_sqs::Client) -> Self {
        let name = random_name("bus");
        let made = queues.create_queue().queue_name(random_name("events")).send().await.expect("queue made");
        let queue_url = made.queue_url.expect("a new queue has a URL");
        let arn = QueueAttributeName::QueueArn;
        let attributes = queues.get_queue_attributes().queue_url(&queue_url).attribute_names(arn.clone());
        let attributes = attributes.send().await.expect("attributes").attributes.unwrap_or_default();
        events.create_event_bus().name(&name).send().await.expect("bus made");
        let pattern = json!({ "source": [EVENT_SOURCE] }).to_string();
        let rule = events.put_rule().event_bus_name(&name).name(RULE).event_pattern(pattern);
        rule.send().await.expect("rule made");
        let target = Target::builder().id(RULE).arn(&attributes[&arn]).build().expect("complete");
        let targets = events.put_targets().event_bus_name(&name).rule(RULE).targets(target);
        targets.send().await.expect("target set");
        Self { events, queues, name, queue_url }
    }

    async fn remove(&self) {
        let Self { events, queues, name, queue_url } = self;
        events.remove_targets().event_bus_name(name).rule(RULE).ids(RULE).send().await.expect("target removed");
        events.delete_rule().event_bus_name(name).name(RULE).send().await.expect("rule removed");
        events.delete_event_bus().name(name).send().await.expect("bus removed");
        queues.delete_queue().queue_url(queue_url).send().await.expect("queue removed");
    }

    /// The events that have arrived, each in EventBridge's form, in any order.
    ///
    /// # Panics
    /// If the queue does not answer, or a message is not JSON.
    pub async fn receive(&self) -> Vec<Value> {
        let mut received = Vec::new();
        loop {
            let request = self.queues.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
            let messages = request.send().await.expect("received").messages.unwrap_or_default();
            if messages.is_empty() {
                return received;
            }
            for message in messages {
                let body = message.body.expect("a message has a body");
                received.push(serde_json::from_str(&body).expect("an event is JSON"));
            }
        }
    }
}

/// Runs `case` with an event bus on `backend` that is removed afterwards.
///
/// # Panics
/// If the case panics, or the bus cannot be created or removed.
pub async fn with_event_bus(backend: Backend, case: impl AsyncFnOnce(EventBridgeBus, &TestBus)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let (events, queues) = (Client::new(aws.sdk_config()), aws_sdk_sqs::Client::new(aws.sdk_config()));
    let bus = Box::pin(TestBus::create(events, queues)).await;
    finally(Box::pin(case(aws.event_bus(&bus.name), &bus)), Box::pin(bus.remove())).await;
}
