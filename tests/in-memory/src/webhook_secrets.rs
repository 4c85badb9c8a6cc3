//! Signing keys of webhooks in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::ids::AccountId;
use domain::ports::secrets::{SecretsError, WebhookSecrets};
use secrecy::SecretString;

use crate::lock;

/// Keeps keys in a map.
#[derive(Debug, Default)]
pub struct MemoryWebhookSecrets(Mutex<HashMap<AccountId, SecretString>>);

impl MemoryWebhookSecrets {
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl WebhookSecrets for MemoryWebhookSecrets {
    async fn webhook_secret(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        Ok(lock(&self.0).get(account).cloned())
    }

    async fn store_webhook_secret(&self, account: &AccountId, secret: &SecretString) -> Result<(), SecretsError> {
        lock(&self.0).insert(account.clone(), secret.clone());
        Ok(())
    }

    /// All secrets are in one place.
    async fn tidy(&self, _: &AccountId) -> Result<(), SecretsError> {
        Ok(())
    }
}
