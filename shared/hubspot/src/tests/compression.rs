//! C4: compressed answers.

use std::io::Write as _;

use domain::account::ApiVersion;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;

use super::server::{Reply, Server};
use super::{Client, Gate, ONE_CONTACT, connector};

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn gzip(bytes: Vec<u8>) -> Reply {
    Reply::bytes(200, bytes).header("Content-Encoding", "gzip")
}

#[tokio::test]
async fn answers_are_compressed_and_their_bytes_on_the_wire_counted() {
    let compressed = compress(ONE_CONTACT);
    let length = compressed.len() as u64;
    let server = Server::script([gzip(compressed)]).await;
    let page = Client::to(&server).contacts().await.expect("a page");
    assert_eq!(page.records, [(7, vec!["Ä. \"Q\"".to_owned()])]);
    assert_eq!(page.end.response_bytes, length);
    assert_eq!(server.seen()[0].accept_encoding, "gzip");
}

#[tokio::test]
async fn compressed_answers_that_are_cut_off_or_broken_are_requested_again() {
    let whole = compress(ONE_CONTACT);
    let half = whole[..whole.len() / 2].to_vec();
    let server = Server::script([gzip(half), gzip(b"not compressed".to_vec()), gzip(whole)]).await;
    Client::to(&server).contacts().await.expect("the third answer is whole");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_compressed_refusal_is_read() {
    let body = compress(r#"{"category":"FORBIDDEN","message":"not you"}"#);
    let server = Server::script([Reply::bytes(403, body).header("content-encoding", "gzip")]).await;
    let error = Client::to(&server).contacts().await.expect_err("refused");
    assert!(error.sentence.ends_with("(403, FORBIDDEN): not you"), "{error}");
}

#[tokio::test]
async fn compression_can_be_switched_off() {
    let server = Server::script([Reply::ok(ONE_CONTACT)]).await;
    let connector = connector().without_compression();
    let time_left = SignedDuration::from_mins(1);
    let client = Client::with(&server, &connector, ApiVersion::V2026_09, Gate::default(), time_left);
    client.contacts().await.expect("a page");
    assert_eq!(server.seen()[0].accept_encoding, "");
}
