//! A proxy that can lose an answer, or the rest of one: the request was carried out, but its sender never learns of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes TCP connections on to one server, until dropped.
#[derive(Debug)]
pub struct LossyProxy {
    address: SocketAddr,
    losses: Arc<Mutex<Losses>>,
    server: JoinHandle<()>,
}

/// The answers to lose.
#[derive(Debug, Default)]
struct Losses {
    answers: u32,
    /// The bytes of each that still get through.
    after_bytes: usize,
    /// The bytes of the present one that have got through.
    passed: usize,
}

impl Losses {
    /// How many of the next `count` bytes get through.
    fn admit(&mut self, count: usize) -> usize {
        if self.answers == 0 {
            return count;
        }
        let admitted = count.min(self.after_bytes - self.passed);
        self.passed += admitted;
        if admitted < count {
            self.answers -= 1;
            self.passed = 0;
        }
        admitted
    }
}

fn lock(losses: &Mutex<Losses>) -> MutexGuard<'_, Losses> {
    losses.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LossyProxy {
    /// A proxy of the server at `url`, which has the form `http://host:port`.
    ///
    /// # Panics
    /// If no port is free on this machine.
    pub async fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let losses = Arc::<Mutex<Losses>>::default();
        let shared = losses.clone();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, target.clone(), shared.clone()));
            }
        });
        Self { address, losses, server }
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Loses the next `count` answers: the connection is closed instead.
    pub fn lose_answers(&self, count: u32) {
        self.cut_answers(count, 0);
    }

    /// Closes the connection after `after_bytes` of an answer, for each of the next `count` answers.
    pub fn cut_answers(&self, count: u32, after_bytes: usize) {
        *lock(&self.losses) = Losses { answers: count, after_bytes, passed: 0 };
    }

    /// How many answers will still be lost.
    pub fn still_to_lose(&self) -> u32 {
        lock(&self.losses).answers
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(client: TcpStream, target: String, losses: Arc<Mutex<Losses>>) {
    let Ok(server) = TcpStream::connect(&target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, |count| count) => {}
        () = pass(from_server, to_client, |count| lock(&losses).admit(count)) => {}
    }
}

/// Copies until either side ends or `admit` admits fewer bytes than were read. Then both connections are closed.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, admit: impl Fn(usize) -> usize) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let admitted = admit(count);
        if to.write_all(&buffer[..admitted]).await.is_err() || admitted < count {
            return;
        }
    }
}
