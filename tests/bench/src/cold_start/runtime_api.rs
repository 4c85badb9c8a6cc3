//! As much of the Lambda Runtime API, and of AWS behind it, as a function's first invocation needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dev_stack::failure::{Failure, OrFailure, Result};
use jiff::{SignedDuration, Timestamp};

/// What every kind of function makes of this: workers find no message in it, the schedule's function looks at nothing,
/// and the HTTP functions know neither the caller nor the route.
const EVENT: &str = r#"{
    "Records": [], "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": {},
    "requestContext": {
        "accountId": "1", "apiId": "a", "domainName": "a.example.com", "domainPrefix": "a", "requestId": "r",
        "routeKey": "$default", "stage": "$default", "time": "20/Nov/2026:09:30:00 +0000", "timeEpoch": 1795167000000,
        "http": { "method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench" }
    },
    "isBase64Encoded": false
}"#;

/// What the ledger answers to any question: nothing is there.
const NOTHING: &str = r#"{"Items":[],"Count":0,"ScannedCount":0}"#;

/// An event and its time.
enum Moment {
    Asked(Instant),
    Answered(Instant),
    Failed(String),
}

/// Serves one function process.
pub(super) struct RuntimeApi {
    address: SocketAddr,
    moments: Receiver<Moment>,
    began: Instant,
    over: Arc<AtomicBool>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that.
        let _ = TcpStream::connect(self.address);
    }
}

impl RuntimeApi {
    /// Listens on a free port; the time runs from here.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_failure(|| "cannot listen".to_owned())?;
        let address = listener.local_addr().or_failure(|| "cannot listen".to_owned())?;
        let (tell, moments) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                let tell = tell.clone();
                // Ends when the function does.
                thread::spawn(move || serve(&stream, &tell));
            }
        });
        Ok(Self { address, moments, began: Instant::now(), over })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Times until the function asked for its first event, and until it had answered it.
    pub(super) fn first_response(&self, patience: Duration) -> Result<(Duration, Duration)> {
        let mut asked = None;
        loop {
            let moment = self.moments.recv_timeout(patience);
            match moment.or_failure(|| "the function did not answer".to_owned())? {
                Moment::Asked(at) => asked = asked.or(Some(at)),
                Moment::Failed(what) => return Err(Failure::new(format!("the function failed: {what}"))),
                Moment::Answered(at) => {
                    let asked = asked.ok_or_else(|| Failure::new("the function answered unasked"))?;
                    return Ok((asked - self.began, at - self.began));
                }
            }
        }
    }
}

/// The environment of a function that is served by `api`.
pub(super) fn environment(api: &RuntimeApi) -> Vec<(&'static str, String)> {
    let address = api.address();
    let url = format!("http://{address}");
    let texts = [
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("LEDGER_TABLE", "ledger"),
        ("AUDIT_TABLE", "audit-log"),
        ("AUDIT_RETENTION_DAYS", "400"),
        ("EVENT_BUS", "bench"),
        ("WEBHOOK_SECRET_PREFIX", "bench/"),
        ("DELIVERY_RETRY_BASE_SECONDS", "60"),
        ("ARCHIVE_BUCKET", "archives"),
        ("TOKEN_AUDIENCE", "bench"),
        ("ISSUER_ENFORCES_SECOND_FACTOR", "true"),
        ("CRM_TOKEN_PREFIX", "bench/"),
        ("CRM_RETRY_BASE_SECONDS", "1"),
        ("CRM_OUTAGE_PATIENCE_HOURS", "24"),
        ("EXPORT_RUNS_PER_BACKUP", "2"),
        ("RESTORE_CONCURRENCY", "2"),
        ("DOWNLOAD_LINK_SECONDS", "300"),
        ("LOG_LEVEL", "info"),
    ];
    let urls = [
        "AWS_ENDPOINT_URL",
        "CRM_BASE_URLS",
        "DISCOVER_QUEUE_URL",
        "EXPORT_QUEUE_URL",
        "ASSEMBLE_QUEUE_URL",
        "RESTORE_QUEUE_URL",
        "NOTIFY_QUEUE_URL",
        "DEAD_LETTER_QUEUE_URLS",
        "API_URL",
    ];
    let mut environment: Vec<_> = texts.map(|(name, value)| (name, value.to_owned())).into();
    environment.extend(urls.map(|name| (name, url.clone())));
    environment.push(("AWS_LAMBDA_RUNTIME_API", address.to_string()));
    environment
}

/// Answers requests on one connection until it ends.
fn serve(stream: &TcpStream, tell: &Sender<Moment>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut given = false;
    loop {
        let (target, body) = request(&mut reader)?;
        let moment = Instant::now();
        if target.ends_with("/invocation/next") {
            // The receiver can be gone, because the function has answered.
            let _ = tell.send(Moment::Asked(moment));
            if given {
                // There is one event only; the function is ended while it waits for the next.
                continue;
            }
            given = true;
            let deadline = (Timestamp::now() + SignedDuration::from_secs(60)).as_millisecond();
            let headers = format!(
                "lambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: {deadline}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:1:function:bench\r\n"
            );
            respond(stream, 200, &headers, EVENT)?;
        } else if target.ends_with("/response") {
            let _ = tell.send(Moment::Answered(moment));
            respond(stream, 202, "", "")?;
        } else if target.ends_with("/error") {
            let _ = tell.send(Moment::Failed(String::from_utf8_lossy(&body).into_owned()));
            respond(stream, 202, "", "")?;
        } else {
            respond(stream, 200, "", NOTHING)?;
        }
    }
}

/// The target and the body of the next request.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let (name, value) = line.trim_end().split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.trim().parse().ok()?,
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let body = if chunked { chunks(reader)? } else { exactly(reader, length)? };
    Some((target, body))
}

fn chunks(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        body.extend(exactly(reader, length)?);
        exactly(reader, 2)?;
        if length == 0 {
            return Some(body);
        }
    }
}

fn exactly(reader: &mut BufReader<&TcpStream>, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn respond(mut stream: &TcpStream, status: u16, headers: &str, body: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}
