//! Serving the HTTP API behind API Gateway (payload format 2.0).

use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::audit::Act;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{LambdaEvent, service_fn};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use workflows::idempotency::IdempotencyKey;

use crate::audit::{AuditLog, Trace};
use crate::caller::{Authorised, Caller, Right};
use crate::deadline::Deadline;
use crate::fields::Fields;
use crate::problem::{Problem, catalogue};
use crate::routes::{self, MatchedRoute};

/// The longest body that a request may have, in bytes: room for the names of all properties that one restore may have.
pub const LONGEST_BODY: usize = 256 * 1024;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A request, as far as handlers care.
#[derive(Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: SentBody,
    verified_subject: Option<String>,
    trace: Trace,
    /// Until when the handler may work.
    pub deadline: Deadline,
}

impl Request {
    /// Reads API Gateway's event, except for the body: who may not send it is told so, however it looks.
    pub(crate) fn from_event(event: ApiGatewayV2httpRequest, deadline: Deadline, kept_for: SignedDuration) -> Self {
        let context = event.request_context;
        let body = SentBody { text: event.body.unwrap_or_default(), is_base64: event.is_base64_encoded };
        let mut claims = context.authorizer.and_then(|authorizer| authorizer.jwt).map(|jwt| jwt.claims);
        let query = event.query_string_parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            method: context.http.method,
            path: event.raw_path.unwrap_or_default(),
            query: query.collect(),
            headers: event.headers,
            body,
            verified_subject: claims.as_mut().and_then(|claims| claims.remove("sub")),
            trace: Trace::new(context.http.source_ip, kept_for),
            deadline,
        }
    }

    /// What `caller` does with it, for the audit log.
    ///
    /// # Errors
    /// See [`routes::find`].
    pub fn act(&self, caller: &Authorised) -> Result<Act, Problem> {
        let action = self.route()?.operation.slug();
        Ok(self.trace.act(caller.account_id.clone(), caller.requester.clone(), action))
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(crate) fn verified_subject(&self) -> Option<&str> {
        self.verified_subject.as_deref()
    }

    /// What it asks for.
    ///
    /// # Errors
    /// See [`routes::find`].
    pub fn route(&self) -> Result<MatchedRoute<'_>, Problem> {
        routes::find(&self.method, &self.path)
    }

    /// Who sent it.
    ///
    /// # Errors
    /// See [`Caller::of`].
    pub fn caller(&self, audience: &str) -> Result<Caller, Problem> {
        Caller::of(&self.headers, self.verified_subject.as_deref(), audience)
    }

    /// Who sent it, who must have `right` to the account of its route. Only they are told what is wrong with it.
    ///
    /// # Errors
    /// See [`Caller::of`], [`Caller::authorise`] and [`Request::check_parameters`].
    pub fn authorised(&self, audience: &str, route: &MatchedRoute<'_>, right: Right) -> Result<Authorised, Problem> {
        let caller = self.caller(audience)?.authorise(route.account, right)?;
        self.check_parameters(route)?;
        Ok(caller)
    }

    /// Checks that it has no query parameter but those of its route: a misspelt one must not be ignored silently.
    ///
    /// # Errors
    /// A 400 problem that names those at fault.
    pub fn check_parameters(&self, route: &MatchedRoute<'_>) -> Result<(), Problem> {
        let known = route.operation.parameters();
        let given = self.query.iter().map(|(name, _)| name.as_str());
        let unknown: Vec<_> = given.filter(|name| !known.contains(name)).collect();
        if unknown.is_empty() { Ok(()) } else { Err(Problem::parameters_unknown(&unknown, known)) }
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A header; None also where it is not ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request has the header, readable or not.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The client's own name for the request, under which it may send it again.
    ///
    /// # Errors
    /// A 400 problem when it is no such key.
    pub fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        if !self.has_header(IDEMPOTENCY_KEY) {
            return Ok(None);
        }
        let key = self.header(IDEMPOTENCY_KEY).and_then(|text| IdempotencyKey::parse(text).ok());
        let malformed = || Problem::parameter_invalid(IDEMPOTENCY_KEY, "It must be 1 to 255 visible ASCII characters.");
        key.map(Some).ok_or_else(malformed)
    }

    /// The body's members.
    ///
    /// # Errors
    /// A problem when the body is longer than [`LONGEST_BODY`] (413) or no JSON object (400); none at all is one only
    /// where there is nothing to change.
    pub fn fields(&self) -> Result<Fields, Problem> {
        let body = self.body.bytes()?;
        if body.is_empty() && matches!(self.method, Method::PUT | Method::PATCH) {
            let detail = "The body is empty. Send a JSON object with what is to be changed.";
            return Err(Problem::new(catalogue::JSON_MALFORMED, detail));
        }
        Fields::parse(&body)
    }

    /// Checks that the body says nothing: there is none, or an empty object.
    ///
    /// # Errors
    /// A problem when the body is too long, no JSON object, or has members.
    pub fn no_fields(&self) -> Result<(), Problem> {
        let mut faults = Vec::new();
        self.fields()?.finish(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(Problem::input_invalid(faults)) }
    }
}

/// A body as API Gateway hands it on.
#[derive(Debug)]
struct SentBody {
    text: String,
    is_base64: bool,
}

impl SentBody {
    fn bytes(&self) -> Result<Cow<'_, [u8]>, Problem> {
        // Three bytes are four characters.
        let longest = if self.is_base64 { LONGEST_BODY.div_ceil(3) * 4 } else { LONGEST_BODY };
        if self.text.len() > longest {
            return Err(body_too_large());
        }
        let bytes = if self.is_base64 {
            Cow::Owned(BASE64_STANDARD.decode(&self.text).map_err(|error| Problem::internal(&error))?)
        } else {
            Cow::Borrowed(self.text.as_bytes())
        };
        if bytes.len() > LONGEST_BODY { Err(body_too_large()) } else { Ok(bytes) }
    }
}

fn body_too_large() -> Problem {
    Problem::new(catalogue::BODY_TOO_LARGE, format!("The body has more than {LONGEST_BODY} bytes."))
}

/// An answer. No cache may keep it: all answers are private, and progress is soon out of date.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<String>,
}

impl Response {
    /// `body` as JSON.
    ///
    /// # Panics
    /// When `body` does not serialise to JSON, which is a fault of its type.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::json_text(status, serde_json::to_string(body).expect("answers are plain data"))
    }

    /// A text that is JSON already.
    pub fn json_text(status: StatusCode, body: impl Into<String>) -> Self {
        Self::of(status, "application/json", Some(body.into()))
    }

    /// Sends the client on to `link` (302).
    ///
    /// # Errors
    /// A 500 problem when the link cannot stand in a header.
    pub fn redirect(link: &SecretString) -> Result<Self, Problem> {
        let mut response = Self::of(StatusCode::FOUND, "", None);
        let location = HeaderValue::from_str(link.expose_secret());
        response
            .headers
            .insert(LOCATION, location.map_err(|_| Problem::internal("a download link is no header value"))?);
        Ok(response)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A text that is JSON and public, which caches may keep as long as they ask whether it is still the same; only that
    /// (304) where the request has it already (RFC 9110, 13.1.2).
    ///
    /// # Errors
    /// A 500 problem when `etag` is no header value, which is a fault of the caller.
    pub fn unless_unchanged(request: &Request, text: &str, etag: &str) -> Result<Self, Problem> {
        let known = request.header(IF_NONE_MATCH.as_str()).unwrap_or_default();
        let is_known =
            known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag);
        let response =
            if is_known { Self::of(StatusCode::NOT_MODIFIED, "", None) } else { Self::json_text(StatusCode::OK, text) };
        let etag = HeaderValue::from_str(etag).map_err(|error| Problem::internal(&error))?;
        Ok(response.header(ETAG, etag).header(CACHE_CONTROL, HeaderValue::from_static("no-cache")))
    }

    /// The problem's document.
    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        let document = problem.document(request_id).to_string();
        let mut response = Self::of(problem.kind().status, "application/problem+json", Some(document));
        response.headers.extend(problem.headers().clone());
        response
    }

    fn of(status: StatusCode, content_type: &'static str, body: Option<String>) -> Self {
        let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Self { status, headers, body }
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its body; empty where it has none.
    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    fn into_event(self) -> ApiGatewayV2httpResponse {
        let mut event = ApiGatewayV2httpResponse::default();
        event.status_code = self.status.as_u16().into();
        event.headers = self.headers;
        event.body = self.body.map(Body::Text);
        event
    }
}

/// Serves requests until the process ends. A problem becomes its document, and an entry of the audit log where it is one
/// of those that are recorded; a panic becomes a 500 that says nothing.
///
/// # Errors
/// When the Lambda runtime cannot be reached.
pub async fn serve<H, F>(audit: AuditLog, handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let (audit, handler) = (&audit, &handler);
    lambda_runtime::run(service_fn(|event: LambdaEvent<ApiGatewayV2httpRequest>| async move {
        let deadline = Deadline::of(&event.context, Timestamp::now());
        let response = answer(handler, audit, event.payload, deadline, &event.context.request_id).await;
        Ok::<_, lambda_runtime::Error>(response.into_event())
    }))
    .await
}

pub(crate) async fn answer<H, F>(
    handler: &H,
    audit: &AuditLog,
    event: ApiGatewayV2httpRequest,
    deadline: Deadline,
    request_id: &str,
) -> Response
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<Response, Problem>>,
{
    let begin = Timestamp::now();
    let method = event.request_context.http.method.clone();
    let path: String = event.raw_path.iter().flat_map(|path| path.chars()).take(256).collect();
    let request = Request::from_event(event, deadline, audit.kept_for);
    let watched = audit.watch(&request);
    // The panic hook has logged what it was. The call is inside the future, so that it is caught as well.
    let outcome = AssertUnwindSafe(async { handler(request).await }).catch_unwind().await;
    let outcome = match outcome.unwrap_or_else(|_| Err(Problem::internal("the handler panicked"))) {
        Err(problem) => Err(audit.refused(watched, problem).await),
        answered => answered,
    };
    let millis = i64::try_from(Timestamp::now().duration_since(begin).as_millis()).unwrap_or(i64::MAX);
    let (word, cause) = match &outcome {
        Ok(_) => (None, None),
        Err(problem) => (Some(problem.kind().word), problem.cause().map(str::to_owned)),
    };
    let mut response = outcome.unwrap_or_else(|problem| Response::problem(&problem, request_id));
    if method == Method::HEAD {
        response.body = None;
    }
    let status = response.status.as_u16();
    if response.status.is_server_error() {
        tracing::error!(
            http.method = %method, http.path = path, http.status = status, request.milliseconds = millis,
            problem.word = word, problem.cause = cause, "request.failed"
        );
    } else {
        tracing::info!(
            http.method = %method, http.path = path, http.status = status, request.milliseconds = millis,
            problem.word = word, problem.cause = cause, "request.answered"
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{ApiCall, document};

    async fn answered(call: ApiCall) -> Response {
        let handler = async |request: Request| {
            let found = request.route()?;
            assert_ne!(found.account, "666");
            request.no_fields()?;
            Ok(Response::json(StatusCode::OK, &json!({"account": found.account, "limit": request.query("limit")})))
        };
        call.answered_by(handler).await
    }

    #[tokio::test]
    async fn a_request_is_read_and_answered_as_json() {
        let response = answered(ApiCall::get("/accounts/42/backups").query("limit", "20")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(document(&response), json!({"account": "42", "limit": "20"}));
        let written = serde_json::to_value(response.into_event()).expect("JSON");
        assert_eq!(written["statusCode"], 200);
        assert_eq!(written["headers"], json!({"content-type": "application/json", "cache-control": "no-store"}));
    }

    #[tokio::test]
    async fn problems_are_documents_with_the_requests_id() {
        let response = answered(ApiCall::new("DELETE", "/accounts/42/backups")).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[http::header::ALLOW], "POST, GET, HEAD");
        assert_eq!(document(&response)["instance"], "urn:crm-backup:request:request-1");
    }

    #[tokio::test]
    async fn a_body_that_is_malformed_or_too_large_is_refused() {
        let blanks = |length| " ".repeat(length - 2) + "{}";
        for (body, status) in [
            ("{".to_owned(), StatusCode::BAD_REQUEST),
            (r#"{"x":1}"#.to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
            (blanks(LONGEST_BODY), StatusCode::OK),
            (blanks(LONGEST_BODY + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let call = || ApiCall::new("POST", "/accounts/42/backups");
            assert_eq!(answered(call().body(&body)).await.status(), status);
            assert_eq!(answered(call().body_in_base64(&body)).await.status(), status);
        }
    }

    /// D8: what is to be changed must be said, if only as an empty object.
    #[tokio::test]
    async fn an_empty_body_changes_nothing() {
        let put = |body: &str| answered(ApiCall::new("PUT", "/accounts/42").body(body));
        let refused = put("").await;
        assert_eq!(
            (refused.status(), &document(&refused)["type"]),
            (StatusCode::BAD_REQUEST, &json!(catalogue::JSON_MALFORMED.uri()))
        );
        assert_eq!(put("{}").await.status(), StatusCode::OK);
        let post = ApiCall::new("POST", "/accounts/42/backups").body("");
        assert_eq!(answered(post).await.status(), StatusCode::OK);
    }

    /// D10: by everything but its body.
    #[tokio::test]
    async fn a_head_request_is_answered_like_a_get_request() {
        for path in ["/accounts/42/backups", "/nowhere"] {
            let get = answered(ApiCall::get(path)).await;
            let head = answered(ApiCall::new("HEAD", path)).await;
            assert_eq!((head.status(), head.headers(), head.body()), (get.status(), get.headers(), ""));
            assert!(!get.body().is_empty());
        }
        let nothing_to_get = answered(ApiCall::new("HEAD", "/accounts/42/backups/b/cancel")).await;
        assert_eq!(nothing_to_get.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn a_panic_becomes_a_500_that_says_nothing() {
        let response = answered(ApiCall::get("/accounts/666")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!response.body().contains("666"), "{}", response.body());
    }

    #[test]
    fn a_link_goes_into_location_and_must_not_be_cached() {
        let response = Response::redirect(&"https://bucket.example/a?b=c".to_owned().into()).expect("a header value");
        assert_eq!(response.headers()[LOCATION], "https://bucket.example/a?b=c");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    }
}
