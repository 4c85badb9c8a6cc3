//! CRM tokens. They are in the secret store and nowhere else.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::ids::AccountId;

/// Keeps one CRM token per account, under a name derived from the deployment and the account.
#[async_trait]
pub trait CrmTokens: Send + Sync {
    /// The account's token, or None when none was stored.
    ///
    /// # Errors
    /// [`SecretsError`] when the store did not answer.
    async fn token(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError>;

    /// Stores or replaces the account's token.
    ///
    /// # Errors
    /// [`SecretsError`] when the store did not take it.
    async fn store_token(&self, account: &AccountId, token: &SecretString) -> Result<(), SecretsError>;
}

/// The secret store failed. The text never holds a secret. Trying again can help.
#[derive(Debug, thiserror::Error)]
#[error("the secret store failed: {0}")]
pub struct SecretsError(pub String);
