//! The log contains every failure and no secrets.

use std::cell::RefCell;
use std::io::Write;

use domain::ids::RecordId;
use domain::ports::crm::Cursor;
use domain::ports::crm_batch::RecordUpdate;
use serde_json::Value;

use super::server::{Reply, Server};
use super::{Client, ONE_CONTACT, TOKEN, object};

thread_local! {
    /// The log of this thread, and so of this test.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_failed_request_is_one_event_without_urls_tokens_or_values() {
    // The subscriber is global: a subscriber of one thread misses events that another thread met first without one.
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(|| ThreadLog);
    tracing::subscriber::set_global_default(subscriber.finish()).expect("the only one of the program");
    let server = Server::script([
        Reply::status(503, "secret-value"),
        Reply::ok(ONE_CONTACT).broken(),
        Reply::status(429, r#"{"policyName":"TEN_SECONDLY_ROLLING"}"#),
        Reply::ok(ONE_CONTACT),
        Reply::status(400, r#"{"category":"VALIDATION_ERROR","message":"secret-value"}"#),
        Reply::status(
            400,
            r#"{"category":"VALIDATION_ERROR","message":"secret-value","errors":[{"code":"secret-value"}]}"#,
        ),
    ])
    .await;
    let client = Client::to(&server);
    client
        .page("contacts", &["name"], &Cursor::Opaque("secret-cursor".into()))
        .await
        .expect("the fourth answer is whole");
    client.contacts().await.expect_err("the fifth answer is a refusal");
    let update = RecordUpdate { id: RecordId(7), values: vec![("name".to_owned(), "secret-value".to_owned())] };
    client.crm.update_batch(&object("contacts"), &[update]).await.expect("a refused value is an answer");

    let text = String::from_utf8(LOG.take()).expect("text");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ours: Vec<&Value> = events.iter().filter(|event| event["target"] == "hubspot::client").collect();
    let logged: Vec<_> = ours
        .iter()
        .map(|event| (event["fields"]["message"].as_str(), event["fields"]["status"].as_u64(), event["level"].as_str()))
        .collect();
    let expected = [
        (Some("crm.call.failed"), Some(503)),
        (Some("crm.call.failed"), None),
        (Some("crm.call.limited"), Some(429)),
        (Some("crm.call.refused"), Some(400)),
        (Some("crm.call.refused"), Some(400)),
    ];
    assert_eq!(logged, expected.map(|(message, status)| (message, status, Some("WARN"))));
    let (last, others) = ours.split_last().expect("events");
    assert!(others.iter().all(|event| event["fields"]["endpoint"] == "GET objects/{objectType}"));
    assert_eq!(last["fields"]["endpoint"], "POST objects/{objectType}/batch/update");
    for secret in [TOKEN, "secret-value", "secret-cursor", "Ä. "] {
        assert!(ours.iter().all(|event| !event.to_string().contains(secret)), "{secret}");
    }
}
