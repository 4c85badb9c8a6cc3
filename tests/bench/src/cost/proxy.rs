//! Stands between the functions and the emulator, and counts what passes. Signatures stay valid, since requests pass
//! unchanged, with the host name that was signed.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::response::{IntoResponse, Response};
use dev_stack::failure::{OrFailure, Result};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::counts::{Counts, Observed};

/// The largest body of a request or an answer: more than a part of an upload.
const LARGEST_BODY: usize = 256 * 1024 * 1024;

/// A proxy on a port of its own, until it is dropped.
pub(super) struct Proxy {
    url: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    client: reqwest::Client,
    /// Where the emulator answers.
    target: OnceLock<String>,
    counts: Mutex<Counts>,
}

impl Proxy {
    pub(super) fn start() -> Result<Self> {
        // Another crate of the process may have installed the same provider already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let client = client.or_failure(|| "the proxy's client".to_owned())?;
        let shared = Arc::new(Shared { client, target: OnceLock::new(), counts: Mutex::default() });
        let runtime = Runtime::new().or_failure(|| "the proxy's runtime".to_owned())?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.or_failure(|| "the proxy's port".to_owned())?;
        let address = listener.local_addr().or_failure(|| "the proxy's port".to_owned())?;
        let router = Router::new().fallback(forward).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url: format!("http://{address}"), shared, _runtime: runtime })
    }

    /// Where functions find it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Passes everything on to the emulator at `url`, from now on.
    pub(super) fn forward_to(&self, url: &str) {
        // Set once: a stack has one emulator.
        let _already_set = self.shared.target.set(url.to_owned());
    }

    /// What passed since the last time.
    pub(super) fn take(&self) -> Counts {
        std::mem::take(&mut *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match shared.pass_on(request).await {
        Ok(response) => response,
        Err(why) => (StatusCode::BAD_GATEWAY, why).into_response(),
    }
}

impl Shared {
    async fn pass_on(&self, request: Request) -> std::result::Result<Response, String> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LARGEST_BODY).await.map_err(|error| error.to_string())?;
        let target = self.target.get().ok_or("the emulator is not up yet")?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers.clone();
        for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
            headers.remove(name);
        }
        let sent = self.client.request(parts.method.clone(), format!("{target}{path}")).headers(headers);
        let answer = sent.body(body.clone()).send().await.map_err(|error| error.to_string())?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let content = answer.bytes().await.map_err(|error| error.to_string())?;
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).note(&Observed {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            target: header("x-amz-target"),
            copies: header("x-amz-copy-source").is_some(),
            request: &body,
            answer: &content,
        });
        // A HEAD answer keeps the length of the body that it does not have.
        if parts.method != "HEAD" {
            headers.remove(CONTENT_LENGTH);
        }
        for name in [CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let mut response = Response::new(Body::from(content));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
