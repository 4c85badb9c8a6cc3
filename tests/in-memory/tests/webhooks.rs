//! What the receiver of webhooks in memory does for tests, also behind faults.

use std::sync::Arc;

use domain::ports::webhook::{WebhookError, WebhookMessage, WebhookRefused, Webhooks};
use in_memory::MemoryWebhooks;
use in_memory::faults::{Fault, Faults};
use secrecy::SecretString;

const URL: &str = "https://hooks.example/one";

async fn send(webhooks: &dyn Webhooks, url: &str) -> Result<(), WebhookError> {
    let (at, secret) = ("2026-11-23T02:48:25Z".parse().expect("a time"), SecretString::from("whsec_AAAA"));
    webhooks.send(url, WebhookMessage { id: "delivery-1", at, body: "{}", secret: &secret }).await
}

#[tokio::test]
async fn the_first_webhook_attempts_fail_as_set_and_all_are_kept() {
    let webhooks = MemoryWebhooks::failing_first([WebhookError::Status(503), WebhookError::NoAnswer("timed out")]);

    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(send(&webhooks, URL).await);
    }

    assert_eq!(outcomes, [Err(WebhookError::Status(503)), Err(WebhookError::NoAnswer("timed out")), Ok(())]);
    let attempts = webhooks.attempts();
    assert_eq!(attempts.iter().map(|attempt| attempt.outcome.clone()).collect::<Vec<_>>(), outcomes);
    assert!(attempts.iter().all(|attempt| (attempt.id.as_str(), attempt.url.as_str()) == ("delivery-1", URL)));
}

#[tokio::test]
async fn nothing_is_sent_to_a_refused_url() {
    let webhooks = MemoryWebhooks::failing_first([WebhookError::Status(500)]);
    webhooks.refuse(URL, WebhookRefused::Private);

    assert_eq!(webhooks.check(URL).await, Err(WebhookRefused::Private));
    assert_eq!(send(&webhooks, URL).await, Err(WebhookError::Refused(WebhookRefused::Private)));
    assert_eq!(webhooks.attempts(), []);

    let other = "https://hooks.example/two";
    assert_eq!(webhooks.check(other).await, Ok(()));
    assert_eq!(send(&webhooks, other).await, Err(WebhookError::Status(500)));
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_has_arrived() {
    let webhooks = Arc::new(MemoryWebhooks::new());
    let worker = Faults::at(1, Fault::AnswerLost).worker();

    let outcome = worker.run(send(&*worker.wrap(webhooks.clone()), URL)).await;

    assert!(matches!(outcome, Some(Err(WebhookError::NoAnswer(_)))), "{outcome:?}");
    assert_eq!(webhooks.attempts().len(), 1);
}
