//! Signed links, followed as a browser does.

use std::time::Duration;

use domain::ports::storage::{BlobWriter, DownloadLinks, StorageError};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{TYPE, noise};

/// A link downloads its object under the given name, and browsers do not display the object.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_link_downloads_an_object(blobs: &(impl DownloadLinks + BlobWriter)) {
    let bytes = noise(1, 50_000);
    blobs.write_new("t/a.zip", bytes.clone(), TYPE).await.expect("written");

    let link = blobs.link("t/a.zip", "backup 2026.zip", Duration::from_mins(5)).await.expect("signed");
    assert!(!format!("{link:?}").contains("a.zip"), "a link does not get into logs");

    let (head, body) = fetch(link.expose_secret()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-disposition: attachment; filename=\"backup 2026.zip\""), "{head}");
    assert_eq!(body, bytes);
}

/// A link downloads no other object. LocalStack does not check signatures.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_link_downloads_no_other_object(blobs: &(impl DownloadLinks + BlobWriter)) {
    for key in ["t/a.zip", "t/b.zip"] {
        blobs.write_new(key, noise(1, 10), TYPE).await.expect("written");
    }
    let link = blobs.link("t/a.zip", "a.zip", Duration::from_mins(5)).await.expect("signed");

    let (head, _) = fetch(&link.expose_secret().replace("/t/a.zip", "/t/b.zip")).await;

    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
}

/// A link cannot be valid for longer than a week.
///
/// # Panics
/// If the storage breaks its contract.
pub async fn a_link_is_valid_for_a_week_at_most(blobs: &impl DownloadLinks) {
    let too_long = blobs.link("t/a.zip", "a.zip", Duration::from_hours(7 * 24 + 1)).await;
    assert!(matches!(too_long, Err(StorageError::Refused(_))));
}

/// The head and the body of the answer to a GET of `url`.
async fn fetch(url: &str) -> (String, Vec<u8>) {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http link");
    let mut stream = TcpStream::connect(host).await.expect("connected");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answered");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
}
