//! The contract of the store of webhooks' signing keys on every store, and a store that fails.

use contracts::backends::{MINISTACK, Secrets, connect, with_secrets};
use contracts::scripted_server::{Answer, ScriptedServer};
use contracts::webhook_secrets;
use domain::ids::AccountId;
use domain::ports::secrets::{CrmToken, CrmTokens, WebhookSecrets};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

const URL: &str = "https://crm.example";

#[tokio::test]
async fn the_latest_key_comes_back_in_memory() {
    webhook_secrets::the_latest_key_comes_back(&in_memory::MemoryWebhookSecrets::new()).await;
}

#[tokio::test]
async fn the_latest_key_comes_back_on_ministack() {
    with_secrets(MINISTACK, async |secrets| webhook_secrets::the_latest_key_comes_back(&secrets.webhooks).await).await;
}

#[tokio::test]
async fn token_and_key_of_an_account_are_in_one_secret() {
    for key_is_first in [true, false] {
        with_secrets(MINISTACK, async |secrets| {
            let account = account();
            if !key_is_first {
                store_token(&secrets, "first").await;
            }
            secrets.webhooks.store_webhook_secret(&account, &"whsec_1".into()).await.expect("stored");
            if key_is_first {
                assert!(secrets.tokens.token(&account).await.expect("answered").is_none(), "only the key is stored");
            }
            for (token, key) in [("second", "whsec_2"), ("third", "whsec_3")] {
                store_token(&secrets, token).await;
                secrets.webhooks.store_webhook_secret(&account, &key.into()).await.expect("stored");
                assert_eq!(stored(&secrets).await, (Some(token.to_owned()), Some(key.to_owned())));
            }
            assert_eq!(secrets.names().await, [format!("{}crm-token/{account}", secrets.prefix)]);
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_of_an_earlier_version_is_read_and_moved() {
    for has_token in [true, false] {
        with_secrets(MINISTACK, async |secrets| {
            let account = account();
            let token = has_token.then(|| "pat".to_owned());
            if has_token {
                store_token(&secrets, "pat").await;
            }
            let earlier = secrets.client.create_secret().name(secrets.earlier_name(&account));
            earlier.secret_string("whsec_old").send().await.expect("created");
            let is_here = (token.clone(), Some("whsec_old".to_owned()));
            assert_eq!(stored(&secrets).await, is_here);

            for _ in 0..2 {
                secrets.webhooks.tidy(&account).await.expect("moved");
                assert_eq!(stored(&secrets).await, is_here);
                assert_eq!(secrets.names().await, [format!("{}crm-token/{account}", secrets.prefix)]);
            }
        })
        .await;
    }
}

/// Another request has changed the key since, so the old one must not come back.
#[tokio::test]
async fn an_earlier_key_does_not_replace_a_newer_one() {
    with_secrets(MINISTACK, async |secrets| {
        let account = account();
        let earlier = secrets.client.create_secret().name(secrets.earlier_name(&account));
        earlier.secret_string("whsec_old").send().await.expect("created");
        secrets.webhooks.store_webhook_secret(&account, &"whsec_new".into()).await.expect("stored");

        secrets.webhooks.tidy(&account).await.expect("moved");

        assert_eq!(stored(&secrets).await, (None, Some("whsec_new".to_owned())));
    })
    .await;
}

fn account() -> AccountId {
    AccountId::parse("7").expect("valid")
}

async fn store_token(secrets: &Secrets, token: &str) {
    let token = CrmToken::new(URL, token.into());
    secrets.tokens.store_token(&account(), &token).await.expect("stored");
}

/// The token and the key.
async fn stored(secrets: &Secrets) -> (Option<String>, Option<String>) {
    let token = secrets.tokens.token(&account()).await.expect("answered");
    let key = secrets.webhooks.webhook_secret(&account()).await.expect("answered");
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    (token.as_ref().and_then(|token| token.for_base_url(URL)).map(text), key.as_ref().map(text))
}

#[tokio::test]
async fn a_webhook_key_that_is_refused_is_an_error_that_hides_it() {
    let body = json!({ "__type": "InvalidParameterException", "message": "whsec_private is too long." }).to_string();
    let server = ScriptedServer::answering([Answer { status: 400, body }]).await;
    let secrets = connect(&server.url()).await.webhook_secrets("crm-token/", "webhook-secret/");

    let outcome = secrets.store_webhook_secret(&AccountId::parse("7").expect("valid"), &"whsec_private".into()).await;

    let error = outcome.expect_err("the store refused").to_string();
    assert!(error.contains("PutSecretValue: InvalidParameterException") && !error.contains("private"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_no_text_is_an_error() {
    let body = json!({ "Name": "7", "SecretBinary": "AAAA" }).to_string();
    let server = ScriptedServer::answering([Answer { status: 200, body }]).await;
    let secrets = connect(&server.url()).await.webhook_secrets("crm-token/", "webhook-secret/");

    assert!(secrets.webhook_secret(&AccountId::parse("7").expect("valid")).await.is_err());
}
