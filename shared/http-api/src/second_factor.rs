//! Whether a user has signed in with a second factor recently enough to change a CRM's data.
//!
//! Only the claims of the verified ID token decide, never a value that the client can set:
//!
//! - `auth_time` is the time of the sign-in. A refresh token does not change it.
//! - A second factor was used if `amr` names one. Where a token has no `amr`, it was used if the issuer requires one of
//!   its own users (the stack's own user pool): Cognito introduces `amr` step by step. The issuer requires none of users
//!   who have an identity of a provider, linked or not: they may have signed in with the provider, and the issuer adds no
//!   factor to such a sign-in.
//! - Users of an identity provider that the operator has configured are exempt, but only if their account comes from
//!   the provider. A native user who is linked to a provider has its `identities` too, but a user name of their own,
//!   and may have signed in with a password.
//!
//! Cognito names an account of a provider `{provider}_{user id}`, in lower case if the pool ignores case. Native users
//! have generated names of another form.

use http::header::{HeaderValue, WWW_AUTHENTICATE};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::problem::{Problem, catalogue};

/// The greatest age of a second factor.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
/// How far the issuer's clock may be ahead of ours.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(1);
/// Values of `amr` (RFC 8176) that count as a second factor. `sms` and `tel` do not: messages and calls can be
/// intercepted.
const SECOND_FACTORS: [&str; 10] = ["mfa", "otp", "hwk", "swk", "fpt", "sc", "face", "iris", "retina", "vbm"];

/// Which sign-ins count as sign-ins with a second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorPolicy {
    /// Identity providers of the user pool whose users are exempt.
    pub federated_providers: Vec<String>,
    /// Whether the issuer requires a second factor of its own users.
    pub issuer_enforces: bool,
}

/// The claims of a verified ID token about the sign-in. A claim of an unexpected form proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SignIn {
    auth_time: Option<Value>,
    amr: Option<Value>,
    identities: Option<Value>,
    #[serde(rename = "cognito:username")]
    user_name: Option<Value>,
}

/// Why a sign-in is not sufficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insufficient {
    /// It is too old, or its age is unknown.
    NotFresh,
    NoSecondFactor,
}

/// An account of an identity provider, as Cognito names it in `identities`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    provider_name: String,
    user_id: String,
}

/// The origin of a user's account.
enum Origin {
    /// The issuer itself; the account is not linked to a provider.
    Issuer,
    /// The identity provider of this name.
    Provider(String),
    /// The claims are ambiguous.
    Unclear,
}

impl SecondFactorPolicy {
    /// Checks the sign-in of a caller with a verified token.
    ///
    /// # Errors
    /// [`Insufficient`] unless the user is exempt or has signed in with a second factor in the last five minutes.
    pub fn check(&self, sign_in: &SignIn, now: Timestamp) -> Result<(), Insufficient> {
        let origin = sign_in.origin();
        if let Origin::Provider(name) = &origin
            && self.federated_providers.contains(name)
        {
            return Ok(());
        }
        if !sign_in.is_fresh(now) {
            return Err(Insufficient::NotFresh);
        }
        // What the token says about this sign-in is worth more than what the issuer should have done.
        let asked_for_one = self.issuer_enforces && sign_in.amr.is_none() && matches!(origin, Origin::Issuer);
        if asked_for_one || sign_in.names_second_factor() { Ok(()) } else { Err(Insufficient::NoSecondFactor) }
    }
}

impl SignIn {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let seconds = match &self.auth_time {
            Some(Value::Number(seconds)) => seconds.as_i64(),
            Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        let signed_in_at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        signed_in_at.is_some_and(|at| (-MAX_AHEAD..=MAX_AGE).contains(&now.duration_since(at)))
    }

    fn names_second_factor(&self) -> bool {
        let methods: Vec<String> =
            self.amr.clone().and_then(|amr| serde_json::from_value(amr).ok()).unwrap_or_default();
        methods.iter().any(|method| SECOND_FACTORS.contains(&method.as_str()))
    }

    fn origin(&self) -> Origin {
        let Some(identities) = self.identities() else { return Origin::Unclear };
        if identities.is_empty() {
            return Origin::Issuer;
        }
        let Some(user_name) = self.user_name.as_ref().and_then(Value::as_str) else { return Origin::Unclear };
        let own = identities.into_iter().find(|Identity { provider_name, user_id }| {
            format!("{provider_name}_{user_id}").eq_ignore_ascii_case(user_name)
        });
        // A native user who is linked to a provider may have signed in with it, without the pool's second factor.
        own.map_or(Origin::Unclear, |identity| Origin::Provider(identity.provider_name))
    }

    /// Cognito writes the list as an array or as its JSON text; `None` for any other form.
    fn identities(&self) -> Option<Vec<Identity>> {
        match self.identities.clone() {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::String(text)) => serde_json::from_str(&text).ok(),
            Some(value) => serde_json::from_value(value).ok(),
        }
    }
}

impl From<Insufficient> for Problem {
    /// The challenge of RFC 9470: the client signs the user in again and repeats the request.
    fn from(insufficient: Insufficient) -> Self {
        let (detail, challenge) = match insufficient {
            Insufficient::NotFresh => (
                "This needs a sign-in with a second factor in the last 5 minutes. Sign in again, and send the request \
                 with the new ID token.",
                r#"Bearer error="insufficient_user_authentication", error_description="A more recent sign-in is needed", max_age="300""#,
            ),
            Insufficient::NoSecondFactor => (
                "The ID token does not show a second factor. Sign in again with a second factor, and send the request \
                 with the new ID token.",
                r#"Bearer error="insufficient_user_authentication", error_description="A sign-in with a second factor is needed", max_age="300""#,
            ),
        };
        Self::new(catalogue::STEP_UP, detail).header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).expect("in range")
    }

    fn sign_in(claims: Value) -> SignIn {
        serde_json::from_value(claims).expect("claims")
    }

    fn policy(federated_providers: &[&str], issuer_enforces: bool) -> SecondFactorPolicy {
        let federated_providers = federated_providers.iter().map(|&name| name.to_owned()).collect();
        SecondFactorPolicy { federated_providers, issuer_enforces }
    }

    /// The result of a user pool that enforces a second factor and has the identity provider Okta.
    fn checked(claims: Value) -> Result<(), Insufficient> {
        policy(&["Okta"], true).check(&sign_in(claims), now())
    }

    fn okta(user_id: &str) -> Value {
        json!([{"userId": user_id, "providerName": "Okta", "providerType": "SAML", "issuer": null, "primary": "true"}])
    }

    #[test]
    fn a_sign_in_of_the_last_five_minutes_is_fresh() {
        for (auth_time, expected) in [
            (json!(NOW), true),
            (json!(NOW - 300), true),
            (json!(NOW - 301), false),
            (json!(NOW + 60), true),
            (json!(NOW + 61), false),
            (json!(NOW.to_string()), true),
            (json!((NOW - 301).to_string()), false),
            (json!(format!("+{NOW}")), false),
            (json!(format!(" {NOW}")), false),
            (json!(format!("{NOW}.0")), false),
            (json!(NOW * 1_000), false),
            (json!(-1), false),
            (json!(i64::MAX), false),
            (json!(u64::MAX), false),
            (json!(""), false),
            (json!(true), false),
            (json!([NOW]), false),
            (Value::Null, false),
        ] {
            let expected = if expected { Ok(()) } else { Err(Insufficient::NotFresh) };
            assert_eq!(checked(json!({"auth_time": auth_time})), expected, "{auth_time}");
        }
        assert_eq!(checked(json!({})), Err(Insufficient::NotFresh));
    }

    #[test]
    fn a_token_must_name_a_second_factor_that_the_issuer_does_not_enforce() {
        let policy = policy(&[], false);
        for (amr, expected) in [
            (json!(["pwd", "mfa"]), true),
            (json!(["otp"]), true),
            (json!(["face", "pin"]), true),
            (json!(["pwd"]), false),
            (json!(["pwd", "sms"]), false),
            (json!(["tel"]), false),
            (json!(["MFA"]), false),
            (json!(["mfa "]), false),
            (json!("mfa"), false),
            (json!("[\"mfa\"]"), false),
            (json!(["mfa", 1]), false),
            (json!({"mfa": true}), false),
            (json!([]), false),
            (Value::Null, false),
        ] {
            let expected = if expected { Ok(()) } else { Err(Insufficient::NoSecondFactor) };
            let fresh = sign_in(json!({"auth_time": NOW, "amr": amr}));
            assert_eq!(policy.check(&fresh, now()), expected, "{amr}");
            let old = sign_in(json!({"auth_time": NOW - 301, "amr": amr}));
            assert_eq!(policy.check(&old, now()), Err(Insufficient::NotFresh), "{amr}");
        }
    }

    /// A user pool whose settings somebody has changed by hand.
    #[test]
    fn the_issuers_own_users_too_need_a_second_factor_in_the_claim_where_there_is_one() {
        for (amr, expected) in [
            (json!(["pwd", "otp", "mfa"]), true),
            (json!(["otp"]), true),
            (json!(["pwd"]), false),
            (json!(["pwd", "sms"]), false),
            (json!([]), false),
            // Not a list of texts.
            (json!("mfa"), false),
            (json!(["mfa", 1]), false),
            (json!({"mfa": true}), false),
            (json!(false), false),
            // JSON's null is no claim.
            (Value::Null, true),
        ] {
            let expected = if expected { Ok(()) } else { Err(Insufficient::NoSecondFactor) };
            assert_eq!(checked(json!({"auth_time": NOW, "amr": amr})), expected, "{amr}");
            assert_eq!(
                checked(json!({"auth_time": NOW - 301, "amr": amr})),
                Err(Insufficient::NotFresh),
                "{amr}, and too old"
            );
        }
        assert_eq!(checked(json!({"auth_time": NOW})), Ok(()), "a user pool without the claim");
    }

    #[test]
    fn only_a_user_whose_account_comes_from_a_configured_provider_is_exempt() {
        let in_both =
            json!([{"userId": "1", "providerName": "Entra"}, {"userId": "ada@b.example", "providerName": "Okta"}]);
        for (identities, user_name, exempt) in [
            (okta("ada@b.example"), json!("Okta_ada@b.example"), true),
            (json!(okta("ada@b.example").to_string()), json!("Okta_ada@b.example"), true),
            (in_both, json!("Okta_ada@b.example"), true),
            // A pool that ignores case writes names in lower case.
            (okta("Ada@B.example"), json!("okta_ada@b.example"), true),
            // Linked native users.
            (okta("ada@b.example"), json!("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"), false),
            (okta("ada@b.example"), json!("ada@b.example"), false),
            (okta("ada@b.example"), json!("Okta_bob@b.example"), false),
            (okta("ada@b.example"), json!("Okta_ada@b.example "), false),
            (okta("ada@b.example"), Value::Null, false),
            (okta("ada@b.example"), json!(["Okta_ada@b.example"]), false),
            // Providers that are not configured, some with a similar name.
            (json!([{"userId": "1", "providerName": "Entra"}]), json!("Entra_1"), false),
            (json!([{"userId": "x_1", "providerName": "Okta_"}]), json!("Okta__x_1"), false),
            (json!([{"userId": "1", "providerName": "okta"}]), json!("okta_1"), false),
            // Not a list of identities.
            (json!([]), json!("Okta_ada@b.example"), false),
            (Value::Null, json!("Okta_ada@b.example"), false),
            (okta("ada@b.example")[0].clone(), json!("Okta_ada@b.example"), false),
            (json!([{"providerName": "Okta"}]), json!("Okta_"), false),
            (json!("Okta"), json!("Okta_"), false),
        ] {
            let expected = if exempt { Ok(()) } else { Err(Insufficient::NotFresh) };
            let claims = json!({"identities": identities, "cognito:username": user_name, "auth_time": NOW - 3_600});
            assert_eq!(checked(claims), expected, "{identities} {user_name}");
        }
        let federated = sign_in(json!({"identities": okta("1"), "cognito:username": "Okta_1"}));
        assert_eq!(
            policy(&[], true).check(&federated, now()),
            Err(Insufficient::NotFresh),
            "no provider is configured"
        );
    }

    #[test]
    fn the_issuers_second_factor_counts_only_for_its_own_users() {
        let policy = policy(&["Okta"], true);
        let entra = |user_name: &str| {
            let identities = json!([{"userId": "1", "providerName": "Entra"}]);
            json!({"identities": identities, "cognito:username": user_name, "auth_time": NOW})
        };
        for identities in [json!(null), json!([]), json!("[]")] {
            let native = json!({"auth_time": NOW, "identities": identities, "cognito:username": "1b9d6bcd"});
            assert_eq!(policy.check(&sign_in(native), now()), Ok(()));
        }
        for mut claims in [
            // A linked native user, who may have signed in with the provider.
            entra("1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"),
            entra("Entra_1"),
            entra("entra_1"),
            json!({"auth_time": NOW, "identities": [{"userId": "1", "providerName": "Okta"}]}),
            json!({"auth_time": NOW, "identities": [{"userId": 1}], "cognito:username": "ada"}),
            json!({"auth_time": NOW, "identities": "Entra", "cognito:username": "ada"}),
        ] {
            assert_eq!(policy.check(&sign_in(claims.clone()), now()), Err(Insufficient::NoSecondFactor), "{claims}");
            claims["amr"] = json!(["mfa"]);
            assert_eq!(policy.check(&sign_in(claims.clone()), now()), Ok(()), "{claims}");
            claims["auth_time"] = json!(NOW - 301);
            assert_eq!(policy.check(&sign_in(claims.clone()), now()), Err(Insufficient::NotFresh), "{claims}");
        }
    }

    #[test]
    fn a_challenge_contains_the_greatest_age_of_the_sign_in() {
        for insufficient in [Insufficient::NotFresh, Insufficient::NoSecondFactor] {
            let problem = Problem::from(insufficient);
            assert_eq!(problem.kind(), catalogue::STEP_UP);
            let challenge = problem.headers()[WWW_AUTHENTICATE].to_str().expect("ASCII");
            let parameters = challenge.strip_prefix("Bearer ").expect("the scheme").split(", ").map(|parameter| {
                let (name, value) = parameter.split_once('=').expect("a parameter");
                (name, value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quoted"))
            });
            let parameters: std::collections::BTreeMap<_, _> = parameters.collect();
            assert_eq!(parameters["error"], "insufficient_user_authentication");
            assert_eq!(parameters["max_age"], MAX_AGE.as_secs().to_string());
            assert!(!parameters["error_description"].is_empty());
        }
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["Okta", "Entra", "[A-Za-z_]{0,5}"]
    }

    proptest! {
        /// A sign-in is accepted only if it is fresh and strong, or if the user's name consists of a configured
        /// provider and the user's id there. The issuer's second factor makes only the sign-ins of its own users
        /// strong, and only where the token has no methods.
        #[test]
        fn no_other_claim_replaces_a_fresh_second_factor(
            (provider, user_id, user_name) in (name(), "[a-z_]{0,4}", "[A-Za-z_]{0,9}"),
            (own_name, has_identity) in any::<(bool, bool)>(),
            age in -100_i64..400,
            amr in prop::option::of(prop::collection::vec(prop_oneof!["mfa", "otp", "sms", "pwd"], 0..3)),
            issuer_enforces in any::<bool>(),
        ) {
            let user_name = if own_name { user_name } else { format!("{provider}_{user_id}") };
            let identity = json!({"providerName": provider, "userId": user_id});
            let identities = if has_identity { json!([identity]) } else { json!([]) };
            let claims = json!({
                "auth_time": NOW - age, "amr": amr, "cognito:username": user_name, "identities": identities,
            });
            let fresh = (-60..=300).contains(&age);
            let external = has_identity && user_name.eq_ignore_ascii_case(&format!("{provider}_{user_id}"));
            let named = amr.iter().flatten().any(|method| method == "mfa" || method == "otp");
            let strong = named || (issuer_enforces && !has_identity && amr.is_none());
            let exempt = provider == "Okta" && external;
            let accepted = policy(&["Okta"], issuer_enforces).check(&sign_in(claims), now()).is_ok();
            prop_assert_eq!(accepted, exempt || (fresh && strong));
        }

        /// Claims of any form are read without a panic, and only the documented forms are accepted.
        #[test]
        fn malformed_claims_are_not_accepted(text in ".{0,20}") {
            let claims = json!({"auth_time": format!("x{text}"), "identities": text, "cognito:username": text});
            prop_assert_eq!(checked(claims), Err(Insufficient::NotFresh));
        }
    }
}
