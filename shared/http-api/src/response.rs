//! The answer to a request.

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::ApiGatewayV2httpResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::problem::Problem;
use crate::request::Request;

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
    /// If `body` does not serialise to JSON, which is a bug in its type.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::json_text(status, serde_json::to_string(body).expect("answers are plain data"))
    }

    /// `body`, which is JSON already.
    pub fn json_text(status: StatusCode, body: impl Into<String>) -> Self {
        Self::of(status, "application/json", Some(body.into()))
    }

    /// Redirects the client to `link` (302).
    ///
    /// # Errors
    /// A 500 problem if a header cannot contain the link.
    pub fn redirect(link: &SecretString) -> Result<Self, Problem> {
        let mut response = Self::of(StatusCode::FOUND, "", None);
        let location = HeaderValue::from_str(link.expose_secret());
        response
            .headers
            .insert(LOCATION, location.map_err(|_| Problem::internal("a download link is not a header value"))?);
        Ok(response)
    }

    /// Adds a header, or replaces the one with this name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A public JSON text, which caches may keep if they check that it is unchanged. 304 without the text if the
    /// request names its `etag` already (RFC 9110, 13.1.2).
    ///
    /// # Errors
    /// A 500 problem if `etag` is not a header value, which is a bug in the caller.
    pub fn unless_unchanged(request: &Request, text: &str, etag: &str) -> Result<Self, Problem> {
        let known = request.header(IF_NONE_MATCH.as_str()).unwrap_or_default();
        let is_known =
            known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag);
        let response =
            if is_known { Self::of(StatusCode::NOT_MODIFIED, "", None) } else { Self::json_text(StatusCode::OK, text) };
        let etag = HeaderValue::from_str(etag).map_err(|error| Problem::internal(&error))?;
        Ok(response.header(ETAG, etag).header(CACHE_CONTROL, HeaderValue::from_static("no-cache")))
    }

    /// The document of `problem`, with its status and headers.
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

    /// The same without a body, for HEAD.
    pub(crate) fn without_body(self) -> Self {
        Self { body: None, ..self }
    }

    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    pub(crate) fn into_event(self) -> ApiGatewayV2httpResponse {
        let mut event = ApiGatewayV2httpResponse::default();
        event.status_code = self.status.as_u16().into();
        event.headers = self.headers;
        event.body = self.body.map(Body::Text);
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_has_the_link_in_location_and_is_not_cached() {
        let response = Response::redirect(&"https://bucket.example/a?b=c".to_owned().into()).expect("a header value");
        assert_eq!(response.headers()[LOCATION], "https://bucket.example/a?b=c");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    }
}
