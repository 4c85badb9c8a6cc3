//! An account's secrets in Secrets Manager: its CRM token with the base URL, and the signing key of its webhook.
//!
//! An account has one secret, since AWS charges for each of them. The token is its current version, as the JSON of
//! [`CrmToken::to_json`]. The signing key is the version with the label [`WEBHOOK_LABEL`], as plain text. So neither
//! change can lose the other, and a role can be limited to the key alone (condition key `secretsmanager:VersionStage`).
//! Earlier versions of this service kept the key in a secret of its own; [`WebhookSecrets::tidy`] moves it.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use domain::ids::AccountId;
use domain::ports::secrets::{CrmToken, CrmTokens, SecretsError, WebhookSecrets};
use secrecy::{ExposeSecret, SecretString};

use crate::failure;

/// The label of the version that is the signing key. Only one version of a secret has a label: if another version gets
/// it, the first one loses it (API reference of `PutSecretValue`, `VersionStages`).
const WEBHOOK_LABEL: &str = "WEBHOOK";
/// The label of a secret's current version, which AWS gives to the first version in any case.
const CURRENT: &str = "AWSCURRENT";
/// The current version of an account's secret that has no token yet.
const NO_TOKEN: &str = "{}";

/// Keeps tokens in secrets whose names are a prefix and the account's id.
#[derive(Debug, Clone)]
pub struct SecretsManagerTokens {
    client: Client,
    name_prefix: String,
}

impl SecretsManagerTokens {
    /// Tokens under `name_prefix`, such as `crm-backup/crm-token/`.
    pub fn new(client: Client, name_prefix: impl Into<String>) -> Self {
        Self { client, name_prefix: name_prefix.into() }
    }

    fn secret(&self, account: &AccountId) -> NamedSecret<'_> {
        NamedSecret { client: &self.client, name: format!("{}{account}", self.name_prefix) }
    }
}

#[async_trait]
impl CrmTokens for SecretsManagerTokens {
    async fn token(&self, account: &AccountId) -> Result<Option<CrmToken>, SecretsError> {
        let stored = self.secret(account).get(CURRENT).await?;
        let Some(stored) = stored.filter(|stored| stored.expose_secret() != NO_TOKEN) else { return Ok(None) };
        let token = CrmToken::from_json(stored.expose_secret());
        token.map(Some).ok_or_else(|| unavailable("GetSecretValue: the secret holds no token and base URL"))
    }

    async fn store_token(&self, account: &AccountId, token: &CrmToken) -> Result<(), SecretsError> {
        let (secret, value) = (self.secret(account), token.to_json());
        let stored = secret.put(CURRENT, &value).await?
            || secret.create(value.expose_secret()).await?
            || secret.put(CURRENT, &value).await?;
        if stored { Ok(()) } else { Err(deleted_meanwhile()) }
    }
}

/// Keeps the signing keys of webhooks in the secrets of [`SecretsManagerTokens`].
#[derive(Debug, Clone)]
pub struct SecretsManagerWebhookSecrets {
    client: Client,
    name_prefix: String,
    /// Where earlier versions kept a key.
    earlier_prefix: String,
}

impl SecretsManagerWebhookSecrets {
    /// Keys in the secrets under `name_prefix`, where the tokens are. Earlier versions kept them under
    /// `earlier_prefix`, such as `crm-backup/webhook-secret/`.
    pub fn new(client: Client, name_prefix: impl Into<String>, earlier_prefix: impl Into<String>) -> Self {
        Self { client, name_prefix: name_prefix.into(), earlier_prefix: earlier_prefix.into() }
    }

    fn secret(&self, account: &AccountId) -> NamedSecret<'_> {
        NamedSecret { client: &self.client, name: format!("{}{account}", self.name_prefix) }
    }

    fn earlier_secret(&self, account: &AccountId) -> NamedSecret<'_> {
        NamedSecret { client: &self.client, name: format!("{}{account}", self.earlier_prefix) }
    }

    /// The key that an earlier version stored. None after it was moved.
    async fn earlier_key(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        // A secret that will be deleted cannot be read.
        let is_moved = GetSecretValueError::is_invalid_request_exception;
        self.earlier_secret(account).get_unless(CURRENT, is_moved).await
    }

    async fn store(&self, account: &AccountId, key: &SecretString) -> Result<(), SecretsError> {
        let secret = self.secret(account);
        if secret.put(WEBHOOK_LABEL, key).await? {
            return Ok(());
        }
        // If another request creates the secret at the same time, its token stays.
        secret.create(NO_TOKEN).await?;
        if secret.put(WEBHOOK_LABEL, key).await? { Ok(()) } else { Err(deleted_meanwhile()) }
    }
}

#[async_trait]
impl WebhookSecrets for SecretsManagerWebhookSecrets {
    async fn webhook_secret(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        match self.secret(account).get(WEBHOOK_LABEL).await? {
            Some(key) => Ok(Some(key)),
            None => self.earlier_key(account).await,
        }
    }

    async fn store_webhook_secret(&self, account: &AccountId, key: &SecretString) -> Result<(), SecretsError> {
        self.store(account, key).await
    }

    async fn tidy(&self, account: &AccountId) -> Result<(), SecretsError> {
        let Some(key) = self.earlier_key(account).await? else { return Ok(()) };
        if self.secret(account).get(WEBHOOK_LABEL).await?.is_none() {
            self.store(account, &key).await?;
        }
        self.earlier_secret(account).delete().await
    }
}

/// One secret.
struct NamedSecret<'a> {
    client: &'a Client,
    name: String,
}

impl NamedSecret<'_> {
    /// The text of the version with `label`, if there is one.
    async fn get(&self, label: &str) -> Result<Option<SecretString>, SecretsError> {
        self.get_unless(label, |_| false).await
    }

    /// The same. None for an error that `is_none` accepts, too.
    async fn get_unless(
        &self,
        label: &str,
        is_none: fn(&GetSecretValueError) -> bool,
    ) -> Result<Option<SecretString>, SecretsError> {
        match self.client.get_secret_value().secret_id(&self.name).version_stage(label).send().await {
            Ok(found) => {
                let text = found.secret_string.map(SecretString::from);
                text.map(Some).ok_or_else(|| unavailable("GetSecretValue: the secret holds no text"))
            }
            Err(e) if e.as_service_error().is_some_and(|e| e.is_resource_not_found_exception() || is_none(e)) => {
                Ok(None)
            }
            Err(e) => Err(unavailable(failure::describe("GetSecretValue", &e))),
        }
    }

    /// Adds a version with `label`, which another version loses. False if there is no such secret.
    async fn put(&self, label: &str, value: &SecretString) -> Result<bool, SecretsError> {
        let put = self.client.put_secret_value().secret_id(&self.name).version_stages(label);
        match put.secret_string(value.expose_secret()).send().await {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(PutSecretValueError::is_resource_not_found_exception) => {
                Ok(false)
            }
            Err(e) => Err(unavailable(failure::describe("PutSecretValue", &e))),
        }
    }

    /// Creates the secret. False if another request has just created it.
    async fn create(&self, value: &str) -> Result<bool, SecretsError> {
        match self.client.create_secret().name(&self.name).secret_string(value).send().await {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) => Ok(false),
            Err(e) => Err(unavailable(failure::describe("CreateSecret", &e))),
        }
    }

    /// Deletes the secret. For 30 days it can be restored, and costs nothing.
    async fn delete(&self) -> Result<(), SecretsError> {
        match self.client.delete_secret().secret_id(&self.name).send().await {
            Ok(_) => Ok(()),
            Err(e) if e.as_service_error().is_some_and(DeleteSecretError::is_resource_not_found_exception) => Ok(()),
            Err(e) => Err(unavailable(failure::describe("DeleteSecret", &e))),
        }
    }
}

fn deleted_meanwhile() -> SecretsError {
    unavailable("the secret was created and deleted meanwhile")
}

fn unavailable(why: impl Into<String>) -> SecretsError {
    SecretsError::Unavailable(why.into())
}
