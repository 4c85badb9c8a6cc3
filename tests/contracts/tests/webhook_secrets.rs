//! The contract of the store of webhooks' signing keys on every store, and a store that fails.

use contracts::backends::{MINISTACK, connect, with_webhook_secrets};
use contracts::scripted_server::{Answer, ScriptedServer};
use contracts::webhook_secrets;
use domain::ids::AccountId;
use domain::ports::secrets::WebhookSecrets;
use serde_json::json;

#[tokio::test]
async fn the_latest_key_comes_back_in_memory() {
    webhook_secrets::the_latest_key_comes_back(&in_memory::MemoryWebhookSecrets::new()).await;
}

#[tokio::test]
async fn the_latest_key_comes_back_on_ministack() {
    with_webhook_secrets(MINISTACK, async |store| webhook_secrets::the_latest_key_comes_back(&store).await).await;
}

#[tokio::test]
async fn a_webhook_key_that_is_refused_is_an_error_that_hides_it() {
    let body = json!({ "__type": "InvalidParameterException", "message": "whsec_private is too long." }).to_string();
    let server = ScriptedServer::answering([Answer { status: 400, body }]).await;
    let secrets = connect(&server.url()).await.webhook_secrets("webhook-secrets/");

    let outcome = secrets.store_webhook_secret(&AccountId::parse("7").expect("valid"), &"whsec_private".into()).await;

    let error = outcome.expect_err("the store refused").to_string();
    assert!(error.contains("PutSecretValue: InvalidParameterException") && !error.contains("private"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_no_text_is_an_error() {
    let body = json!({ "Name": "7", "SecretBinary": "AAAA" }).to_string();
    let server = ScriptedServer::answering([Answer { status: 200, body }]).await;
    let secrets = connect(&server.url()).await.webhook_secrets("webhook-secrets/");

    assert!(secrets.webhook_secret(&AccountId::parse("7").expect("valid")).await.is_err());
}
