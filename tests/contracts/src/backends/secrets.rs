//! Secrets.

use aws::{SecretsManagerTokens, SecretsManagerWebhookSecrets};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::{Backend, connect, finally, random_name};

/// Runs `case` with a store of tokens on `backend`. Its secrets are removed afterwards.
///
/// # Panics
/// If the case panics, or the secrets cannot be removed.
pub async fn with_tokens(backend: Backend, case: impl AsyncFnOnce(SecretsManagerTokens)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let prefix = format!("{}/", random_name("tokens"));
    let removed = remove(Client::new(aws.sdk_config()), prefix.clone());
    finally(Box::pin(case(aws.tokens(prefix))), Box::pin(removed)).await;
}

/// Runs `case` with a store of webhooks' signing keys on `backend`. Its secrets are removed afterwards.
///
/// # Panics
/// If the case panics, or the secrets cannot be removed.
pub async fn with_webhook_secrets(backend: Backend, case: impl AsyncFnOnce(SecretsManagerWebhookSecrets)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let prefix = format!("{}/", random_name("webhook-secrets"));
    let removed = remove(Client::new(aws.sdk_config()), prefix.clone());
    finally(Box::pin(case(aws.webhook_secrets(prefix))), Box::pin(removed)).await;
}

async fn remove(client: Client, prefix: String) {
    let below = Filter::builder().key(FilterNameStringType::Name).values(&prefix).build();
    let listed = client.list_secrets().filters(below).send().await.expect("secrets listed");
    let names = listed.secret_list().iter().filter_map(|secret| secret.name());
    for name in names.filter(|name| name.starts_with(&prefix)) {
        let delete = client.delete_secret().secret_id(name).force_delete_without_recovery(true);
        delete.send().await.expect("secret removed");
    }
}
