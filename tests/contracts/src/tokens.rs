//! The contract of every store of CRM tokens. See [`domain::ports::secrets`].

use domain::ids::AccountId;
use domain::ports::secrets::{CrmToken, CrmTokens};
use secrecy::ExposeSecret;

/// The latest token of an account is returned with its base URL, and only for that account.
///
/// # Panics
/// If the store breaks its contract.
pub async fn the_latest_token_comes_back(tokens: &dyn CrmTokens) {
    let (ours, theirs) = (AccountId::parse("77").expect("valid"), AccountId::parse("7").expect("valid"));
    assert!(tokens.token(&ours).await.expect("answered").is_none());

    let urls = ["https://crm.example", "https://new.crm.example:8443"];
    let stored = [("first", urls[0]), ("second-ü \"quoted\"", urls[0]), ("third", urls[1])];
    for (text, base_url) in stored {
        tokens.store_token(&ours, &CrmToken::new(base_url, text.into())).await.expect("stored");
        let token = tokens.token(&ours).await.expect("answered").expect("a token");
        for url in urls {
            let given = token.for_base_url(url).map(ExposeSecret::expose_secret);
            assert_eq!(given, (url == base_url).then_some(text), "for {url}");
        }
    }

    assert!(tokens.token(&theirs).await.expect("answered").is_none());
}
