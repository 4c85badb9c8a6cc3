//! A receiver of webhooks: the one server on this machine that the stack may send to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dev_stack::failure::{OrFailure, Result};
use dev_stack::stack::Stack;
use serde_json::{Map, Value};

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    /// Header fields, names in lower case.
    pub headers: Value,
    pub body: String,
}

impl Received {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// How the receiver answers a request, given those before it at the same path: a status, and a `Location` perhaps.
type Answers = dyn Fn(&Received, usize) -> (u16, Option<String>) + Send + Sync;

/// Listens until it is dropped.
pub struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<Received>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens where `stack` may send webhooks to, and answers as `answers` says.
    ///
    /// # Errors
    /// When somebody else listens there.
    pub fn listen(
        stack: &Stack,
        answers: impl Fn(&Received, usize) -> (u16, Option<String>) + Send + Sync + 'static,
    ) -> Result<Self> {
        let target = &stack.webhook_target;
        let listener = TcpListener::bind(target).or_failure(|| format!("cannot listen at {target}"))?;
        listener.set_nonblocking(true).or_failure(|| "cannot listen without blocking".to_owned())?;
        let (seen, ended) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (all, stop, answers): (_, _, Box<Answers>) = (seen.clone(), ended.clone(), Box::new(answers));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A request that breaks off is the sender's to repeat.
                    Ok((stream, _)) => drop(serve(stream, &all, &*answers)),
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        Ok(Self { url: format!("http://{target}"), seen, ended, thread: Some(thread) })
    }

    /// Where it listens, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests at a path so far.
    pub fn at(&self, path: &str) -> Vec<Received> {
        lock(&self.seen).iter().filter(|received| received.path == path).cloned().collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(seen: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Received>>, answers: &Answers) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Map::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().into());
    }
    let length = headers.get("content-length").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let received = Received { path, headers: headers.into(), body };
    let before = lock(seen).iter().filter(|earlier| earlier.path == received.path).count();
    let (status, location) = answers(&received, before);
    lock(seen).push(received);
    let location = location.map(|location| format!("Location: {location}\r\n")).unwrap_or_default();
    let answer = format!("HTTP/1.1 {status} Answered\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n");
    reader.into_inner().write_all(answer.as_bytes())
}
