//! An account's secrets in Secrets Manager: its CRM token as the JSON of [`CrmToken::to_json`], and the signing key of
//! its webhook as plain text. Each kind has its own prefix, and each account one secret below it.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use domain::ids::AccountId;
use domain::ports::secrets::{CrmToken, CrmTokens, SecretsError, WebhookSecrets};
use secrecy::{ExposeSecret, SecretString};

use crate::failure;

/// Keeps tokens in secrets whose names are a prefix and the account's id.
#[derive(Debug, Clone)]
pub struct SecretsManagerTokens(AccountSecrets);

impl SecretsManagerTokens {
    /// Tokens under `name_prefix`, such as `crm-backup/crm-token/`.
    pub fn new(client: Client, name_prefix: impl Into<String>) -> Self {
        Self(AccountSecrets { client, name_prefix: name_prefix.into() })
    }
}

#[async_trait]
impl CrmTokens for SecretsManagerTokens {
    async fn token(&self, account: &AccountId) -> Result<Option<CrmToken>, SecretsError> {
        let Some(stored) = self.0.get(account).await? else { return Ok(None) };
        let token = CrmToken::from_json(stored.expose_secret());
        token.map(Some).ok_or_else(|| unavailable("GetSecretValue: the secret holds no token and base URL"))
    }

    async fn store_token(&self, account: &AccountId, token: &CrmToken) -> Result<(), SecretsError> {
        self.0.store(account, &token.to_json()).await
    }
}

/// Keeps webhooks' signing keys in secrets whose names are a prefix and the account's id.
#[derive(Debug, Clone)]
pub struct SecretsManagerWebhookSecrets(AccountSecrets);

impl SecretsManagerWebhookSecrets {
    /// Keys under `name_prefix`, such as `crm-backup/webhook-secret/`.
    pub fn new(client: Client, name_prefix: impl Into<String>) -> Self {
        Self(AccountSecrets { client, name_prefix: name_prefix.into() })
    }
}

#[async_trait]
impl WebhookSecrets for SecretsManagerWebhookSecrets {
    async fn webhook_secret(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        self.0.get(account).await
    }

    async fn store_webhook_secret(&self, account: &AccountId, secret: &SecretString) -> Result<(), SecretsError> {
        self.0.store(account, secret).await
    }
}

/// One secret text per account.
#[derive(Debug, Clone)]
struct AccountSecrets {
    client: Client,
    name_prefix: String,
}

impl AccountSecrets {
    fn name(&self, account: &AccountId) -> String {
        format!("{}{account}", self.name_prefix)
    }

    /// The account's secret, if there is one.
    async fn get(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        match self.client.get_secret_value().secret_id(self.name(account)).send().await {
            Ok(found) => {
                let text = found.secret_string.map(SecretString::from);
                text.map(Some).ok_or_else(|| unavailable("GetSecretValue: the secret holds no text"))
            }
            Err(e) if e.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => {
                Ok(None)
            }
            Err(e) => Err(unavailable(failure::describe("GetSecretValue", &e))),
        }
    }

    /// Stores `value` as the account's secret, new or in place of another.
    async fn store(&self, account: &AccountId, value: &SecretString) -> Result<(), SecretsError> {
        let name = self.name(account);
        let stored =
            self.replace(&name, value).await? || self.create(&name, value).await? || self.replace(&name, value).await?;
        if stored { Ok(()) } else { Err(unavailable("the secret was created and deleted meanwhile")) }
    }

    /// Replaces the secret's value. False if there is no such secret.
    async fn replace(&self, name: &str, value: &SecretString) -> Result<bool, SecretsError> {
        let answer = self.client.put_secret_value().secret_id(name).secret_string(value.expose_secret()).send().await;
        match answer {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(PutSecretValueError::is_resource_not_found_exception) => {
                Ok(false)
            }
            Err(e) => Err(unavailable(failure::describe("PutSecretValue", &e))),
        }
    }

    /// Creates the secret. False if another request has just created it.
    async fn create(&self, name: &str, value: &SecretString) -> Result<bool, SecretsError> {
        let answer = self.client.create_secret().name(name).secret_string(value.expose_secret()).send().await;
        match answer {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) => Ok(false),
            Err(e) => Err(unavailable(failure::describe("CreateSecret", &e))),
        }
    }
}

fn unavailable(why: impl Into<String>) -> SecretsError {
    SecretsError::Unavailable(why.into())
}
