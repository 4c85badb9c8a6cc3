//! Secrets.

use aws::{SecretsManagerTokens, SecretsManagerWebhookSecrets};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use domain::ids::AccountId;

use super::{Backend, connect, finally, random_name};

/// The secrets of an account on a backend.
#[derive(Debug)]
pub struct Secrets {
    pub tokens: SecretsManagerTokens,
    pub webhooks: SecretsManagerWebhookSecrets,
    pub client: Client,
    /// The beginning of the names of all secrets.
    pub prefix: String,
}

impl Secrets {
    /// The name of the secret in which earlier versions kept the key of `account`'s webhook.
    pub fn earlier_name(&self, account: &AccountId) -> String {
        format!("{}webhook-secret/{account}", self.prefix)
    }

    /// The names of all secrets.
    ///
    /// # Panics
    /// If the store does not answer.
    pub async fn names(&self) -> Vec<String> {
        names(&self.client, &self.prefix).await
    }
}

/// Runs `case` with the tokens and the signing keys of webhooks on `backend`. Their secrets are removed afterwards.
///
/// # Panics
/// If the case panics, or the secrets cannot be removed.
pub async fn with_secrets(backend: Backend, case: impl AsyncFnOnce(Secrets)) {
    let Some(url) = backend.url() else { return };
    let aws = connect(&url).await;
    let prefix = format!("{}/", random_name("secrets"));
    let client = Client::new(aws.sdk_config());
    let removed = remove(client.clone(), prefix.clone());
    let (of_tokens, earlier) = (format!("{prefix}crm-token/"), format!("{prefix}webhook-secret/"));
    let (tokens, webhooks) = (aws.tokens(&of_tokens), aws.webhook_secrets(of_tokens, earlier));
    finally(Box::pin(case(Secrets { tokens, webhooks, client, prefix })), Box::pin(removed)).await;
}

async fn names(client: &Client, prefix: &str) -> Vec<String> {
    let below = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
    let listed = client.list_secrets().filters(below).send().await.expect("secrets listed");
    let names = listed.secret_list().iter().filter_map(|secret| secret.name());
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

async fn remove(client: Client, prefix: String) {
    for name in names(&client, &prefix).await {
        let delete = client.delete_secret().secret_id(name).force_delete_without_recovery(true);
        delete.send().await.expect("secret removed");
    }
}
