//! A small HTTP client for the deployed API, the emulator and the sandbox CRM.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request, Response, StatusCode};
use ureq::{Agent, Body};

use crate::failure::{Failure, OrFailure, Result};

/// The longest answer that is read: far more than any page of the API and any archive of a test.
const LONGEST_BODY: u64 = 4 << 30;

/// How long an answer may take. API Gateway gives up after 30 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer of any status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer, if it has this status. `what` names the request in the error.
    ///
    /// # Errors
    /// When it has another one.
    pub fn expect(self, status: u16, what: &str) -> Result<Self> {
        if self.status.as_u16() == status {
            return Ok(self);
        }
        Err(Failure::new(format!("{what} was answered with {}: {}", self.status, self.text())))
    }
}

/// Sends requests to one base URL. Redirects are answers and not followed.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    agent: Agent,
}

impl Api {
    /// A client without a token.
    pub fn new(base: impl Into<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .build();
        Self { base: base.into(), token: None, agent: config.new_agent() }
    }

    /// The same client, sending `token` as a bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// # Errors
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send(&Method::GET, path, &[], Vec::new())
    }

    /// # Errors
    /// When there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(&Method::POST, path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    /// # Errors
    /// When there is no answer.
    pub fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(&Method::PUT, path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    /// Asks at `path` for a link to a file, and downloads that.
    ///
    /// # Errors
    /// When the API gives no link or the storage refuses.
    pub fn follow_link(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.send(&Method::GET, path, &[("accept", "application/json")], Vec::new())?;
        let answer = answer.expect(200, "asking for a download link")?.json();
        let link = answer["url"].as_str().ok_or_else(|| Failure::new("the API gave no download link"))?;
        // The link is its own permission, so the API's token stays here.
        Ok(Self::new("").get(link)?.expect(200, "downloading a file")?.body)
    }

    /// Sends any request. `path` begins with a slash; an absolute URL is taken as it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, method: &Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer> {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        // Paths only: what follows the question mark of a download link is a secret.
        let shown = url.split('?').next().unwrap_or_default().to_owned();
        let no_answer = || format!("{method} {shown} was not answered");
        let mut request = Request::builder().method(method.clone()).uri(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = if body.is_empty() {
            self.agent.run(request.body(()).or_failure(no_answer)?)
        } else {
            self.agent.run(request.body(body).or_failure(no_answer)?)
        };
        read(response.or_failure(no_answer)?).or_failure(no_answer)
    }
}

fn read(mut response: Response<Body>) -> std::result::Result<Answer, ureq::Error> {
    let body = response.body_mut().with_config().limit(LONGEST_BODY).read_to_vec()?;
    Ok(Answer { status: response.status(), headers: response.headers().clone(), body })
}

/// Whether `url` answers with success.
pub fn answers(url: &str) -> bool {
    Api::new("").send(&Method::GET, url, &[], Vec::new()).is_ok_and(|answer| answer.status.is_success())
}
