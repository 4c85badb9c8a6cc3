//! CRM tokens in Secrets Manager, one secret per account: the JSON of [`CrmToken::to_json`].

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use domain::ids::AccountId;
use domain::ports::secrets::{CrmToken, CrmTokens, SecretsError};
use secrecy::{ExposeSecret, SecretString};

use crate::failure;

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

    fn name(&self, account: &AccountId) -> String {
        format!("{}{account}", self.name_prefix)
    }

    /// Replaces the secret's value; false when there is no such secret.
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

    /// Makes the secret; false when somebody else has just made it.
    async fn create(&self, name: &str, value: &SecretString) -> Result<bool, SecretsError> {
        let answer = self.client.create_secret().name(name).secret_string(value.expose_secret()).send().await;
        match answer {
            Ok(_) => Ok(true),
            Err(e) if e.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) => Ok(false),
            Err(e) => Err(unavailable(failure::describe("CreateSecret", &e))),
        }
    }
}

#[async_trait]
impl CrmTokens for SecretsManagerTokens {
    async fn token(&self, account: &AccountId) -> Result<Option<CrmToken>, SecretsError> {
        match self.client.get_secret_value().secret_id(self.name(account)).send().await {
            Ok(found) => {
                let token = found.secret_string.as_deref().and_then(CrmToken::from_json);
                token.map(Some).ok_or_else(|| unavailable("GetSecretValue: the secret holds no token and base URL"))
            }
            Err(e) if e.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => {
                Ok(None)
            }
            Err(e) => Err(unavailable(failure::describe("GetSecretValue", &e))),
        }
    }

    async fn store_token(&self, account: &AccountId, token: &CrmToken) -> Result<(), SecretsError> {
        let (name, value) = (self.name(account), token.to_json());
        let stored = self.replace(&name, &value).await?
            || self.create(&name, &value).await?
            || self.replace(&name, &value).await?;
        if stored { Ok(()) } else { Err(unavailable("the secret comes and goes")) }
    }
}

fn unavailable(why: impl Into<String>) -> SecretsError {
    SecretsError::Unavailable(why.into())
}
