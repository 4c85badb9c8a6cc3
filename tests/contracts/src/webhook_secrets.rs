//! The contract of every store of webhooks' signing keys. See [`domain::ports::secrets`].

use domain::ids::AccountId;
use domain::ports::secrets::WebhookSecrets;
use secrecy::ExposeSecret;

/// The latest key of an account is returned, and only for that account.
///
/// # Panics
/// If the store breaks its contract.
pub async fn the_latest_key_comes_back(secrets: &dyn WebhookSecrets) {
    let (ours, theirs) = (AccountId::parse("77").expect("valid"), AccountId::parse("7").expect("valid"));
    assert!(secrets.webhook_secret(&ours).await.expect("answered").is_none());

    for key in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"] {
        secrets.store_webhook_secret(&ours, &key.into()).await.expect("stored");
        let stored = secrets.webhook_secret(&ours).await.expect("answered").expect("a key");
        assert_eq!(stored.expose_secret(), key);
    }

    assert!(secrets.webhook_secret(&theirs).await.expect("answered").is_none());
}
