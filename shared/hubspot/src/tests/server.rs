//! An HTTP server on a free port with scripted answers, which may be broken.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request that the server received.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Path and query.
    pub(super) target: String,
    pub(super) authorization: String,
    pub(super) accept_encoding: String,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query parameter, still escaped.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let query = self.target.split_once('?')?.1;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    /// Whole lines.
    headers: String,
    body: Vec<u8>,
    manner: Manner,
}

#[derive(Debug, Clone, Copy)]
enum Manner {
    Whole,
    /// The connection breaks in the middle of the body.
    Broken,
    /// The server never answers.
    Silent,
}

impl Reply {
    pub(super) fn ok(body: impl Into<String>) -> Self {
        Self::bytes(200, body.into().into_bytes())
    }

    pub(super) fn bytes(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: String::new(), body, manner: Manner::Whole }
    }

    pub(super) fn status(status: u16, body: impl Into<String>) -> Self {
        Self { status, ..Self::ok(body) }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        writeln!(self.headers, "{name}: {value}\r").expect("strings take everything");
        self
    }

    pub(super) fn broken(self) -> Self {
        Self { manner: Manner::Broken, ..self }
    }

    pub(super) fn silence() -> Self {
        Self { manner: Manner::Silent, ..Self::ok("") }
    }
}

type Answer = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

/// A server that stops when it is dropped.
pub(super) struct Server {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request with the result of `answer`, which gets the request and the number of earlier ones.
    pub(super) async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answer>) = (seen.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, log.clone(), answer.clone()));
            }
        });
        Self { url, seen, task }
    }

    /// Sends these answers in turn, and repeats the last one.
    pub(super) async fn script(replies: impl Into<Vec<Reply>>) -> Self {
        let replies = replies.into();
        Self::start(move |_, place| replies[place.min(replies.len() - 1)].clone()).await
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, log: Arc<Mutex<Vec<Seen>>>, answer: Arc<Answer>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let place = {
            let mut log = log.lock().expect("not poisoned");
            log.push(request.clone());
            log.len() - 1
        };
        let Reply { status, headers, body, manner } = answer(&request, place);
        let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        let sent = match manner {
            Manner::Whole => [head.as_bytes(), &body].concat(),
            Manner::Broken => [head.as_bytes(), &body[..body.len() / 2]].concat(),
            Manner::Silent => return std::future::pending().await,
        };
        let failed = stream.write_all(&sent).await.is_err();
        if failed || matches!(manner, Manner::Broken) {
            return;
        }
    }
}

/// The next request of a connection, or `None` if the client has closed it.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let (mut authorization, mut accept_encoding, mut length) = (String::new(), String::new(), 0);
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => value.clone_into(&mut authorization),
            Some((name, value)) if name.eq_ignore_ascii_case("accept-encoding") => {
                value.clone_into(&mut accept_encoding);
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { target, authorization, accept_encoding, body: String::from_utf8(body).ok()? })
}
