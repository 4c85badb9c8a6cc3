//! A proxy that can lose an answer: the request has been carried out, and its sender never learns of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes TCP connections on to one server, until dropped.
#[derive(Debug)]
pub struct LossyProxy {
    address: SocketAddr,
    to_lose: Arc<AtomicU32>,
    server: JoinHandle<()>,
}

impl LossyProxy {
    /// A proxy of the server at `url`, which has the form `http://host:port`.
    ///
    /// # Panics
    /// When no port is free on this machine.
    pub async fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let to_lose = Arc::new(AtomicU32::new(0));
        let losses = to_lose.clone();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, target.clone(), losses.clone()));
            }
        });
        Self { address, to_lose, server }
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Loses the next `count` answers: the connection is closed in place of each.
    pub fn lose_answers(&self, count: u32) {
        self.to_lose.store(count, Ordering::SeqCst);
    }

    /// How many answers are still to be lost.
    pub fn still_to_lose(&self) -> u32 {
        self.to_lose.load(Ordering::SeqCst)
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(client: TcpStream, target: String, to_lose: Arc<AtomicU32>) {
    let Ok(server) = TcpStream::connect(&target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, || true) => {}
        () = pass(from_server, to_client, || {
            to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
        }) => {}
    }
}

/// Copies until either side ends or `may_pass` says no; both connections are closed then.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, may_pass: impl Fn() -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !may_pass() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
