//! A server with scripted answers, for answers that no emulator gives.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An answer of the script.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// A JSON text.
    pub body: String,
}

/// Answers requests in the order of their arrival, until dropped. The last answer of the script is repeated.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Answer>,
    requests: Vec<serde_json::Value>,
}

impl ScriptedServer {
    /// A server with the answers of `script`.
    ///
    /// # Panics
    /// If no port is free on this machine.
    pub async fn answering(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), requests: Vec::new() }));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, shared.clone()));
            }
        });
        Self { address, state, server }
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies of the requests so far.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(client: TcpStream, state: Arc<Mutex<State>>) {
    let mut client = BufReader::new(client);
    while let Some(body) = request(&mut client).await {
        let Some(answer) = next(&state, body) else { return };
        let (status, length, body) = (answer.status, answer.body.len(), answer.body);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\n");
        let answer = format!("{head}content-length: {length}\r\n\r\n{body}");
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The body of the next request, or None at the end of the connection.
async fn request(client: &mut BufReader<TcpStream>) -> Option<serde_json::Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn next(state: &Mutex<State>, request: serde_json::Value) -> Option<Answer> {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests.push(request);
    if state.script.len() > 1 { state.script.pop_front() } else { state.script.front().cloned() }
}
