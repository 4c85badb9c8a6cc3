//! Confirming a restore needs a second factor of the last five minutes (RFC 9470), unless the user's account itself comes
//! from an identity provider that the operator has configured. Through the stack that takes the tokens of an external
//! issuer, since the emulated user pool signs nobody in long ago.

use std::time::Duration;

use dev_stack::api::{Answer, Api};
use dev_stack::backups::Backups;
use dev_stack::failure::{Failure, Result};
use dev_stack::oidc::OidcStack;
use dev_stack::restores::Restores;
use end_to_end::journey::{PATIENCE, Place, expect, new_account_id, oidc_stack, stack};
use end_to_end::portal::Portal;
use end_to_end::problem::assert_problem;
use end_to_end::truth::Truth;
use serde_json::{Value, json};

const NOW: Duration = Duration::ZERO;
const TEN_MINUTES: Duration = Duration::from_mins(10);

/// How an identity provider calls Ada.
const ADA: &str = "ada";

/// A restore that waits for being confirmed, of an account whose users sign in with the external issuer.
struct Review {
    oidc: OidcStack,
    account_id: String,
    portal: Portal,
    /// What the CRM held when it was backed up.
    backed_up: Truth,
    /// What it holds since.
    damaged: Truth,
    restore_id: String,
    _place: Place,
}

impl Review {
    /// An operator creates an account; its super admin connects it, backs it up, and plans to undo some damage. None,
    /// said aloud, when there is no such stack.
    fn begin(seed: u64) -> Result<Option<Self>> {
        let Some(stack) = stack()? else { return Ok(None) };
        let Some(oidc) = oidc_stack(&stack)? else { return Ok(None) };
        let place = Place::take();
        let account_id = new_account_id();
        let config = json!({ "seed": seed, "propertySet": "tiny", "records": { "contacts": 30 } });
        let portal = Portal::make(&stack.sandbox_url, &account_id, &config)?;
        let account = format!("/accounts/{account_id}");
        let operator = oidc.id_token("operator", TEN_MINUTES, &json!({ "groups": ["operators"] }))?;
        expect(201, oidc.api().with_token(&operator).put(&account, &json!({}))?)?;
        let admin = super_admin(&oidc, &account_id, TEN_MINUTES, &json!({}))?;
        let connection = json!({ "baseUrl": stack.sandbox_url, "token": portal.token, "apiVersion": "2026-09" });
        expect(200, admin.put(&account, &json!({ "crmConnection": connection }))?)?;

        let backups = Backups::of(admin.clone(), &account_id);
        let backup_id = backups.create()?;
        let backup = backups.watch(&backup_id, PATIENCE, |_| Ok(()))?;
        must_be("completed", &backup.state, backup.failure.as_ref())?;
        let backed_up = portal.truth("contacts")?;
        let damage = backed_up.live().into_iter().map(|id| (id.to_string(), json!({ "firstname": "Somebody" })));
        let damage: serde_json::Map<_, _> = damage.take(10).collect();
        portal.change_records("contacts", &json!({ "update": damage }))?;
        let damaged = portal.truth("contacts")?;

        let restores = Restores::of(admin, &account_id);
        let restore_id = restores.plan(&backup_id, "contacts", &["firstname"])?;
        let planned = restores.watch(&restore_id, PATIENCE, |_| Ok(()))?;
        must_be("planned", &planned.state, planned.failure.as_ref())?;
        Ok(Some(Self { oidc, account_id, portal, backed_up, damaged, restore_id, _place: place }))
    }

    /// A super admin who has signed in `ago`, with a token that has `claims` as well, confirms the restore.
    fn confirm(&self, ago: Duration, claims: &Value) -> Result<Answer> {
        let path = format!("/accounts/{}/restores/{}/confirm", self.account_id, self.restore_id);
        let acknowledged = json!({ "acknowledgements": { "dataChanges": true, "cannotBeUndoneInCrm": true } });
        super_admin(&self.oidc, &self.account_id, ago, claims)?.post(&path, &acknowledged)
    }

    /// Reading asks for no fresh sign-in.
    fn restores(&self) -> Result<Restores> {
        let reader = super_admin(&self.oidc, &self.account_id, TEN_MINUTES, &json!({}))?;
        Ok(Restores::of(reader, &self.account_id))
    }

    /// The answer challenges the user to sign in again, and nothing has been done.
    fn assert_challenged(&self, answer: &Answer) -> Result<()> {
        assert_problem(answer, 401, "step-up");
        let challenge = answer.headers.get("www-authenticate").and_then(|value| value.to_str().ok());
        let challenge = challenge.unwrap_or_default();
        let parameters: Vec<_> = challenge.strip_prefix("Bearer ").unwrap_or_default().split(", ").collect();
        for parameter in [r#"error="insufficient_user_authentication""#, r#"max_age="300""#] {
            assert!(parameters.contains(&parameter), "{challenge}");
        }
        let restores = self.restores()?;
        assert_eq!(restores.get(&self.restore_id)?.state, "planned");
        assert_eq!(restores.imports()?, []);
        assert_eq!(self.portal.truth("contacts")?, self.damaged);
        Ok(())
    }

    /// The answer says that the restore is confirmed; it completes, and everything is as it was backed up.
    fn assert_carried_out(&self, answer: Answer) -> Result<()> {
        expect(202, answer)?;
        let restore = self.restores()?.watch(&self.restore_id, PATIENCE, |_| Ok(()))?;
        must_be("completed", &restore.state, restore.failure.as_ref())?;
        let restored = self.portal.truth("contacts")?;
        for id in self.backed_up.live() {
            let name = |truth: &Truth| truth.get(id).and_then(|record| record.properties.get("firstname").cloned());
            assert_eq!(name(&restored), name(&self.backed_up), "record {id}");
        }
        Ok(())
    }
}

/// A client with the token of a super admin of the account who has signed in `ago`.
fn super_admin(oidc: &OidcStack, account_id: &str, ago: Duration, claims: &Value) -> Result<Api> {
    let mut all = json!({ "cognito:groups": [format!("{account_id}:super-admin")] });
    for (name, value) in claims.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    Ok(oidc.api().with_token(&oidc.id_token(ADA, ago, &all)?))
}

fn must_be(expected: &str, state: &str, failure: Option<&Value>) -> Result<()> {
    if state == expected {
        return Ok(());
    }
    Err(Failure::new(format!("it is {state} instead of {expected}: {failure:?}")))
}

/// The claims of a user pool about a user called `name` who has an account with `provider`.
fn with_account_at(provider: &str, name: &str) -> Value {
    let identity = json!({
        "userId": ADA, "providerName": provider, "providerType": "SAML", "issuer": null, "primary": "true",
        "dateCreated": "1764500000000",
    });
    json!({ "cognito:username": name, "identities": [identity] })
}

#[test]
fn a_sign_in_of_ten_minutes_ago_is_challenged() -> Result<()> {
    let Some(review) = Review::begin(50)? else { return Ok(()) };
    let answer = review.confirm(TEN_MINUTES, &json!({ "amr": ["pwd", "mfa"] }))?;
    review.assert_challenged(&answer)
}

#[test]
fn a_fresh_sign_in_with_a_second_factor_confirms() -> Result<()> {
    let Some(review) = Review::begin(51)? else { return Ok(()) };
    let answer = review.confirm(NOW, &json!({ "amr": ["pwd", "mfa"] }))?;
    review.assert_carried_out(answer)
}

#[test]
fn a_fresh_sign_in_without_a_second_factor_is_challenged() -> Result<()> {
    let Some(review) = Review::begin(52)? else { return Ok(()) };
    for claims in [json!({}), json!({ "amr": ["pwd"] }), json!({ "amr": ["pwd", "sms"] })] {
        println!("{claims}");
        let answer = review.confirm(NOW, &claims)?;
        review.assert_challenged(&answer)?;
    }
    Ok(())
}

#[test]
fn a_user_of_a_configured_identity_provider_confirms_whenever_they_signed_in() -> Result<()> {
    let Some(review) = Review::begin(53)? else { return Ok(()) };
    let provider = review.oidc.federated_provider.clone();
    let answer = review.confirm(TEN_MINUTES, &with_account_at(&provider, &format!("{provider}_{ADA}")))?;
    review.assert_carried_out(answer)
}

#[test]
fn a_native_user_who_is_merely_linked_to_an_identity_provider_is_challenged() -> Result<()> {
    let Some(review) = Review::begin(54)? else { return Ok(()) };
    let linked = with_account_at(&review.oidc.federated_provider, "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed");
    let answer = review.confirm(TEN_MINUTES, &linked)?;
    review.assert_challenged(&answer)
}

#[test]
fn a_user_of_an_identity_provider_that_is_not_configured_is_challenged() -> Result<()> {
    let Some(review) = Review::begin(55)? else { return Ok(()) };
    let answer = review.confirm(TEN_MINUTES, &with_account_at("other-saml", &format!("other-saml_{ADA}")))?;
    review.assert_challenged(&answer)
}
