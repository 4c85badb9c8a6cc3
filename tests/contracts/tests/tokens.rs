//! The contract of the token store on every store.

use contracts::backends::{MINISTACK, connect};
use contracts::tokens;

#[tokio::test]
async fn the_latest_token_comes_back_in_memory() {
    tokens::the_latest_token_comes_back(&in_memory::MemoryTokens::new()).await;
}

#[tokio::test]
async fn the_latest_token_comes_back_on_ministack() {
    let Some(url) = MINISTACK.url() else { return };
    let prefix = format!("contract-{}/", uuid::Uuid::new_v4().simple());
    tokens::the_latest_token_comes_back(&connect(&url).await.tokens(prefix)).await;
}
