//! Serving a work queue: each message of a batch on its own, and only failed messages are delivered again.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::format;
use domain::work::Work;
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::deadline::Deadline;
use tracing::Instrument;

/// The result of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It needs no more work, or the ledger knows what remains. The message leaves the queue.
    Done,
    /// It is delivered again, and goes to the dead-letter queue after too many deliveries.
    Failed,
}

/// Serves a work queue until the process ends.
///
/// The messages of a batch are handled at the same time. A message that is not [`Work`], or whose handler panics, fails
/// without affecting the others.
///
/// # Errors
/// If the Lambda runtime cannot be reached.
pub async fn serve<H, F>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Work, Deadline) -> F,
    F: Future<Output = Outcome>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let deadline = Deadline::of(&event.context, Timestamp::now());
        Ok::<_, lambda_runtime::Error>(handle_batch(handler, event.payload, deadline).await)
    }))
    .await
}

async fn handle_batch<H, F>(handler: &H, event: SqsEvent, deadline: Deadline) -> SqsBatchResponse
where
    H: Fn(Work, Deadline) -> F,
    F: Future<Output = Outcome>,
{
    let outcomes = join_all(event.records.iter().map(|message| {
        let span = tracing::info_span!("message", message.id = message.message_id.as_deref());
        handle_message(handler, message, deadline).instrument(span)
    }))
    .await;
    let mut response = SqsBatchResponse::default();
    for (message, outcome) in event.records.into_iter().zip(outcomes) {
        if outcome == Outcome::Failed {
            // Without an id Lambda retries the whole batch, which loses nothing.
            response.add_failure(message.message_id.unwrap_or_default());
        }
    }
    response
}

async fn handle_message<H, F>(handler: &H, message: &SqsMessage, deadline: Deadline) -> Outcome
where
    H: Fn(Work, Deadline) -> F,
    F: Future<Output = Outcome>,
{
    // A later version's message is delivered again until that version is deployed everywhere; the ledger knows the
    // work.
    let work: Work = match format::read(message.body.as_deref().unwrap_or_default().as_bytes()) {
        Ok(work) => work,
        Err(error) => {
            tracing::error!(%error, "message.unreadable");
            return Outcome::Failed;
        }
    };
    // The call is inside the future, so a panic before its first await is caught too. The panic hook logs it.
    AssertUnwindSafe(async { handler(work, deadline).await }).catch_unwind().await.unwrap_or(Outcome::Failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use fuzz::{Form, Target};
    use lambda_runtime::Context;

    use super::*;

    fn event(bodies: &[(&str, &str)]) -> SqsEvent {
        let records: Vec<_> = bodies
            .iter()
            .map(|(id, body)| {
                serde_json::json!({
                    "messageId": id,
                    "receiptHandle": "handle",
                    "body": body,
                    "attributes": {"ApproximateReceiveCount": "1"},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:export",
                    "awsRegion": "eu-central-1",
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({"Records": records})).expect("an SQS event")
    }

    fn assemble(account: &str) -> String {
        let id = "0198a000-0000-7000-8000-000000000000";
        serde_json::json!({"work": "assemble", "backup": {"accountId": account, "backupId": id}}).to_string()
    }

    #[tokio::test]
    async fn only_failed_unreadable_and_panicking_messages_are_delivered_again() {
        let (good, failing, panicking) = (assemble("1"), assemble("2"), assemble("3"));
        let bodies =
            [("a", good.as_str()), ("b", failing.as_str()), ("c", "{}"), ("d", panicking.as_str()), ("e", &good)];
        let seen = Mutex::new(Vec::new());
        let handler = async |work: Work, _: Deadline| {
            let account = work.account_id().to_string();
            seen.lock().expect("not poisoned").push(account.clone());
            assert_ne!(account, "3");
            if account == "2" { Outcome::Failed } else { Outcome::Done }
        };
        let deadline = Deadline::of(&Context::default(), Timestamp::now());

        let response = handle_batch(&handler, event(&bodies), deadline).await;

        let failed: Vec<_> = response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
        assert_eq!(failed, ["b", "c", "d"]);
        assert_eq!(seen.into_inner().expect("not poisoned"), ["1", "2", "3", "1"]);
    }

    /// For any batch: exactly the bodies that are not work fail, and the others reach the handler.
    #[test]
    fn fuzz_sqs_batch() {
        let words = [
            "work",
            "assemble",
            "backup",
            "accountId",
            "42",
            "backupId",
            "0198a000-0000-7000-8000-000000000000",
            "slice",
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Target::new("sqs_batch", Form::JsonLines, &words).fuzz(|input| {
            let text = String::from_utf8_lossy(input);
            let bodies: Vec<(String, &str)> =
                text.split('\n').take(10).enumerate().map(|(at, body)| (at.to_string(), body)).collect();
            let bodies: Vec<(&str, &str)> = bodies.iter().map(|(id, body)| (id.as_str(), *body)).collect();
            let seen = Mutex::new(0);
            let handler = async |_: Work, _: Deadline| {
                *seen.lock().expect("not poisoned") += 1;
                Outcome::Done
            };
            let deadline = Deadline::of(&Context::default(), Timestamp::UNIX_EPOCH);
            let response = runtime.block_on(handle_batch(&handler, event(&bodies), deadline));
            let failed: Vec<_> =
                response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
            let unreadable = bodies.iter().filter(|(_, body)| format::read::<Work>(body.as_bytes()).is_err());
            let unreadable: Vec<_> = unreadable.map(|(id, _)| *id).collect();
            assert_eq!(failed, unreadable, "exactly the messages that are not work must fail");
            let taken = seen.into_inner().expect("not poisoned");
            assert_eq!(taken + failed.len(), bodies.len(), "a message is lost");
            (taken, failed.len())
        });
    }
}
