//! Tokens of callers: for all claims, only an ID token for this API with the account's group gives access to an
//! account.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fuzz::document::Document;
use fuzz::{Form, Target};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::caller::{Caller, Right};
use crate::second_factor::SecondFactorPolicy;

const WORDS: &[&str] = &[
    "sub",
    "aud",
    "token_use",
    "email",
    "cognito:groups",
    "groups",
    "auth_time",
    "amr",
    "identities",
    "cognito:username",
    "user-1",
    "client-1",
    "id",
    "access",
    "42:super-admin",
    "operators",
    "mfa",
    "[42:super-admin]",
    "userId",
    "providerName",
    "Okta",
    "Okta_1",
];
const NOW: i64 = 1_800_000_000;

#[test]
fn fuzz_token() {
    Target::new("token", Form::Json, WORDS).fuzz(|input| {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(input);
        let token = format!("Bearer {}.{payload}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#));
        let as_claims = Caller::of(&headers(token.as_bytes()), Some("user-1"), "client-1");
        // As a whole header it must not panic.
        let as_header = Caller::of(&headers(input), Some("user-1"), "client-1");
        let claims = serde_json::from_slice::<Document>(input);
        let Ok(caller) = as_claims else {
            return (as_header.is_ok(), usize::from(claims.is_ok()));
        };
        let claims = claims.expect("claims that are not JSON");
        assert!(claims.all("sub").all(|sub| is(sub, "user-1")), "another subject");
        assert!(claims.all("aud").all(|aud| is(aud, "client-1") || holds(aud, "client-1")), "another audience");
        assert!(claims.last("aud").is_some() && claims.last("sub").is_some(), "no subject or no audience");
        assert!(claims.all("token_use").all(|used| *used == Document::Null || is(used, "id")), "an access token");
        let groups = groups(&claims);
        let admin = caller.clone().authorise("42", Right::Backups);
        assert_eq!(admin.is_ok(), groups.contains(&"42:super-admin"), "access to backups");
        let operator = caller.clone().authorise("42", Right::Settings);
        assert_eq!(
            operator.is_ok(),
            groups.contains(&"42:super-admin") || groups.contains(&"operators"),
            "access to settings"
        );
        assert!(
            caller.authorise("7", Right::Restores).is_err() || groups.contains(&"7:super-admin"),
            "access to another account"
        );
        let fresh = admin.is_ok_and(|admin| {
            let policy = SecondFactorPolicy { federated_providers: vec!["Okta".to_owned()], issuer_enforces: false };
            let passed =
                admin.check_second_factor(&policy, jiff::Timestamp::from_second(NOW).expect("in range")).is_ok();
            assert!(!passed || has_second_factor(&claims), "no second factor");
            passed
        });
        (fresh, 2 + groups.len().min(4) + 8 * usize::from(operator.is_ok()))
    });
}

fn headers(authorization: &[u8]) -> HeaderMap {
    HeaderValue::from_bytes(authorization)
        .map(|value| HeaderMap::from_iter([(AUTHORIZATION, value)]))
        .unwrap_or_default()
}

fn is(document: &Document, text: &str) -> bool {
    matches!(document, Document::Text(given) if given == text)
}

/// Whether a list contains a text.
fn holds(document: &Document, text: &str) -> bool {
    matches!(document, Document::List(items) if items.iter().any(|item| is(item, text)))
}

/// The elements of a list of texts; none for a list with other elements.
fn texts(document: &Document) -> Vec<&str> {
    let Document::List(items) = document else { return Vec::new() };
    let texts = items.iter().map(|item| if let Document::Text(text) = item { Some(text.as_str()) } else { None });
    texts.collect::<Option<_>>().unwrap_or_default()
}

fn groups(claims: &Document) -> Vec<&str> {
    let given = |name| claims.last(name).filter(|groups| **groups != Document::Null);
    let others = given("groups").filter(|_| given("token_use").is_none());
    given("cognito:groups").or(others).map(texts).unwrap_or_default()
}

/// Whether the sign-in is fresh and names a factor, or the user comes from the provider.
fn has_second_factor(claims: &Document) -> bool {
    let at = |value: &Document| match value {
        Document::Number(number) => number.as_i64(),
        Document::Text(text) => text.parse().ok(),
        _ => None,
    };
    let fresh = claims.last("auth_time").and_then(at).is_some_and(|at| (NOW - 300..=NOW + 60).contains(&at));
    let named = claims.last("amr").is_some_and(|amr| !texts(amr).is_empty());
    let federated = claims
        .last("cognito:username")
        .is_some_and(|name| matches!(name, Document::Text(name) if name.to_ascii_lowercase().starts_with("okta_")));
    fresh && named || federated && claims.last("identities").is_some()
}
