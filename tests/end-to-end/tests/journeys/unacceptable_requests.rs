//! Requests that cannot be accepted: each answer names what is wrong and where, and nothing is changed.

use dev_stack::failure::Result;
use end_to_end::journey::{Journey, expect};
use end_to_end::problem::{assert_problem, fields};
use serde_json::json;
use ureq::http::Method;

/// Method, path inside the account, Idempotency-Key, body; status, problem type, fields at fault.
type Case<'a> = (Method, &'a str, &'a str, &'a str, u16, &'a str, &'a [&'a str]);

const REVERSED: &str = "/audit-log?from=2026-11-23T00:00:00Z&until=2026-11-22T00:00:00Z";

const ABSENT: &str = "/backups/0198a000-0000-7000-8000-000000000000";

#[test]
fn what_is_wrong_with_a_request_is_named_and_nothing_is_changed() -> Result<()> {
    let Some(journey) = Journey::begin(&json!({ "seed": 22, "propertySet": "tiny" }))? else { return Ok(()) };
    let too_large = format!("{}{{}}", " ".repeat(256 * 1024));
    let absent = |rest: &str| format!("{ABSENT}{rest}");
    let (cancel, download) = (absent("/cancel"), absent("/download"));
    let long_key = "k".repeat(256);
    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    let calls = journey.portal.calls(0)?["total"].clone();

    let cases: &[Case<'_>] = &[
        (Method::PUT, "", "", "{", 400, "json-malformed", &[]),
        (Method::PUT, "", "", "[]", 400, "json-malformed", &[]),
        (Method::PUT, "", "", r#"{"plan": "all"}"#, 422, "input-invalid", &["plan"]),
        (Method::PUT, "", "", r#"{"callShare": 5}"#, 422, "input-invalid", &["callShare"]),
        (
            Method::PUT,
            "",
            "",
            r#"{"callShare": {"burstPercent": 0, "dailyPercent": 101}}"#,
            422,
            "input-invalid",
            &["callShare.burstPercent", "callShare.dailyPercent"],
        ),
        (
            Method::PUT,
            "",
            "",
            r#"{"crmConnection": {"apiVersion": "v4", "token": "two words", "user": "x"}}"#,
            422,
            "input-invalid",
            &["crmConnection.apiVersion", "crmConnection.token", "crmConnection.user"],
        ),
        (
            Method::PUT,
            "",
            "",
            r#"{"crmConnection": {"baseUrl": "http://169.254.169.254", "token": "x"}}"#,
            422,
            "base-url-not-allowed",
            &["crmConnection.baseUrl"],
        ),
        (Method::PUT, "", "", &too_large, 413, "body-too-large", &[]),
        (Method::POST, "/backups", "", "{", 400, "json-malformed", &[]),
        (Method::POST, "/backups", "", r#"{"objects": []}"#, 422, "input-invalid", &["objects"]),
        (Method::POST, "/backups", "", &too_large, 413, "body-too-large", &[]),
        (Method::POST, "/backups", "two words", "", 400, "parameter-invalid", &["Idempotency-Key"]),
        (Method::POST, "/backups", &long_key, "", 400, "parameter-invalid", &["Idempotency-Key"]),
        (Method::GET, "/backups?limit=0", "", "", 400, "parameter-invalid", &["limit"]),
        (Method::GET, "/backups?limit=101", "", "", 400, "parameter-invalid", &["limit"]),
        (Method::GET, "/backups?limit=many", "", "", 400, "parameter-invalid", &["limit"]),
        (Method::GET, "/backups?cursor=x", "", "", 400, "parameter-invalid", &["cursor"]),
        // D8: what is misspelt, empty or the wrong way round is refused like any other mistake.
        (Method::GET, "/backups?cursor=", "", "", 400, "parameter-invalid", &["cursor"]),
        (Method::GET, "/backups?limits=5", "", "", 400, "parameter-invalid", &["limits"]),
        (Method::GET, "/backup-schedule?limit=5", "", "", 400, "parameter-invalid", &["limit"]),
        (Method::GET, "/audit-log?person=", "", "", 400, "parameter-invalid", &["person"]),
        (Method::GET, REVERSED, "", "", 400, "parameter-invalid", &["from"]),
        (Method::PUT, "", "", "", 400, "json-malformed", &[]),
        (Method::PUT, "/backup-schedule", "", "", 400, "json-malformed", &[]),
        (Method::GET, ABSENT, "", "", 404, "backup-unknown", &[]),
        (Method::GET, "/backups/17", "", "", 404, "backup-unknown", &[]),
        (Method::GET, &download, "", "", 404, "backup-unknown", &[]),
        (Method::POST, &cancel, "", "", 404, "backup-unknown", &[]),
        (Method::DELETE, "/backups", "", "", 405, "method-unsupported", &[]),
        (Method::PATCH, "", "", "{}", 405, "method-unsupported", &[]),
        (Method::GET, "/webhooks", "", "", 404, "path-unknown", &[]),
        (Method::GET, "/backups/17/objects/contacts", "", "", 404, "path-unknown", &[]),
    ];
    for (method, rest, key, body, status, word, at_fault) in cases {
        println!("{method} {rest} expects {status} {word}");
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(Some(("idempotency-key", *key)).filter(|(_, key)| !key.is_empty()));
        let answer = journey.api().send(method, &journey.path(rest), &headers, body.as_bytes().to_vec())?;
        let document = assert_problem(&answer, *status, word);
        assert_eq!(fields(&document), *at_fault, "{document}");
        match *word {
            "base-url-not-allowed" => assert_eq!(document["allowed"], json!([journey.stack.sandbox_url])),
            "method-unsupported" => assert!(answer.headers.contains_key("allow")),
            _ => {}
        }
    }

    assert_eq!(expect(200, journey.api().get(&journey.path(""))?)?.json(), account);
    assert_eq!(expect(200, journey.api().get(&journey.path("/backups"))?)?.json(), json!({ "backups": [] }));
    assert_eq!(journey.portal.calls(0)?["total"], calls);
    Ok(())
}

#[test]
fn an_account_without_a_crm_connection_cannot_be_backed_up() -> Result<()> {
    let Some(journey) = Journey::begin_unconnected(&json!({ "seed": 23 }))? else { return Ok(()) };
    let put = |connection| journey.api().put(&journey.path(""), &json!({ "crmConnection": connection }));
    let url = &journey.stack.sandbox_url;

    assert_problem(&journey.api().post(&journey.path("/backups"), &json!({}))?, 409, "account-not-connected");
    for (connection, field) in
        [(json!({ "baseUrl": url }), "crmConnection.token"), (json!({ "token": "x" }), "crmConnection.baseUrl")]
    {
        let document = assert_problem(&put(connection)?, 422, "input-invalid");
        assert_eq!(fields(&document), [field]);
    }

    let account = expect(200, journey.api().get(&journey.path(""))?)?.json();
    assert!(account["crmConnection"].is_null(), "{account}");
    assert_eq!(expect(200, journey.api().get(&journey.path("/backups"))?)?.json(), json!({ "backups": [] }));
    Ok(())
}
