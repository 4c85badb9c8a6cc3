//! A webhook's receiver on a free port of this machine.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Method, path and query.
    pub(super) request_line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Seen {
    /// The value of the only header of this name.
    pub(super) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.iter().filter(|(header, _)| header == name).collect();
        assert_eq!(values.len(), 1, "{name} in {:?}", self.headers);
        &values[0].1
    }
}

/// Ends when it is dropped.
pub(super) struct Receiver {
    /// Host and port.
    pub(super) place: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// One that answers every request with `answer` and then keeps the connection open.
    pub(super) async fn answering(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let place = listener.local_addr().expect("an address").to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let task = tokio::spawn(receive(listener, answer.into(), seen.clone()));
        Self { place, seen, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.place, super::PATH)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(listener: TcpListener, answer: String, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut open = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        let mut stream = BufReader::new(stream);
        if let Some(request) = read(&mut stream).await {
            seen.lock().expect("not poisoned").push(request);
        }
        // An empty answer is a connection that breaks off.
        if !answer.is_empty() && stream.write_all(answer.as_bytes()).await.is_ok() {
            open.push(stream);
        }
    }
}

/// The request, or None when it is no HTTP.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut seen = Seen { request_line: line(stream).await?, ..Seen::default() };
    loop {
        let header = line(stream).await?;
        let Some((name, value)) = header.split_once(": ") else { break };
        seen.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut body = vec![0; seen.header("content-length").parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).ok()?;
    Some(seen)
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    // No more than a line has, as a TLS handshake has no end of line.
    stream.take(1_000).read_until(b'\n', &mut line).await.ok()?;
    Some(String::from_utf8(line).ok()?.trim_end().to_owned())
}
