//! CRM tokens and the signing keys of webhooks. They are in the secret store and nowhere else.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::ids::AccountId;

/// A token and the only base URL that it may be sent to. Both are stored and replaced together, so that a token never
/// goes to another host, even if a change of the connection breaks off. Its `Debug` output does not show the token.
#[derive(Debug, Clone)]
pub struct CrmToken {
    base_url: String,
    token: SecretString,
}

/// A stored token as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSecret {
    base_url: String,
    token: String,
}

impl CrmToken {
    /// A token for `base_url` (scheme, host and port, without a path).
    pub fn new(base_url: impl Into<String>, token: SecretString) -> Self {
        Self { base_url: base_url.into(), token }
    }

    /// The token, if it may be sent to `base_url`.
    pub fn for_base_url(&self, base_url: &str) -> Option<&SecretString> {
        (self.base_url == base_url).then_some(&self.token)
    }

    /// The stored form: `{"baseUrl": …, "token": …}`.
    pub fn to_json(&self) -> SecretString {
        serde_json::json!({ "baseUrl": self.base_url, "token": self.token.expose_secret() }).to_string().into()
    }

    /// Reads the text of [`CrmToken::to_json`]. None for any other text, without a reason, because that could quote the
    /// token.
    pub fn from_json(json: &str) -> Option<Self> {
        let StoredSecret { base_url, token } = serde_json::from_str(json).ok()?;
        Some(Self { base_url, token: token.into() })
    }
}

/// Keeps one CRM token per account, under a name derived from the deployment and the account.
#[async_trait]
pub trait CrmTokens: Send + Sync {
    /// The account's token, or None when none was stored.
    ///
    /// # Errors
    /// [`SecretsError::Unavailable`] if the store did not answer, or returned no token.
    async fn token(&self, account: &AccountId) -> Result<Option<CrmToken>, SecretsError>;

    /// Stores or replaces the account's token.
    ///
    /// # Errors
    /// [`SecretsError::Unavailable`] when the store did not take it.
    async fn store_token(&self, account: &AccountId, token: &CrmToken) -> Result<(), SecretsError>;
}

/// Keeps one secret per account's webhook, under a name derived from the deployment and the account.
#[async_trait]
pub trait WebhookSecrets: Send + Sync {
    /// The secret as its receiver knows it (`whsec_…`), or None when none was stored.
    ///
    /// # Errors
    /// [`SecretsError::Unavailable`] when the store did not answer.
    async fn webhook_secret(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError>;

    /// Stores or replaces the secret.
    ///
    /// # Errors
    /// [`SecretsError::Unavailable`] when the store did not take it.
    async fn store_webhook_secret(&self, account: &AccountId, secret: &SecretString) -> Result<(), SecretsError>;

    /// Moves a secret that an earlier version of this service has stored elsewhere to where secrets are now. The
    /// secret stays the same.
    ///
    /// # Errors
    /// [`SecretsError::Unavailable`] when the store did not answer. The secret can be read in any case.
    async fn tidy(&self, account: &AccountId) -> Result<(), SecretsError>;
}

/// No secret can be used. The text never holds a secret. A retry can help.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The secret store failed.
    #[error("the secret store failed: {0}")]
    Unavailable(String),
    /// The token may not be sent to the account's CRM: its connection is being changed, or a change broke off.
    #[error(
        "the account's token belongs to another base URL than its connection, which is being changed; if this does not \
         pass, connect the account again"
    )]
    ConnectionChanging,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "https://crm.example:8443";

    #[test]
    fn a_token_is_given_out_for_its_own_base_url_only() {
        let token = CrmToken::new(HERE, "secret".into());
        assert_eq!(token.for_base_url(HERE).map(ExposeSecret::expose_secret), Some("secret"));
        for other in ["https://crm.example", "http://crm.example:8443", "https://crm.example:8443/", ""] {
            assert!(token.for_base_url(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_stored_token_is_read_again() {
        for text in ["pat-1", "with \"quotes\" and \\", "ü\n"] {
            let json = CrmToken::new(HERE, text.into()).to_json();
            let read = CrmToken::from_json(json.expose_secret()).expect("a token");
            assert_eq!(read.for_base_url(HERE).map(ExposeSecret::expose_secret), Some(text));
        }
        assert_eq!(CrmToken::new("u", "t".into()).to_json().expose_secret(), r#"{"baseUrl":"u","token":"t"}"#);
        for other in ["pat-1", "", "{}", r#"{"token":"pat-1"}"#, r#"{"baseUrl":"u","token":7}"#] {
            assert!(CrmToken::from_json(other).is_none(), "{other}");
        }
    }

    #[test]
    fn tokens_are_not_shown() {
        let token = CrmToken::new(HERE, "secret".into());
        let shown = format!("{token:?} {:?}", token.to_json());
        assert!(shown.contains(HERE) && !shown.contains("secret\"") && !shown.contains("\"secret"), "{shown}");
    }
}
