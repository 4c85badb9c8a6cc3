//! Tokens that were made for something else, forged or far too long, and what they get. docs/security.md lists it; what is
//! tried at the sign-in pages is in `browser/attacks.test.mjs`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use dev_stack::api::{Answer, Api};
use dev_stack::failure::{OrFailure as _, Result};
use end_to_end::aws::Aws;
use end_to_end::forgery::forged;
use end_to_end::journey::{expect, new_account_id, oidc_stack, stack};
use end_to_end::problem::assert_problem;
use serde_json::{Value, json};
use ureq::http::Method;

const NOW: Duration = Duration::ZERO;

/// How long an answer may take. API Gateway gives up after 30 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// One request that reads and one that changes something.
fn requests(account_id: &str) -> [(Method, String); 2] {
    [(Method::GET, format!("/accounts/{account_id}")), (Method::POST, format!("/accounts/{account_id}/backups"))]
}

fn send(api: &Api, token: &str, method: &Method, path: &str) -> Result<Answer> {
    api.with_token(token).send(method, path, &[("content-type", "application/json")], b"{}".to_vec())
}

/// The gateway refuses the token, and tells nothing.
fn assert_unauthorized(api: &Api, token: &str, account_id: &str, what: &str) -> Result<()> {
    for (method, path) in requests(account_id) {
        let answer = send(api, token, &method, &path)?;
        let refusal = (answer.status.as_u16(), answer.json());
        assert_eq!(refusal, (401, json!({ "message": "Unauthorized" })), "{method} {path} with {what}");
    }
    Ok(())
}

#[test]
fn no_forged_token_is_taken() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let Some(oidc) = oidc_stack(&stack)? else { return Ok(()) };
    let account_id = new_account_id();
    let groups = json!({ "cognito:groups": [format!("{account_id}:super-admin")] });
    let of_user_pool = stack.users.new_super_admin(&account_id)?.id_token;
    let of_issuer = oidc.id_token("ada", NOW, &groups)?;
    let keys_of = |issuer: &str| format!("{issuer}/.well-known/jwks.json");
    let user_pool = format!("{}/{}", stack.emulator_url, stack.users.user_pool_id);
    for (api, valid, keys) in
        [(stack.api(), of_user_pool, keys_of(&user_pool)), (oidc.api(), of_issuer, keys_of(&oidc.issuer))]
    {
        let forgeries = forged(&stack, &valid, &keys)?;
        assert!(forgeries.len() >= 17, "{:?}", forgeries.keys());
        for (what, token) in &forgeries {
            assert_unauthorized(&api, token, &account_id, what)?;
        }
        // The token that they were made of is taken; there is no such account.
        assert_problem(&send(&api, &valid, &Method::GET, &requests(&account_id)[0].1)?, 404, "account-unknown");
    }
    Ok(())
}

#[test]
fn no_token_of_another_issuer_or_client_is_taken() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let Some(oidc) = oidc_stack(&stack)? else { return Ok(()) };
    let account_id = new_account_id();
    let group = format!("{account_id}:super-admin");
    let groups = json!({ "cognito:groups": [group] });
    let aws = Aws::of(&stack);
    let pool = format!("https://cognito-idp.us-east-1.amazonaws.com/{}", stack.users.user_pool_id);
    let with = |claim: &str, value: Value| {
        let mut claims = groups.clone();
        claims[claim] = value;
        oidc.id_token("ada", NOW, &claims)
    };
    let at_user_pool = [
        ("a token of another user pool", aws.foreign_token(&group, true)?),
        ("a token of another client of the user pool", aws.foreign_token(&group, false)?),
        ("a token of another issuer", oidc.id_token("ada", NOW, &groups)?),
        ("a token of another issuer in the name of the user pool", {
            let mut claims = groups.clone();
            claims["iss"] = json!(pool);
            claims["aud"] = json!(stack.users.client_id);
            oidc.id_token("ada", NOW, &claims)?
        }),
    ];
    for (what, token) in &at_user_pool {
        assert_unauthorized(&stack.api(), token, &account_id, what)?;
    }
    let at_issuer = [
        ("a token of the user pool", stack.users.new_super_admin(&account_id)?.id_token),
        ("a token for another client", with("aud", json!("another-client"))?),
        ("a token for other clients", with("aud", json!(["another-client", "crm-backup-test-2"]))?),
        ("a token in another issuer's name", with("iss", json!("https://issuer.example"))?),
        ("a token with a slash at the issuer's name", with("iss", json!(format!("{}/", oidc.issuer)))?),
    ];
    for (what, token) in &at_issuer {
        assert_unauthorized(&oidc.api(), token, &account_id, what)?;
    }
    Ok(())
}

#[test]
fn a_forged_address_is_not_believed() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let Some(oidc) = oidc_stack(&stack)? else { return Ok(()) };
    let account_id = new_account_id();
    let account = format!("/accounts/{account_id}");
    let operator = oidc.id_token("operator", NOW, &json!({ "groups": ["operators"] }))?;
    expect(201, oidc.api().with_token(&operator).put(&account, &json!({}))?)?;

    let victim = "victim@example.com";
    let groups = [format!("{account_id}:super-admin")];
    for (verified, believed) in
        [(json!(false), false), (json!("yes"), false), (Value::Null, false), (json!(true), true)]
    {
        let subject = format!("mallory-{verified}");
        let claims = json!({ "cognito:groups": groups, "email": victim, "email_verified": verified });
        let api = oidc.api().with_token(&oidc.id_token(&subject, NOW, &claims)?);
        expect(200, api.put(&account, &json!({ "callShare": { "burstPercent": 50 } }))?)?;
        let page = expect(200, api.get(&format!("{account}/audit-log?limit=100"))?)?.json();
        let entries = page["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry["subject"] == subject);
        let entry = entry.unwrap_or_else(|| panic!("{subject} left no entry: {entries:?}"));
        assert_eq!(entry["email"] == victim, believed, "{entry}");
    }
    Ok(())
}

/// The status of the answer to a request without a body, or None if the server hangs up. Written byte by byte: clients
/// refuse to send what is this long.
fn status_of(url: &str, (method, path): (&str, &str), headers: &[(&str, &str)]) -> Result<Option<u16>> {
    let (server, base) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap_or((url, ""));
    let no_answer = || format!("{server} was not answered");
    let mut stream = TcpStream::connect(server).or_failure(no_answer)?;
    stream.set_read_timeout(Some(PATIENCE)).or_failure(no_answer)?;
    stream.set_write_timeout(Some(PATIENCE)).or_failure(no_answer)?;
    let mut request = format!("{method} /{base}{path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request += "\r\n";
    // The server may hang up before it has read everything, and its answer may be lost by that.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.take(64).read_to_end(&mut answer);
    let line = String::from_utf8_lossy(&answer).into_owned();
    Ok(line.split(' ').nth(1).and_then(|status| status.parse().ok()))
}

#[test]
fn what_is_far_too_long_is_refused() -> Result<()> {
    let Some(stack) = stack()? else { return Ok(()) };
    let Some(oidc) = oidc_stack(&stack)? else { return Ok(()) };
    let account_id = new_account_id();
    let account = format!("/accounts/{account_id}");
    let backups = format!("{account}/backups");
    let own_group = format!("{account_id}:super-admin");
    let bearer_in = |groups: usize| {
        let others = (0..groups).map(|id| format!("{id:08}:super-admin"));
        let groups: Vec<_> = others.chain([own_group.clone()]).collect();
        Ok(format!("Bearer {}", oidc.id_token("ada", NOW, &json!({ "cognito:groups": groups }))?))
    };
    let bearer = bearer_in(0)?;
    let status = |method, path: &str, headers: &[(&str, &str)]| status_of(&oidc.api_url, (method, path), headers);
    assert_eq!(status("GET", &account, &[("authorization", &bearer)])?, Some(404), "the account is not there");
    // More groups than API Gateway lets through, all of which are read.
    let many = bearer_in(500)?;
    assert_eq!(status("GET", &account, &[("authorization", &many)])?, Some(404), "the last group counts");

    for length in [20_000, 200_000, 1_000_000] {
        let long = "x".repeat(length);
        let groups = bearer_in(length / 25)?;
        let token = format!("Bearer {long}");
        let path = format!("{account}/{long}");
        let query = format!("{account}?cursor={long}");
        let authorization = ("authorization", bearer.as_str());
        for (what, method, path, headers) in [
            ("groups", "GET", &account, vec![("authorization", groups.as_str())]),
            ("a token", "GET", &account, vec![("authorization", &token)]),
            ("a path", "GET", &path, vec![authorization]),
            ("a query", "GET", &query, vec![authorization]),
            ("a header", "POST", &backups, vec![authorization, ("idempotency-key", &long)]),
        ] {
            let status = status(method, path, &headers)?;
            println!("{what} of {length} letters: {status:?}");
            assert!(status.is_none_or(|status| (400..500).contains(&status)), "{what} of {length} letters: {status:?}");
        }
        let body = oidc.api().with_token(&bearer[7..]).send(&Method::PUT, &account, &[], long.into_bytes())?;
        assert!(body.status.is_client_error(), "a body of {length} letters: {}", body.status);
    }
    expect(200, oidc.api().get("/openapi.json")?).map(drop)
}
