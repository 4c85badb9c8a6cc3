//! Answers with a link to a stored file.

use http::StatusCode;
use http::header::ACCEPT;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::problem::Problem;
use crate::representation::shown;
use crate::request::Request;
use crate::response::Response;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkRepresentation<'a> {
    url: &'a str,
    expires_at: Timestamp,
}

/// Redirects the client to the file at `url`, or returns the link as JSON if the request's `Accept` header names JSON.
///
/// # Errors
/// A 500 problem if a header cannot contain the link.
pub fn answer(request: &Request, url: &SecretString, expires_at: Timestamp) -> Result<Response, Problem> {
    if wants_json(request) {
        let link = LinkRepresentation { url: url.expose_secret(), expires_at: shown(expires_at) };
        return Ok(Response::json(StatusCode::OK, &link));
    }
    Response::redirect(url)
}

fn wants_json(request: &Request) -> bool {
    let accepted = request.header(ACCEPT.as_str()).unwrap_or_default();
    accepted.split(',').filter_map(|range| range.split(';').next()).any(|range| range.trim() == "application/json")
}
