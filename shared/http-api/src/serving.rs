//! Serving requests: every answer, problem or panic becomes a response and a log line, and an audit entry if need be.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use futures_util::FutureExt;
use http::Method;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::deadline::Deadline;

use crate::audit::AuditLog;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;

/// Serves requests until the process ends. A problem becomes its document, and an audit entry if it must be audited; a
/// panic becomes a 500 without details.
///
/// # Errors
/// If the Lambda runtime cannot be reached.
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
    // The panic hook has logged the panic. The call is inside the future, so a panic before its first await is caught
    // too.
    let outcome = AssertUnwindSafe(async { handler(request).await }).catch_unwind().await;
    let outcome = match outcome.unwrap_or_else(|_| Err(Problem::internal("the handler panicked"))) {
        Err(problem) => Err(audit.refused(watched, problem).await),
        answered => answered,
    };
    let millis = i64::try_from(Timestamp::now().duration_since(begin).as_millis()).unwrap_or(i64::MAX);
    let (slug, cause) = match &outcome {
        Ok(_) => (None, None),
        Err(problem) => (Some(problem.kind().slug), problem.cause().map(str::to_owned)),
    };
    let mut response = outcome.unwrap_or_else(|problem| Response::problem(&problem, request_id));
    if method == Method::HEAD {
        response = response.without_body();
    }
    let status = response.status().as_u16();
    if response.status().is_server_error() {
        tracing::error!(
            http.method = %method, http.path = path, http.status = status, request.milliseconds = millis,
            problem.word = slug, problem.cause = cause, "request.failed"
        );
    } else {
        tracing::info!(
            http.method = %method, http.path = path, http.status = status, request.milliseconds = millis,
            problem.word = slug, problem.cause = cause, "request.answered"
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::CONTENT_TYPE;
    use serde_json::json;

    use super::*;
    use crate::problem::catalogue;
    use crate::request::LONGEST_BODY;
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

    /// D8: a change needs a body, if only an empty object.
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

    /// D10: with the same status and headers.
    #[tokio::test]
    async fn a_head_request_is_answered_like_a_get_request_without_the_body() {
        for path in ["/accounts/42/backups", "/nowhere"] {
            let get = answered(ApiCall::get(path)).await;
            let head = answered(ApiCall::new("HEAD", path)).await;
            assert_eq!((head.status(), head.headers(), head.body()), (get.status(), get.headers(), ""));
            assert!(!get.body().is_empty());
        }
        let post_only = answered(ApiCall::new("HEAD", "/accounts/42/backups/b/cancel")).await;
        assert_eq!(post_only.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn a_panic_becomes_a_500_without_details() {
        let response = answered(ApiCall::get("/accounts/666")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!response.body().contains("666"), "{}", response.body());
    }
}
