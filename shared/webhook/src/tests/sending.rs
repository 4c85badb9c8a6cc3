//! Messages as they arrive at a receiver, and the results of its answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::receiver::{Receiver, Seen};
use super::*;
use crate::WebhookSetupError;

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// Verifies a message as a receiver does.
fn verifies(seen: &Seen) -> bool {
    let signed = format!("{}.{}.{}", seen.header("webhook-id"), seen.header("webhook-timestamp"), seen.body);
    let expected = STANDARD.encode(hmac_sha256(&KEY, signed.as_bytes()));
    seen.header("webhook-signature") == format!("v1,{expected}")
}

#[tokio::test]
async fn every_attempt_is_signed_for_its_own_time_and_has_the_same_id() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let webhooks = exempting(&[&receiver.place]);
    assert_eq!(check(&webhooks, &receiver.url()).await, Ok(()));
    assert_eq!(receiver.seen().len(), 0, "a check sends nothing");

    for second in [1_700_000_000, 1_700_000_060] {
        assert_eq!(send(&webhooks, &receiver.url(), "n-1", second).await, Ok(()));
    }
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(verifies), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.header("webhook-id") == "n-1" && seen.body == BODY));
    let times: Vec<_> = seen.iter().map(|seen| seen.header("webhook-timestamp")).collect();
    assert_eq!(times, ["1700000000", "1700000060"]);
}

#[tokio::test]
async fn a_message_is_json_posted_to_the_whole_url() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    assert_eq!(send(&exempting(&[&receiver.place]), &receiver.url(), "n-1", 0).await, Ok(()));
    let seen = &receiver.seen()[0];
    assert_eq!(seen.request_line, format!("POST {PATH} HTTP/1.1"));
    assert_eq!(seen.header("host"), receiver.place);
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("user-agent"), concat!("crm-backup/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn an_exempt_name_is_looked_up() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let (_, port) = receiver.place.split_once(':').expect("a port");
    let script = Script(Mutex::new(vec![vec!["127.0.0.1".parse().expect("an address")]; 2]));
    let webhooks = with(&[&format!("receiver.internal:{port}")], script, PATIENT);
    let url = format!("http://receiver.internal:{port}{PATH}");
    assert_eq!(check(&webhooks, &url).await, Ok(()));
    assert_eq!(send(&webhooks, &url, "n-1", 0).await, Ok(()));
    assert_eq!(receiver.seen().len(), 1);
    assert_eq!(check(&webhooks, &url).await, Err(WebhookRefused::Unresolved), "the script is at its end");
}

#[tokio::test]
async fn only_a_2xx_status_is_success() {
    let answers =
        [(200, true), (202, true), (299, true), (302, false), (304, false), (400, false), (410, false), (500, false)];
    for (status, success) in answers {
        let receiver = Receiver::answering(format!("HTTP/1.1 {status} canary\r\ncontent-length: 0\r\n\r\n")).await;
        let sent = send(&exempting(&[&receiver.place]), &receiver.url(), "n-1", 0).await;
        assert_eq!(sent, if success { Ok(()) } else { Err(WebhookError::Status(status)) });
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_even_to_an_allowed_target() {
    let elsewhere = Silence::new();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://{}{PATH}", elsewhere.place());
        let answer = format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let webhooks = exempting(&[&receiver.place, &elsewhere.place()]);
        assert_eq!(send(&webhooks, &receiver.url(), "n-1", 0).await, Err(WebhookError::Status(status)));
        assert_eq!(receiver.seen().len(), 1);
    }
    assert!(elsewhere.was_left_alone());
}

/// The receiver promises a body and never sends it.
#[tokio::test]
async fn the_answers_body_is_not_waited_for() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
    assert_eq!(send(&exempting(&[&receiver.place]), &receiver.url(), "n-1", 0).await, Ok(()));
}

async fn no_answer(webhooks: &HttpWebhooks, url: &str) -> &'static str {
    match send(webhooks, url, "n-1", 0).await {
        Err(WebhookError::NoAnswer(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_not_waited_for() {
    let receiver = Silence::new();
    let webhooks = with(&[&receiver.place()], SystemLookup, IMPATIENT);
    let reason = no_answer(&webhooks, &format!("http://{}{PATH}", receiver.place())).await;
    assert_eq!(reason, "it took too long");
    assert!(!receiver.was_left_alone());
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_breaks_off_has_not_answered() {
    let closed = Silence::new().place();
    let reason = no_answer(&exempting(&[&closed]), &format!("http://{closed}{PATH}")).await;
    assert_eq!(reason, "no connection could be made");

    for answer in ["", "SSH-2.0-canary\r\n"] {
        let receiver = Receiver::answering(answer).await;
        let reason = no_answer(&exempting(&[&receiver.place]), &receiver.url()).await;
        assert_eq!(reason, "the connection broke off, or the answer was not HTTP");
    }
}

#[tokio::test]
async fn https_to_a_receiver_without_tls_does_not_fall_back() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let url = format!("https://{}{PATH}", receiver.place);
    let reason = no_answer(&exempting(&[&receiver.place]), &url).await;
    assert_eq!(reason, "no TLS connection could be made; is its certificate valid?");
    assert_eq!(receiver.seen().iter().filter(|seen| seen.request_line.starts_with("POST")).count(), 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_signed_or_sent_does_not_reach_the_receiver() {
    let receiver = Silence::new();
    let (webhooks, url) = (exempting(&[&receiver.place()]), format!("http://{}{PATH}", receiver.place()));
    let secret = SecretString::from("canary-secret");
    let message = WebhookMessage { id: "n-1", at: Timestamp::UNIX_EPOCH, body: BODY, secret: &secret };
    assert_eq!(webhooks.send(&url, message).await, Err(WebhookError::SecretUnusable));
    let sent = send(&webhooks, &url, "n-1\r\ncanary: 1", 0).await;
    assert_eq!(sent, Err(WebhookError::NoAnswer("the request could not be made")));
    assert!(receiver.was_left_alone());
}

#[test]
fn an_invalid_private_target_is_named_by_its_place() {
    let targets = vec!["receiver.internal:8443".to_owned(), "https://receiver.internal/canary".to_owned()];
    let error = HttpWebhooks::new(targets).err().expect("no host and port");
    assert!(matches!(error, WebhookSetupError::PrivateTarget(2)));
    assert_discreet(&format!("{error} {error:?}"), &new_secret(KEY));
}
