//! Whole requests as API Gateway passes them on: none gets a 5xx answer, and every refusal is a problem document that
//! repeats no value.

use domain::ids::BackupId;
use futures_lite::future::block_on;
use fuzz::{Form, Target};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::Right;
use crate::pages::{self, PageQuery};
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;
use crate::testing::{AUDIENCE, ApiCall};

const WORDS: &[&str] = &[
    "method",
    "path",
    "query",
    "headers",
    "body",
    "base64",
    "groups",
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "/accounts/42/backups",
    "/accounts/42/restores",
    "/accounts/42/audit-log",
    "limit",
    "cursor",
    "100",
    "if-none-match",
    "idempotency-key",
    "accept",
    "{}",
    "0198a000-0000-7000-8000-000000000000",
    "MDE5OGEwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw",
    "42:super-admin",
    "canary",
];

#[test]
fn fuzz_request() {
    let target = Target { memory: 8 << 20, ..Target::new("request", Form::Json, WORDS) };
    target.fuzz(|input| {
        let Some(call) = call_of(&serde_json::from_slice(input).unwrap_or_default()) else { return (0, String::new()) };
        let response = block_on(call.answered_by(answer));
        let status = response.status();
        assert!(status.as_u16() < 500, "{status}: {}", response.body());
        let document: Value = serde_json::from_str(response.body()).expect("the answer is JSON");
        if status == StatusCode::OK {
            return (200, document["seen"].to_string());
        }
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(document["status"], status.as_u16());
        let kind = document["type"].as_str().unwrap_or_default();
        assert!(kind.starts_with("urn:crm-backup:problem:") && document["title"].is_string(), "{document}");
        // `detail` names the fields, whose names may contain anything.
        let mut errors = document["errors"].as_array().into_iter().flatten();
        let is_quoted = |error: &Value| error["detail"].to_string().contains("canary");
        assert!(!errors.any(is_quoted), "a value is repeated: {document}");
        (status.as_u16(), kind.to_owned())
    });
}

/// The request that a document describes; `None` if API Gateway would never pass it on.
fn call_of(document: &Value) -> Option<ApiCall> {
    let text = |name: &str| document[name].as_str().unwrap_or_default();
    Method::from_bytes(text("method").as_bytes()).ok()?;
    let groups: Vec<&str> = document["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut call = ApiCall::new(text("method"), text("path")).by(&groups);
    for (name, value) in document["query"].as_object().into_iter().flatten() {
        call = call.query(name, value.as_str()?);
    }
    for (name, value) in document["headers"].as_object().into_iter().flatten() {
        let value = value.as_str()?;
        HeaderName::from_bytes(name.as_bytes()).ok()?;
        HeaderValue::from_str(value).ok()?;
        if !name.eq_ignore_ascii_case("authorization") {
            call = call.header(name, value);
        }
    }
    Some(if document["base64"] == true { call.body_in_base64(text("body")) } else { call.body(text("body")) })
}

/// The first steps of every handler.
async fn answer(request: Request) -> Result<Response, Problem> {
    let route = request.route()?;
    let caller = request.authorised(AUDIENCE, &route, Right::Backups)?;
    assert_eq!(caller.account_id.as_str(), "42", "access to another account");
    let page = PageQuery::of(&request, BackupId::parse)?;
    assert!((1..=100).contains(&page.limit), "a page of {}", page.limit);
    if let Some(after) = &page.after {
        assert_eq!(
            request.query("cursor"),
            Some(pages::cursor(after.as_str()).as_str()),
            "two cursors for the same place"
        );
    }
    let key = request.idempotency_key()?;
    assert_eq!(key.map(|key| key.to_string()).as_deref(), request.header("idempotency-key"), "the key has changed");
    let _act = request.act(&caller)?;
    let mut faults = Vec::new();
    let mut fields = request.fields()?;
    let text = fields.text("text", 100, &mut faults);
    fields.finish(&mut faults);
    if !faults.is_empty() {
        return Err(Problem::input_invalid(faults));
    }
    let seen = json!([format!("{:?}", route.operation), page.limit == 20, page.after.is_some(), text.is_some()]);
    Ok(Response::json(StatusCode::OK, &json!({ "seen": seen })))
}
