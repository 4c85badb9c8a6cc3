//! CRM tokens in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::ids::AccountId;
use domain::ports::secrets::{CrmToken, CrmTokens, SecretsError};

use crate::lock;

/// Keeps tokens in a map.
#[derive(Debug, Default)]
pub struct MemoryTokens(Mutex<HashMap<AccountId, CrmToken>>);

impl MemoryTokens {
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl CrmTokens for MemoryTokens {
    async fn token(&self, account: &AccountId) -> Result<Option<CrmToken>, SecretsError> {
        Ok(lock(&self.0).get(account).cloned())
    }

    async fn store_token(&self, account: &AccountId, token: &CrmToken) -> Result<(), SecretsError> {
        lock(&self.0).insert(account.clone(), token.clone());
        Ok(())
    }
}
