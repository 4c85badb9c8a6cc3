//! The caller of a request, and their rights.
//!
//! API Gateway verifies the bearer token (signature, issuer, times) before a function runs. It flattens claims that are
//! lists into one text that cannot be split safely (`[1:super-admin 2:x]`), so the groups are read from the payload of
//! the verified token. Only ID tokens count: an access token is meant for another API, and Cognito's access tokens
//! contain groups too.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::account::Requester;
use domain::ids::AccountId;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::problem::{Problem, catalogue};
use crate::second_factor::{SecondFactorPolicy, SignIn};

/// The group that may create accounts and set their plans.
const OPERATORS: &str = "operators";
/// The group `{account}:super-admin` may do everything else, for that account.
const SUPER_ADMIN: &str = ":super-admin";

/// A right to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Create, list, read, cancel, download, delete and schedule backups, and read notifications and the audit log:
    /// super admins of the account.
    Backups,
    /// Plan, confirm, stop and undo restores, and read restores and imports: super admins of the account.
    Restores,
    /// Read and change settings: super admins of the account, and operators.
    Settings,
}

/// A user with a token for this API, whose rights are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    requester: Requester,
    groups: Vec<String>,
    sign_in: SignIn,
}

/// A user whose right to an account is checked. Only [`Caller::authorise`] creates one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorised {
    pub account_id: AccountId,
    pub requester: Requester,
    /// An operator may create accounts and set their plans.
    pub is_operator: bool,
    sign_in: SignIn,
}

#[derive(Deserialize)]
struct Header {
    typ: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    aud: Option<Value>,
    token_use: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
    #[serde(rename = "cognito:groups")]
    cognito_groups: Option<Value>,
    groups: Option<Value>,
    #[serde(flatten)]
    sign_in: SignIn,
}

impl Caller {
    /// The sender of a request with these headers. `verified_subject` is the subject of the token that API Gateway
    /// verified.
    ///
    /// # Errors
    /// A 401 problem if the token is not an ID token for `audience`.
    pub fn of(headers: &HeaderMap, verified_subject: Option<&str>, audience: &str) -> Result<Self, Problem> {
        let token = bearer(headers).ok_or_else(|| Problem::token_unsuitable("There is no bearer token."))?;
        let (header, claims) =
            decode(token).ok_or_else(|| Problem::token_unsuitable("The bearer token is not a JSON Web Token."))?;
        let access_token = claims.token_use.as_deref().is_some_and(|token_use| token_use != "id")
            || header.typ.is_some_and(|typ| typ.to_ascii_lowercase().ends_with("at+jwt"));
        if access_token || !claims.aud.is_some_and(|aud| has_audience(&aud, audience)) {
            return Err(Problem::token_unsuitable(
                "The bearer token is not an ID token for this API. Send the ID token of the sign-in, not its access \
                 token.",
            ));
        }
        let subject = claims.sub.filter(|subject| verified_subject == Some(subject.as_str())).ok_or_else(|| {
            Problem::token_unsuitable("The bearer token was not verified.")
                .caused_by("the route has no JWT authorizer, or it verified another token")
        })?;
        // Cognito's own claim is the only one that it fills by the user's membership; its tokens have a `token_use`.
        let others = claims.groups.filter(|_| claims.token_use.is_none());
        let groups = claims.cognito_groups.or(others).map(texts).unwrap_or_default();
        // Users may be able to change an address that nobody has verified, to that of somebody else.
        let email = claims.email.filter(|_| claims.email_verified.is_some_and(|claim| is_true(&claim)));
        Ok(Self { requester: Requester { subject, email }, groups, sign_in: claims.sign_in })
    }

    /// The user, as records name them.
    pub fn requester(&self) -> &Requester {
        &self.requester
    }

    /// Whether the caller has no group of the account with the id `account`, and is no operator.
    pub fn is_stranger_to(&self, account: &str) -> bool {
        let is_of = |group: &String| group.strip_prefix(account).is_some_and(|rest| rest.starts_with(':'));
        !self.groups.iter().any(|group| group == OPERATORS || is_of(group))
    }

    /// Checks that the caller has `right` to the account with the id `account`.
    ///
    /// # Errors
    /// A 403 problem. It is the same for an account of another customer, an unknown account and an invalid id, so it
    /// reveals nothing about other accounts. An operator, who may see all accounts, gets a 400 problem for an invalid
    /// id.
    pub fn authorise(self, account: &str, right: Right) -> Result<Authorised, Problem> {
        let is_operator = self.groups.iter().any(|group| group == OPERATORS);
        let is_super_admin = self.groups.iter().any(|group| group.strip_suffix(SUPER_ADMIN) == Some(account));
        let allowed = is_super_admin || (right == Right::Settings && is_operator);
        match (AccountId::parse(account), allowed) {
            (Ok(account_id), true) => {
                Ok(Authorised { account_id, requester: self.requester, is_operator, sign_in: self.sign_in })
            }
            (Err(_), true) if is_operator => {
                Err(Problem::parameter_invalid("accountId", "An account's id is 1 to 20 digits."))
            }
            _ => {
                let detail = match right {
                    Right::Backups | Right::Restores => "Only a super admin of the account may do this.",
                    Right::Settings => "Only a super admin of the account or an operator may do this.",
                };
                Err(Problem::new(catalogue::FORBIDDEN, detail))
            }
        }
    }
}

impl Authorised {
    /// Checks that the caller's sign-in meets `policy`, which changes to the CRM's data require.
    ///
    /// # Errors
    /// A 401 problem with the challenge of RFC 9470.
    pub fn check_second_factor(&self, policy: &SecondFactorPolicy, now: Timestamp) -> Result<(), Problem> {
        policy.check(&self.sign_in, now).map_err(Problem::from)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn decode(token: &str) -> Option<(Header, Claims)> {
    let mut parts = token.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let json = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    Some((serde_json::from_slice(&json(header)?).ok()?, serde_json::from_slice(&json(claims)?).ok()?))
}

fn has_audience(claim: &Value, audience: &str) -> bool {
    match claim {
        Value::String(one) => one == audience,
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// Cognito's tokens have a boolean here, and those of some other issuers a text.
fn is_true(claim: &Value) -> bool {
    claim.as_bool().unwrap_or_else(|| claim.as_str() == Some("true"))
}

/// The groups, if the claim is an array of texts only.
fn texts(claim: Value) -> Vec<String> {
    serde_json::from_value(claim).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("Bearer {}.{}.c2lnbmF0dXJl", part(header), part(claims))
    }

    fn call(authorization: &str) -> Result<Caller, Problem> {
        let value = HeaderValue::from_str(authorization).expect("visible");
        Caller::of(&HeaderMap::from_iter([(AUTHORIZATION, value)]), Some("user-1"), "client-1")
    }

    fn call_with(change: impl FnOnce(&mut Value)) -> Result<Caller, Problem> {
        let mut claims = json!({
            "sub": "user-1", "aud": "client-1", "token_use": "id", "email": "ada@example.com", "email_verified": true,
            "cognito:groups": ["42:super-admin"],
        });
        change(&mut claims);
        call(&token(&json!({"alg": "RS256", "kid": "k", "typ": "JWT"}), &claims))
    }

    fn may(groups: &Value, account: &str, right: Right) -> bool {
        let caller = call_with(|claims| claims["cognito:groups"] = groups.clone()).expect("an ID token");
        caller.authorise(account, right).is_ok()
    }

    #[test]
    fn a_super_admin_is_authorised_for_their_account() {
        let caller = call_with(|_| {}).expect("an ID token");
        let authorised = caller.authorise("42", Right::Backups).expect("a super admin");
        assert_eq!(authorised.account_id.as_str(), "42");
        assert_eq!(authorised.requester.subject, "user-1");
        assert_eq!(authorised.requester.email.as_deref(), Some("ada@example.com"));
        assert!(!authorised.is_operator);
    }

    #[test]
    fn whoever_has_a_group_of_the_account_or_is_an_operator_is_no_stranger() {
        for (groups, is_stranger) in [
            (json!(["42:super-admin"]), false),
            (json!(["7:super-admin", "42:reader"]), false),
            (json!(["operators"]), false),
            (json!([]), true),
            (json!(["421:super-admin", "4:super-admin", "x42:super-admin", "42", " 42:super-admin"]), true),
        ] {
            let caller = call_with(|claims| claims["cognito:groups"] = groups.clone()).expect("an ID token");
            assert_eq!(caller.is_stranger_to("42"), is_stranger, "{groups}");
        }
    }

    /// The audit log and notifications name the address.
    #[test]
    fn only_a_verified_email_is_believed() {
        for (claim, believed) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!("TRUE "), false),
            (json!(1), false),
            (Value::Null, false),
        ] {
            let caller = call_with(|claims| claims["email_verified"] = claim.clone()).expect("an ID token");
            assert_eq!(caller.requester().email.is_some(), believed, "{claim}");
        }
    }

    #[test]
    fn only_id_tokens_for_this_api_are_accepted() {
        let refused = |change: fn(&mut Value)| call_with(change).expect_err("unsuitable").kind();
        let cases: [fn(&mut Value); 8] = [
            |claims| claims["token_use"] = "access".into(),
            |claims| claims["aud"] = "client-2".into(),
            |claims| claims["aud"] = json!(["client-2"]),
            |claims| claims["aud"] = Value::Null,
            |claims| claims["aud"] = json!({"client-1": true}),
            |claims| claims["sub"] = "user-2".into(),
            |claims| claims["sub"] = Value::Null,
            // Like Cognito's access tokens: a client, no audience.
            |claims| *claims = json!({"sub": "user-1", "client_id": "client-1", "cognito:groups": ["42:super-admin"]}),
        ];
        for case in cases {
            assert_eq!(refused(case), catalogue::TOKEN_UNSUITABLE);
        }
        assert!(call_with(|claims| claims["aud"] = json!(["client-2", "client-1"])).is_ok());
        let access = token(&json!({"typ": "at+jwt"}), &json!({"sub": "user-1", "aud": "client-1"}));
        assert!(call(&access).is_err());
        for malformed in
            ["Bearer", "Bearer x", "Basic e30.e30.c2ln", "Bearer e30.e30", "Bearer e30.e30.a.b", "Bearer ..."]
        {
            assert!(call(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_token_that_the_gateway_did_not_verify_is_rejected() {
        let claims = json!({"sub": "user-1", "aud": "client-1"});
        let value = HeaderValue::from_str(&token(&json!({}), &claims)).expect("visible");
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, value.clone())]);
        assert!(Caller::of(&headers, None, "client-1").is_err());
        assert!(Caller::of(&headers, Some("user-1"), "client-1").is_ok());
        headers.append(AUTHORIZATION, value);
        assert!(Caller::of(&headers, Some("user-1"), "client-1").is_err());
    }

    #[test]
    fn the_second_factor_is_read_from_the_verified_token() {
        let policy = SecondFactorPolicy { federated_providers: Vec::new(), issuer_enforces: true };
        let checked = |auth_time: Value| {
            let caller = call_with(|claims| claims["auth_time"] = auth_time).expect("an ID token");
            let authorised = caller.authorise("42", Right::Restores).expect("a super admin");
            authorised.check_second_factor(&policy, Timestamp::from_second(1_000).expect("in range"))
        };
        assert!(checked(json!(900)).is_ok());
        for not_fresh in [json!(600), Value::Null] {
            assert_eq!(checked(not_fresh).expect_err("not fresh").kind(), catalogue::STEP_UP);
        }
    }

    #[test]
    fn operators_have_a_right_to_settings_but_not_to_backups_or_restores() {
        let groups = json!(["operators"]);
        assert!(may(&groups, "42", Right::Settings));
        assert!(!may(&groups, "42", Right::Backups));
        assert!(!may(&groups, "42", Right::Restores));
        assert!(!may(&groups, "x", Right::Settings));
    }

    #[test]
    fn groups_of_another_issuer_are_read_from_the_claim_groups() {
        let caller = call_with(|claims| {
            *claims = json!({"sub": "user-1", "aud": ["client-1"], "groups": ["42:super-admin"]});
        });
        assert!(caller.expect("an ID token").authorise("42", Right::Backups).is_ok());
    }

    #[test]
    fn a_group_that_only_contains_the_right_text_is_refused() {
        for groups in [
            json!([]),
            json!(null),
            json!("42:super-admin"),
            json!("[42:super-admin operators]"),
            json!(["[42:super-admin]"]),
            json!(["42:super-admin "]),
            json!([" 42:super-admin"]),
            json!(["42:super-admin 7:viewer"]),
            json!(["142:super-admin"]),
            json!(["42:super-administrator"]),
            json!(["x42:super-admin"]),
            json!(["42:Super-Admin"]),
            json!(["42:super-admin", 7]),
            json!({"0": "42:super-admin"}),
            json!([["42:super-admin"]]),
        ] {
            assert!(!may(&groups, "42", Right::Backups), "{groups}");
        }
        assert!(!may(&json!([":super-admin", "٤٢:super-admin", "a/b:super-admin"]), "", Right::Backups));
        assert!(!may(&json!(["٤٢:super-admin"]), "٤٢", Right::Backups));
        assert!(!may(&json!(["a/b:super-admin"]), "a/b", Right::Backups));
    }

    fn group() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9]{1,3}:super-admin", "[0-9 \\[\\],:]{0,4}:super-admin[ \\]a-z]{0,3}", "operators?", ".{0,20}",]
    }

    proptest! {
        /// Exactly the group `{account}:super-admin` gives access to an account.
        #[test]
        fn only_the_exact_group_gives_access_to_an_account(
            groups in prop::collection::vec(group(), 0..5),
            account in "[0-9]{1,3}",
        ) {
            let exact = format!("{account}:super-admin");
            prop_assert_eq!(may(&json!(groups), &account, Right::Backups), groups.contains(&exact));
        }

        /// Groups that were flattened into one text grant nothing.
        #[test]
        fn a_flattened_list_gives_no_access(groups in prop::collection::vec(group(), 1..5), account in "[0-9]{1,3}") {
            for flattened in [format!("[{}]", groups.join(" ")), groups.join(","), groups.join(" ")] {
                prop_assert!(!may(&json!(flattened), &account, Right::Settings));
            }
        }
    }
}
