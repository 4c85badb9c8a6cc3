//! The contract of the token store on every store, and secrets that are not tokens.

use contracts::backends::{MINISTACK, connect, with_secrets};
use contracts::scripted_server::{Answer, ScriptedServer};
use contracts::tokens;
use domain::ids::AccountId;
use domain::ports::secrets::{CrmTokens, SecretsError};
use serde_json::json;

#[tokio::test]
async fn the_latest_token_comes_back_in_memory() {
    tokens::the_latest_token_comes_back(&in_memory::MemoryTokens::new()).await;
}

#[tokio::test]
async fn the_latest_token_comes_back_on_ministack() {
    with_secrets(MINISTACK, async |secrets| tokens::the_latest_token_comes_back(&secrets.tokens).await).await;
}

#[tokio::test]
async fn a_foreign_secret_is_an_error_that_hides_it() {
    for value in ["pat-secret", r#"{"token":"pat-secret"}"#, r#"{"baseUrl":["pat-secret"],"token":"x"}"#] {
        let body = json!({ "Name": "7", "SecretString": value }).to_string();
        let server = ScriptedServer::answering([Answer { status: 200, body }]).await;
        let tokens = connect(&server.url()).await.tokens("tokens/");

        let error = tokens.token(&AccountId::parse("7").expect("valid")).await.expect_err("no token is stored");

        assert!(matches!(error, SecretsError::Unavailable(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("pat-secret"), "{error:?}");
    }
}
