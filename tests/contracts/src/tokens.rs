//! What every store of CRM tokens does. See [`domain::ports::secrets`] for the contract.

use domain::ids::AccountId;
use domain::ports::secrets::CrmTokens;
use secrecy::{ExposeSecret, SecretString};

/// The latest token of an account comes back, and only to that account.
///
/// # Panics
/// When the store breaks its contract.
pub async fn the_latest_token_comes_back(tokens: &dyn CrmTokens) {
    let (ours, theirs) = (AccountId::parse("77").expect("valid"), AccountId::parse("7").expect("valid"));
    let token = async |account| {
        let token = tokens.token(account).await.expect("answered");
        token.map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(token(&ours).await, None);

    for text in ["first", "second-ü"] {
        tokens.store_token(&ours, &SecretString::from(text)).await.expect("stored");
        assert_eq!(token(&ours).await.as_deref(), Some(text));
    }

    assert_eq!(token(&theirs).await, None);
}
