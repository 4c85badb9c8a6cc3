//! Tests of handlers: requests as API Gateway sends them, account 42, and checks of answers against the description.

pub mod account;
pub mod described;

use std::future::Future;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use in_memory::MemoryLedger;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Context;
use runtime::deadline::Deadline;
use serde_json::{Value, json};

use crate::audit::AuditLog;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;
use crate::serving;

/// The audience of the tokens of [`ApiCall::by`].
pub const AUDIENCE: &str = "client-1";

/// How long [`ApiCall::answered_by`] keeps entries of the audit log.
pub const AUDIT_KEPT_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);

/// A request on its way through API Gateway.
#[derive(Debug, Clone)]
pub struct ApiCall {
    event: Value,
}

impl ApiCall {
    /// A request without a token.
    ///
    /// # Panics
    /// Never: the fixture is JSON.
    pub fn new(method: &str, path: &str) -> Self {
        let text = include_str!("../../tests/fixtures/http-request.json");
        let mut event: Value = serde_json::from_str(text).expect("the fixture is JSON");
        event["rawPath"] = path.into();
        event["requestContext"]["http"]["method"] = method.into();
        event["requestContext"]["http"]["path"] = path.into();
        Self { event }
    }

    /// A GET request without a token.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// The same, sent by `user-1` with an ID token that has these groups.
    #[must_use]
    pub fn by(self, groups: &[&str]) -> Self {
        self.with_claims(&json!({
            "sub": "user-1", "aud": AUDIENCE, "token_use": "id", "email": "ada@example.com",
            "email_verified": true, "cognito:groups": groups,
        }))
    }

    /// The same, sent by `user-1`, who has these groups and signed in at this time.
    #[must_use]
    pub fn by_signed_in(self, groups: &[&str], at: Timestamp) -> Self {
        self.with_claims(&json!({
            "sub": "user-1", "aud": AUDIENCE, "token_use": "id", "email": "ada@example.com",
            "email_verified": true, "cognito:groups": groups, "auth_time": at.as_second(),
        }))
    }

    /// The same with a verified token that has these claims.
    #[must_use]
    pub fn with_claims(mut self, claims: &Value) -> Self {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.c2lnbmF0dXJl", part(&json!({"alg": "RS256", "kid": "k"})), part(claims));
        self.event["requestContext"]["authorizer"] = json!({"jwt": {"claims": {"sub": claims["sub"]}, "scopes": null}});
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.event["headers"][name] = value.into();
        self
    }

    /// The same with a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.event["queryStringParameters"][name] = value.into();
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, text: &str) -> Self {
        self.event["body"] = text.into();
        self
    }

    /// The same with a body in Base64, as API Gateway passes on bodies that are not text.
    #[must_use]
    pub fn body_in_base64(mut self, text: &str) -> Self {
        self.event["isBase64Encoded"] = true.into();
        self.body(&BASE64_STANDARD.encode(text))
    }

    /// The answer of `handler` to this request, which has the id `request-1`, 30 seconds of time, and its own audit
    /// log.
    ///
    /// # Panics
    /// If the event is not one of API Gateway, which is a bug in the test.
    pub async fn answered_by<H, F>(self, handler: H) -> Response
    where
        H: Fn(Request) -> F,
        F: Future<Output = Result<Response, Problem>>,
    {
        let audit =
            AuditLog { ledger: Arc::new(MemoryLedger::new()), kept_for: AUDIT_KEPT_FOR, audience: AUDIENCE.to_owned() };
        self.answered_with(&audit, handler).await
    }

    /// The same with `audit` as the audit log.
    ///
    /// # Panics
    /// If the event is not one of API Gateway, which is a bug in the test.
    pub async fn answered_with<H, F>(self, audit: &AuditLog, handler: H) -> Response
    where
        H: Fn(Request) -> F,
        F: Future<Output = Result<Response, Problem>>,
    {
        let now = Timestamp::now();
        let mut context = Context::default();
        let stopped_at = now + SignedDuration::from_secs(30);
        context.deadline = u64::try_from(stopped_at.as_millisecond()).expect("after 1970");
        let event = serde_json::from_value(self.event).expect("an API Gateway event");
        serving::answer(&handler, audit, event, Deadline::of(&context, now), "request-1").await
    }
}

/// An answer's body.
///
/// # Panics
/// If the body is not JSON.
pub fn document(response: &Response) -> Value {
    serde_json::from_str(response.body()).expect("the body is JSON")
}

/// The `type` of the problem with this slug.
pub fn kind(slug: &str) -> Value {
    format!("urn:crm-backup:problem:{slug}").into()
}

/// The status and the `type` of a problem.
///
/// # Panics
/// If the answer is not a problem document.
pub fn problem(response: &Response) -> (u16, Value) {
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{}", response.body());
    (response.status().as_u16(), document(response)["type"].clone())
}

/// Problem documents as a text for snapshots: one after another, with the seconds after which a retry may help.
pub fn shown(problems: impl IntoIterator<Item = Problem>) -> String {
    let shown = problems.into_iter().map(|problem| {
        let document = serde_json::to_string_pretty(&problem.document("request-1")).unwrap_or_default();
        match problem.headers().get(http::header::RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()) {
            Some(seconds) => format!("{document}\nRetry-After: {seconds}\n"),
            None => format!("{document}\n"),
        }
    });
    shown.collect::<Vec<_>>().join("\n")
}
