//! Webhooks to receivers on this machine, which count as private, and to names with invented addresses.

mod receiver;
mod refusing;
mod sending;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::webhook::{WebhookError, WebhookMessage, WebhookRefused, Webhooks as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::lookup::{Lookup, SystemLookup};
use crate::sender::{HttpWebhooks, Limits};
use crate::signature::new_secret;

/// The path and query of the tests' URLs. No error may repeat them.
const PATH: &str = "/hooks/canary-path?token=canary-token";
const KEY: [u8; 32] = [7; 32];
const BODY: &str = r#"{"type":"backup.completed","name":"Ä"}"#;
/// Long enough for a busy machine.
const PATIENT: Limits = Limits { connect: Duration::from_mins(1), whole: Duration::from_mins(1) };
const IMPATIENT: Limits = Limits { connect: Duration::from_millis(50), whole: Duration::from_millis(50) };

/// HMAC-SHA256 by RFC 2104, for keys of at most 64 bytes.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| -> Vec<u8> { (0..64).map(|place| key.get(place).unwrap_or(&0) ^ pad).collect() };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// Answers lookups of any host with the given answers, one after the other.
struct Script(Mutex<Vec<Vec<IpAddr>>>);

#[async_trait]
impl Lookup for Script {
    async fn addresses(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        let mut script = self.0.lock().expect("not poisoned");
        if script.is_empty() { Err(io::Error::other("no such host")) } else { Ok(script.remove(0)) }
    }
}

/// Webhooks that look names up in `answers`, one after the other.
fn looking_up(answers: &[&[&str]]) -> HttpWebhooks {
    let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().expect("an address")).collect();
    let script = Script(Mutex::new(answers.iter().map(parse).collect()));
    with(&[], script, PATIENT)
}

/// Webhooks that may reach these places on this machine.
fn exempting(places: &[&str]) -> HttpWebhooks {
    with(places, SystemLookup, PATIENT)
}

fn with(places: &[&str], lookup: impl Lookup + 'static, limits: Limits) -> HttpWebhooks {
    let places = places.iter().map(|&place| place.to_owned()).collect();
    let lookup: Arc<dyn Lookup> = Arc::new(lookup);
    HttpWebhooks::with(places, &lookup, limits).expect("the system has certificate authorities")
}

/// Sends a message with this id at this second.
async fn send(webhooks: &HttpWebhooks, url: &str, id: &str, second: i64) -> Result<(), WebhookError> {
    let secret = new_secret(KEY);
    let at = Timestamp::from_second(second).expect("a time");
    let sent = webhooks.send(url, WebhookMessage { id, at, body: BODY, secret: &secret }).await;
    if let Err(error) = &sent {
        assert_discreet(&format!("{error} {error:?}"), &secret);
    }
    sent
}

async fn check(webhooks: &HttpWebhooks, url: &str) -> Result<(), WebhookRefused> {
    let checked = webhooks.check(url).await;
    if let Err(refused) = &checked {
        assert_discreet(&format!("{refused} {refused:?}"), &new_secret(KEY));
    }
    checked
}

fn assert_discreet(shown: &str, secret: &SecretString) {
    assert!(!shown.contains("canary") && !shown.contains(secret.expose_secret()), "{shown}");
}

/// A port of this machine that never answers, and records connection attempts.
struct Silence(TcpListener);

impl Silence {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    fn was_left_alone(&self) -> bool {
        self.0.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}
